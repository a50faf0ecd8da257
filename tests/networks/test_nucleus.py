import pytest
import torch

from napari_mil.networks.nucleus import NucleusNet


@pytest.mark.parametrize(("side", "flat"), [(27, 48 * 5 * 5), (32, 48 * 6 * 6)])
def test_sizes_are_those_of_the_paper(side, flat):
    network = NucleusNet(side=side)
    assert network.fc[0].in_features == flat
    assert network(torch.zeros(2, 3, side, side)).shape == (2, 512)


def test_tiles_too_small_are_refused():
    with pytest.raises(ValueError, match="too small"):
        NucleusNet(side=8)
