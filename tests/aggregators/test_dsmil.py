"""Dual-stream MIL: critical instances and streams."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError


def test_the_answer_weighs_the_critical_instance_and_the_bag():
    torch.manual_seed(0)
    aggregator = create_aggregator("dsmil", 12, 2, lambda_=0.25).eval()
    output = aggregator(torch.randn(9, 12))
    critical = output.instance_logits.gather(0, output.critical[None])[0]
    assert torch.equal(critical, output.instance_logits.amax(0))
    bag = output.streams["bag stream"]
    assert torch.allclose(output.logits, 0.75 * critical + 0.25 * bag)


def test_a_stream_weight_outside_0_to_1_is_refused():
    with pytest.raises(OptionError, match=r"lies in \[0, 1\]"):
        create_aggregator("dsmil", 12, 2, lambda_=1.5)


def test_mhim_answers_with_the_mean_of_dsmils_streams():
    aggregator = create_aggregator("dsmil-released", 12, 2, average_streams=True).eval()
    output = aggregator(torch.randn(9, 12))
    expected = torch.stack([logits.softmax(0) for logits in output.streams.values()]).mean(0)
    assert torch.allclose(output.probabilities(), expected, atol=1e-6)


def test_a_projection_is_a_choice_and_none_is_the_printed_form():
    printed = create_aggregator("dsmil", 8, 1)
    assert set(printed.state_dict()) == {"W0.weight", "Wq.weight", "Wv.weight", "W1.weight"}
    projected = create_aggregator("dsmil", 8, 1, hidden=4, dropout=0.5).eval()
    bag = torch.randn(5, 8)
    inner = create_aggregator("dsmil", 4, 1).eval()
    state = {k: v for k, v in projected.state_dict().items() if k.startswith("W")}
    inner.load_state_dict(state)
    assert torch.equal(projected(bag).logits, inner(projected.projection(bag)).logits)
