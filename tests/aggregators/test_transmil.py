"""TransMIL: position encoding over the grid of tokens."""

import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.transmil import PPEG


def test_one_convolution_encodes_positions_as_three_and_the_identity():
    torch.manual_seed(0)
    ppeg = PPEG(4)
    tokens = torch.randn(6 * 5, 4)
    grid = tokens.T.reshape(1, 4, 6, 5)
    expected = grid + ppeg.proj(grid) + ppeg.proj1(grid) + ppeg.proj2(grid)
    assert torch.allclose(ppeg(tokens, 5), expected.flatten(2)[0].T, atol=1e-5)


def test_a_gradient_leaves_out_the_scores():
    aggregator = create_aggregator("transmil", 4, 2, hidden=32, landmarks=8).train()
    assert aggregator(torch.randn(5, 4)).scores is None
    assert aggregator.eval()(torch.randn(5, 4)).scores.shape == (5, 8)
