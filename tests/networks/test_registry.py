import numpy as np
import pytest
import torch

from napari_mil.errors import UnknownNameError
from napari_mil.networks.registry import BACKBONES, as_input, create_backbone


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_takes_the_images_it_was_published_for(name):
    spec = BACKBONES[name]
    network = create_backbone(name).eval()
    images = torch.zeros(1, spec.channels, spec.tile_px, spec.tile_px)
    assert network(images).shape == (1, network.out_dim)


def test_unknown_names_and_sizes_are_refused_with_the_way_out():
    with pytest.raises(UnknownNameError, match=r"'vgg'.*lenet5"):
        create_backbone("vgg")
    with pytest.raises(UnknownNameError, match="at least 16"):
        create_backbone("lenet5", tile_px=8)


def test_tiles_become_numbers_between_minus_one_and_one():
    tiles = np.zeros((2, 4, 6, 3), np.uint8)
    tiles[1] = 255
    colour = as_input(tiles, 3)
    assert colour.shape == (2, 3, 4, 6)
    assert colour[0].unique().tolist() == [-1]
    assert colour[1].unique().tolist() == [1]
    assert as_input(tiles, 1).shape == (2, 1, 4, 6)
