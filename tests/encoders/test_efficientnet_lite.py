import numpy as np
import pytest
import torch

from napari_mil.bags import tile_grid
from napari_mil.encoders import create_encoder, efficientnet_lite
from napari_mil.encoders.cards import DEFAULT_ENCODER, EFFICIENTNET_LITE0
from napari_mil.networks.efficientnet_lite import (
    EfficientNetLite0Trunk,
    as_levels,
    released_weights,
)
from napari_mil.slides import open_slide

both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


@pytest.fixture(scope="module")
def encoders():
    return {
        precision: create_encoder("efficientnet-lite0", device="cpu", precision=precision)
        for precision in ("float32", "bfloat16")
    }


@pytest.fixture(scope="module")
def tiles(slide_path):
    with open_slide(slide_path) as slide:
        grid = tile_grid(slide, 96, 0.5)
        return np.stack([grid.read(slide, i) for i in range(0, len(grid), 4)])


@pytest.fixture(scope="module")
def expected(tiles):
    """Return means of the maps of the network as it was published, with its batch norms."""
    trunk = EfficientNetLite0Trunk((4, 10)).eval()
    weights = released_weights()
    trunk.load_state_dict({name: weights[name] for name in trunk.state_dict()})
    with torch.inference_mode():
        maps = trunk(as_levels(torch.tensor(tiles)))
        # Maps are 12 x 12 and 6 x 6; their middles 6 x 6 and 4 x 4.
        parts = [maps[0], maps[0][:, :, 3:9, 3:9], maps[1], maps[1][:, :, 1:5, 1:5]]
        return torch.cat([each.mean((2, 3)) for each in parts], 1).numpy()


def test_it_is_the_default():
    assert DEFAULT_ENCODER == "efficientnet-lite0"


def test_float32_features_are_means_of_the_published_maps(encoders, tiles, expected):
    features = encoders["float32"].encode(tiles)
    assert features.dtype == np.float32
    assert features.shape == (len(tiles), 304)
    assert features == pytest.approx(expected, abs=1e-3)


def test_bfloat16_features_agree_within_the_tolerance_of_the_card(encoders, tiles, expected):
    deviation = (encoders["bfloat16"].encode(tiles) - expected) / expected.std(0)
    of_feature = np.sqrt((deviation**2).mean(0))
    assert 0 < of_feature.max() <= EFFICIENTNET_LITE0.tolerance


def test_both_precisions_may_be_mixed(encoders):
    assert encoders["float32"].fingerprint == encoders["bfloat16"].fingerprint
    assert encoders["bfloat16"].precision == "bfloat16"
    moved = encoders["bfloat16"].to(torch.device("cpu"))
    assert (moved.precision, moved.fingerprint) == ("bfloat16", encoders["float32"].fingerprint)


@both_precisions
@pytest.mark.parametrize("side", [32, 57, 96])
def test_a_tile_has_the_same_bits_alone_and_in_any_batch(encoders, tiles, precision, side):
    encoder = encoders[precision]
    cut = np.ascontiguousarray(tiles[:37, :side, :side])
    together = encoder.encode(cut)
    order = np.random.default_rng(0).permutation(len(cut))
    assert np.array_equal(encoder.encode(cut[order]), together[order])
    alone = np.concatenate([encoder.encode(tile[None]) for tile in cut])
    assert np.array_equal(alone, together)


@pytest.mark.parametrize("side", [64, 224, 1000])
def test_few_pixels_pass_through_the_network_together(monkeypatch, side):
    encoder = create_encoder("efficientnet-lite0", device="cpu", threads=1, precision="float32")
    seen = []

    def network(images):
        seen.append(images.shape[0] * images.shape[2] * images.shape[3])
        return (torch.zeros(len(images), 40, 2, 2), torch.zeros(len(images), 112, 1, 1))

    monkeypatch.setattr(encoder, "_network", network)
    assert encoder.encode(np.zeros((33, side, side, 3), np.uint8)).shape == (33, 304)
    assert max(seen) <= max(efficientnet_lite.BLOCK_PX, side * side)
    assert sum(seen) == 33 * side * side


def test_maps_are_those_of_the_last_block(encoders, tiles):
    maps = encoders["float32"].maps(tiles[:3, :90])
    assert maps.shape == (3, 112, 6, 6)
    features = encoders["float32"].encode(np.ascontiguousarray(tiles[:3, :90]))
    assert maps.mean((2, 3)) == pytest.approx(features[:, 80:192], abs=1e-4)


def test_bfloat16_is_taken_where_the_cpu_has_units_for_it(monkeypatch):
    for has_units, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda has=has_units: {"avx512_bf16": has}
        )
        assert create_encoder("efficientnet-lite0", device="cpu").precision == expected


@pytest.mark.parametrize("pixel", [0, 255])
def test_black_and_white_tiles_have_finite_features(encoders, pixel):
    tiles = np.full((2, 32, 40, 3), pixel, np.uint8)
    assert all(np.isfinite(encoder.encode(tiles)).all() for encoder in encoders.values())


def test_an_empty_batch_has_no_rows(encoders):
    empty = np.empty((0, 64, 64, 3), np.uint8)
    assert encoders["float32"].encode(empty).shape == (0, 304)
    with pytest.raises(ValueError, match="at least one"):
        encoders["float32"].maps(empty)


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 16, 64, 3), (1, 64, 64, 4)])
def test_what_is_no_batch_of_tiles_is_refused(encoders, shape):
    with pytest.raises(ValueError, match="uint8"):
        encoders["float32"].encode(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        encoders["float32"].maps(np.zeros(shape, np.uint8))
