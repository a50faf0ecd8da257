"""Single-instance baseline: instances learn the label of their bag."""

import torch
from torch.nn import functional

from napari_mil.aggregators import create_aggregator


def test_every_instance_learns_the_label_of_the_bag():
    aggregator = create_aggregator("single-instance", 4, 3)
    bag = torch.randn(5, 4)
    output = aggregator(bag, torch.tensor(2))
    expected = functional.cross_entropy(output.instance_logits, torch.full((5,), 2))
    assert list(output.losses) == ["instances"]
    assert torch.allclose(output.loss, expected)


def test_targets_of_the_instances_come_before_that_of_the_bag():
    aggregator = create_aggregator("single-instance", 4, 3)
    bag = torch.randn(2, 4)
    output = aggregator(bag, torch.tensor(2), torch.tensor([0, 1]))
    expected = functional.cross_entropy(output.instance_logits, torch.tensor([0, 1]))
    assert torch.allclose(output.loss, expected)
