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


def test_a_random_order_is_drawn_anew_in_training_and_always_alike_in_evaluation():
    torch.manual_seed(0)
    aggregator = create_aggregator(
        "transmil", 4, 2, hidden=32, landmarks=8, order="random", attention_dropout=0
    )
    bag = torch.randn(30, 4)
    with torch.no_grad():
        first, second = aggregator.train()(bag).logits, aggregator(bag).logits
        third, fourth = aggregator.eval()(bag), aggregator(bag)
    assert not torch.equal(first, second)
    assert torch.equal(third.logits, fourth.logits)


def test_scores_of_a_random_order_are_those_of_the_instances():
    torch.manual_seed(0)
    aggregator = create_aggregator("transmil", 4, 2, hidden=32, landmarks=8, order="random").eval()
    bag = torch.randn(30, 4)
    order = aggregator.random_order(30)
    with torch.no_grad():
        shuffled = aggregator(bag)
        aggregator.order = "file"
        ordered = aggregator(bag[order])
    assert torch.allclose(shuffled.logits, ordered.logits, atol=1e-6)
    assert torch.allclose(shuffled.scores[order], ordered.scores, atol=1e-6)
