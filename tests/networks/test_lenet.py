import pytest
import torch

from napari_mil.networks.lenet import LeNet5


def test_sizes_are_those_of_the_paper():
    assert LeNet5()(torch.zeros(2, 1, 28, 28)).shape == (2, 500)
    assert LeNet5().fc.in_features == 800


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="too small"):
        LeNet5(side=8)
