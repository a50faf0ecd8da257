"""Neural aggregation network: its cascade of two attention blocks."""

import torch

from napari_mil.aggregators import create_aggregator


def test_the_second_query_comes_from_the_first_aggregate():
    torch.manual_seed(0)
    aggregator = create_aggregator("nan", 5, 2).eval()
    f = torch.randn(7, 5)
    r0 = (f @ aggregator.q0).softmax(0) @ f
    q1 = aggregator.transfer(r0).tanh()
    attention = (f @ q1).softmax(0)
    assert torch.allclose(aggregator(f).attention[:, 0], attention, atol=1e-6)
    assert torch.allclose(aggregator(f).embedding, attention @ f, atol=1e-6)
