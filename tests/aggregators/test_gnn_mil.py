"""Graph neural network MIL: neighbours and losses."""

import torch

from napari_mil.aggregators import create_aggregator


def test_by_default_neighbours_are_closer_than_the_root_mean_square_distance():
    aggregator = create_aggregator("gnn-mil", 3, 2)
    bag = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.pdist(bag).square().mean().sqrt()
    assert torch.allclose(aggregator.neighbour_distance(bag), expected, atol=1e-5)


def test_an_instance_without_neighbours_has_a_mean_of_zero():
    aggregator = create_aggregator("gnn-mil", 1, 2)
    bag = torch.tensor([[0.0], [1.0], [9.0]])
    means = aggregator.neighbour_means(bag, bag, torch.tensor(2.0))
    assert means.tolist() == [[1.0], [0.0], [0.0]]


def test_averaged_clusters_do_not_grow_with_the_bag():
    torch.manual_seed(0)
    aggregator = create_aggregator("gnn-mil", 3, 2, threshold=0.0).eval()
    bag = torch.randn(4, 3)
    twice = torch.cat([bag, bag])
    with torch.no_grad():
        assert not torch.allclose(aggregator(twice).logits, aggregator(bag).logits, atol=1e-3)
        aggregator.averages = True
        assert torch.allclose(aggregator(twice).logits, aggregator(bag).logits, atol=1e-6)
