"""Base classes of aggregators: losses, projection and maps."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.aggregator import projection, spatial_mean


def test_the_instance_loss_leaves_out_unknown_targets():
    aggregator = create_aggregator("abmil", 4, 3)
    logits = torch.randn(5, 3)
    known = functional.cross_entropy(logits[1:3], torch.tensor([2, 0]))
    targets = torch.tensor([-1, 2, 0, -1, -1])
    assert torch.allclose(aggregator.instance_loss(logits, targets), known)
    assert aggregator.instance_loss(logits, torch.full((5,), -1)) == 0


def test_labels_of_their_own_have_a_sigmoid_each_in_the_bag_loss():
    aggregator = create_aggregator("abmil", 4, 2, multi_label=True)
    loss = aggregator.bag_loss(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert aggregator.sigmoids
    assert loss.item() == pytest.approx(0.693147, abs=1e-5)


def test_without_hidden_units_features_are_left_as_they_are():
    assert isinstance(projection(4, None, 0.5), nn.Identity)
    assert projection(4, 2, 0.5)[0].out_features == 2


def test_maps_are_averaged_over_space_and_vectors_are_kept():
    maps = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert spatial_mean(maps).tolist() == [[1.5, 5.5]]
    assert torch.equal(spatial_mean(maps[:, :, 0, 0]), maps[:, :, 0, 0])
