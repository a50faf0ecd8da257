import torch

from napari_mil.networks.resnet import ResNet18


def test_vectors_and_maps_have_512_channels():
    assert ResNet18()(torch.zeros(1, 3, 64, 64)).shape == (1, 512)
    assert ResNet18(maps=True)(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 2, 3)


def test_it_has_the_tensors_of_the_usual_releases():
    network = ResNet18()
    assert sum(weight.numel() for weight in network.parameters()) == 11_176_512
    state = network.state_dict()
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_var"].shape == (512,)
    instance_norm = ResNet18(norm=torch.nn.InstanceNorm2d)
    assert not any("bn" in name for name in instance_norm.state_dict())
