import numpy as np
import pytest
import torch

from napari_mil.encoders.backbone import BackboneEncoder, resized, weights_fingerprint
from napari_mil.networks import LeNet5, as_input


@pytest.fixture
def network():
    torch.manual_seed(0)
    return LeNet5(out_dim=8)


def test_features_are_those_of_the_network_whatever_the_batch(network):
    tiles = np.random.default_rng(0).integers(0, 256, (70, 28, 28, 3), dtype=np.uint8)
    encoder = BackboneEncoder("lenet5", network, tile_px=28)
    features = encoder.encode(tiles)
    assert features.dtype == np.float32
    assert features.shape == (70, encoder.dim) == (70, 8)
    with torch.no_grad():
        alone = network.eval()(as_input(tiles[66:67], 1)).numpy()
    assert features[66:67] == pytest.approx(alone, abs=1e-6)


def test_the_fingerprint_follows_the_weights(network):
    encoder = BackboneEncoder("lenet5", network, tile_px=28)
    assert encoder.fingerprint == weights_fingerprint(network)
    assert encoder.to(torch.device("cpu")).fingerprint == encoder.fingerprint
    with torch.no_grad():
        network.fc.bias += 1
    assert weights_fingerprint(network) != encoder.fingerprint, "the encoder has a copy"


def test_tiles_of_another_size_are_resized_as_a_whole():
    tiles = np.zeros((1, 20, 40, 3), np.uint8)
    tiles[:, :, 20:] = 200
    small = resized(tiles, 10)
    assert small.shape == (1, 10, 10, 3)
    assert (small[0, :, 0] == 0).all()
    assert (small[0, :, -1] == 200).all()
