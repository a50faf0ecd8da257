"""Outputs of aggregators: probabilities and losses."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.output import BagOutput


def test_probabilities_follow_the_link():
    bag = torch.randn(4, 12)
    softmax = create_aggregator("abmil", 12, 3)(bag)
    labels = create_aggregator("abmil", 12, 3, multi_label=True)(bag)
    unit = create_aggregator("abmil", 12, 1)(bag)
    assert softmax.probabilities().sum().item() == pytest.approx(1)
    assert torch.equal(labels.probabilities(), labels.logits.sigmoid())
    assert torch.equal(unit.probabilities(), unit.logits.sigmoid())


def test_the_loss_is_the_sum_of_its_terms_and_needs_a_target():
    output = BagOutput(torch.zeros(1), losses={"bag": torch.tensor(1.0), "x": torch.tensor(0.5)})
    assert output.loss.item() == 1.5
    with pytest.raises(ValueError, match="without a target"):
        _ = BagOutput(torch.zeros(1)).loss
