"""Double-tier feature distillation: pseudo-bags and their answers."""

import torch

from napari_mil.aggregators import create_aggregator


def test_pseudo_bags_differ_by_at_most_one_instance():
    aggregator = create_aggregator("dtfd", 8, 2, groups=4).eval()
    sizes = torch.bincount(aggregator.deal(torch.zeros(10, 8), 0))
    assert sorted(sizes.tolist()) == [2, 2, 3, 3]


def test_dtfd_averages_its_shuffles_in_logarithms():
    torch.manual_seed(0)
    aggregator = create_aggregator("dtfd", 8, 3, mean_inference=4).eval()
    assert torch.isfinite(aggregator(torch.randn(20, 8) * 1e4).logits).all()
