"""The papers' backbones: shapes, weights that fit the usual releases, and training from images."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.networks import LeNet5, NucleusNet, ResNet18


def test_sizes_are_those_of_the_papers():
    assert LeNet5()(torch.zeros(2, 1, 28, 28)).shape == (2, 500)
    assert LeNet5().fc.in_features == 800
    for side, flat in ((27, 48 * 5 * 5), (32, 48 * 6 * 6)):
        network = NucleusNet(side=side)
        assert network.fc[0].in_features == flat
        assert network(torch.zeros(2, 3, side, side)).shape == (2, 512)
    assert ResNet18()(torch.zeros(1, 3, 64, 64)).shape == (1, 512)
    assert ResNet18(maps=True)(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 2, 3)


def test_resnet_has_the_tensors_of_the_usual_releases():
    state = ResNet18().state_dict()
    assert (
        sum(
            tensor.numel()
            for name, tensor in state.items()
            if "running" not in name and "num_batches" not in name
        )
        == 11_176_512
    )
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_var"].shape == (512,)
    instance_norm = ResNet18(norm=torch.nn.InstanceNorm2d)
    assert not any("bn" in name for name in instance_norm.state_dict())


def test_images_too_small_are_refused():
    for network in (LeNet5, NucleusNet):
        with pytest.raises(ValueError, match="too small"):
            network(side=8)


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
