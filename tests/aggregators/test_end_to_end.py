"""A backbone and an aggregator trained from images."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.networks import LeNet5, ResNet18


def test_chunks_count_each_image_once_in_running_statistics():
    network = EndToEnd(ResNet18(), create_aggregator("abmil", 512, 2, hidden=None), chunk=2).train()
    network(torch.rand(4, 3, 32, 32), torch.tensor(1)).loss.backward()
    assert network.backbone.bn1.num_batches_tracked == 2


@pytest.mark.parametrize("chunk", [None, 4])
def test_a_bag_of_images_trains_backbone_and_aggregator(chunk):
    torch.manual_seed(0)
    network = EndToEnd(
        LeNet5(32), create_aggregator("gated-abmil", 32, 1, hidden=None), channels=1, chunk=chunk
    )
    bags = [
        (torch.randn(7, 1, 28, 28) + shift, torch.tensor([float(shift > 0)]))
        for shift in (0, 1)
        for _ in range(3)
    ]
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    first = sum(network(bag, target).loss.item() for bag, target in bags)
    for _ in range(8):
        for bag, target in bags:
            optimiser.zero_grad()
            network(bag, target).loss.backward()
            optimiser.step()
    assert sum(network(bag, target).loss.item() for bag, target in bags) < first / 2


def test_chunks_give_the_same_gradient_as_the_whole_bag():
    torch.manual_seed(0)
    whole = EndToEnd(LeNet5(16), create_aggregator("hamil-mean", 16, 2), channels=1)
    chunked = EndToEnd(whole.backbone, whole.aggregator, channels=1, chunk=2)
    bag = torch.randn(5, 1, 28, 28)
    gradients = []
    for network in (whole, chunked):
        network.zero_grad()
        network(bag, torch.tensor(1)).loss.backward()
        gradients.append(whole.backbone.convolutions[0].weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-6)
