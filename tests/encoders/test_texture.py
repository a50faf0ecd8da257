import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import hed2rgb

from napari_mil.bags import tile_grid
from napari_mil.encoders import create_encoder, list_encoders
from napari_mil.encoders.texture import DIMENSIONS, RGB_FROM_STAINS, STAIN_RANGE
from napari_mil.slides import open_slide


@pytest.fixture(scope="module")
def encoder():
    return create_encoder("texture", device="cpu")


@pytest.fixture(scope="module")
def tiles(slide_path):
    with open_slide(slide_path) as slide:
        grid = tile_grid(slide, 96, 0.5)
        return np.stack([grid.read(slide, i) for i in range(0, len(grid), 12)])


def value(features, name):
    return features[:, DIMENSIONS.index(name)]


def test_every_dimension_has_a_name_and_the_card_their_number(encoder, tiles):
    features = encoder.encode(tiles)
    assert features.dtype == np.float32
    assert features.shape == (len(tiles), len(DIMENSIONS)) == (len(tiles), encoder.dim)
    assert len(set(DIMENSIONS)) == len(DIMENSIONS)
    assert list_encoders()["texture"].needs == ""


def test_a_tile_has_the_same_features_alone_and_in_any_batch(encoder, tiles):
    together = encoder.encode(tiles)
    assert np.array_equal(together, encoder.encode(tiles)), "deterministic"
    alone = np.concatenate([encoder.encode(tile[None]) for tile in tiles])
    assert np.abs(alone - together).max() <= 1e-5


def test_turning_and_mirroring_a_tile_changes_nothing(encoder, tiles):
    straight = encoder.encode(tiles)
    for turned in (tiles[:, ::-1], np.rot90(tiles, axes=(1, 2)), tiles.transpose(0, 2, 1, 3)):
        assert np.abs(encoder.encode(np.ascontiguousarray(turned)) - straight).max() < 1e-4


def test_colours_are_what_they_are_called(encoder, tiles):
    features = encoder.encode(tiles)
    assert value(features, "green mean") == pytest.approx(
        tiles[..., 1].mean((1, 2)) / 255, abs=1e-5
    )
    assert value(features, "blue sd") == pytest.approx(tiles[..., 2].std((1, 2)) / 255, abs=1e-5)


def test_more_haematoxylin_is_seen_as_haematoxylin(encoder):
    stained = np.zeros((4, 32, 32, 3))
    stained[..., 0] = np.array([0, 0.03, 0.06, 0.1])[:, None, None]
    features = encoder.encode((hed2rgb(stained) * 255).round().astype(np.uint8))
    assert (np.diff(value(features, "haematoxylin mean")) > 0.05).all()
    assert np.abs(np.diff(value(features, "eosin mean"))).max() < 0.1


def test_quantiles_are_those_of_the_densities(encoder, tiles):
    density = -np.log((tiles.astype(float) + 1) / 256)
    stains = density @ np.linalg.inv(RGB_FROM_STAINS)
    haematoxylin = stains[..., 0].reshape(len(tiles), -1).clip(*STAIN_RANGE)
    for q in (0.25, 0.5, 0.95):
        assert value(encoder.encode(tiles), f"haematoxylin quantile {q}") == pytest.approx(
            np.quantile(haematoxylin, q, axis=1), abs=0.04
        )


def test_patterns_tell_flat_from_textured(encoder):
    random = np.random.default_rng(0)
    flat = np.full((1, 64, 64, 3), 200, np.uint8)
    rough = random.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    features = encoder.encode(np.concatenate([flat, rough]))
    assert value(features, "haematoxylin pattern 0 pooled 1 px")[0] == 1
    assert value(features, "haematoxylin pattern 9 pooled 1 px")[1] > 0.2


@pytest.mark.parametrize("pixel", [0, 255])
def test_black_and_white_tiles_have_finite_features(encoder, pixel):
    assert np.isfinite(encoder.encode(np.full((2, 8, 8, 3), pixel, np.uint8))).all()


def test_an_empty_batch_has_no_rows(encoder):
    assert encoder.encode(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, encoder.dim)


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 4, 64, 3), (1, 64, 64, 4)])
def test_what_is_no_batch_of_tiles_is_refused(encoder, shape):
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(np.zeros(shape, np.uint8))


def test_the_documentation_lists_the_dimensions_in_order():
    page = (Path(__file__).resolve().parents[2] / "docs" / "texture.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [row[1] for row in rows] == list(DIMENSIONS)
    assert [row[0] for row in rows] == [f"| {k}" for k in range(len(DIMENSIONS))]


def test_encoding_leaves_the_threads_of_torch_as_they_were():
    seen = []
    before = torch.get_num_threads()
    create_encoder("texture", device="cpu", threads=2).encode(np.zeros((4, 64, 64, 3), np.uint8))
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [before, before]
