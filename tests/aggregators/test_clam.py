"""Clustering-constrained attention: evidence and instance loss."""

import torch

from napari_mil.aggregators import create_aggregator


def test_the_ends_of_the_ranking_are_evidence_for_the_label_of_the_bag():
    attention = torch.tensor([[0.1], [0.4], [0.3], [0.2]])
    aggregator = create_aggregator("clam-sb", 4, 2, k_sample=1)
    rows, targets = aggregator.select_evidence(attention, 1, True)
    assert (rows.tolist(), targets.tolist()) == ([1, 0], [1, 0])
    assert len(aggregator.select_evidence(attention, 0, False)[0]) == 0
    aggregator.subtyping = True
    rows, targets = aggregator.select_evidence(attention, 0, False)
    assert (rows.tolist(), targets.tolist()) == ([1], [0])


def test_a_bag_of_one_has_no_instance_loss():
    aggregator = create_aggregator("clam-mb", 4, 2)
    assert set(aggregator(torch.randn(1, 4), torch.tensor(1)).losses) == {"bag"}
    assert set(aggregator(torch.randn(2, 4), torch.tensor(1)).losses) == {"bag", "instances"}
