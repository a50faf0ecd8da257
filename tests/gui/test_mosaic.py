"""The images of a bag side by side: any number, any size, some unreadable."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.gui.mosaic import BACKGROUND, COARSEST_PX, UNREADABLE, Mosaic

RED = (200, 30, 40)


def write(folder, sizes, colour=RED):
    """Write one picture for each (width, height)."""
    for k, size in enumerate(sizes):
        Image.new("RGB", size, colour).save(folder / f"{k}.png", compress_level=1)
    return folder


def arrange(folder):
    mosaic = Mosaic(open_image_bag(folder), threads=2)
    mosaic.make_thumbnails(CancellationToken())
    return mosaic


def finest(mosaic):
    """Return the pixels of level 0."""
    pixels = mosaic.pixels()
    return np.asarray(pixels.data[0] if pixels.multiscale else pixels.data)


def at(mosaic, i):
    """Return the pixels where an image lies."""
    x, y, width, height = (round(value) for value in mosaic.place(i))
    return finest(mosaic)[y : y + height, x : x + width]


def test_one_image_fills_its_arrangement(tmp_path):
    mosaic = arrange(write(tmp_path, [(40, 30)]))
    assert len(mosaic.layout) == 1
    assert not mosaic.pixels().multiscale
    assert (at(mosaic, 0) == RED).all()
    assert finest(mosaic)[0, 0].tolist() == [BACKGROUND] * 3


def test_ten_images_lie_in_a_square_in_the_order_of_their_names(tmp_path):
    for k in range(10):
        Image.new("RGB", (20, 20), (20 * k, 0, 0)).save(tmp_path / f"{k}.png")
    mosaic = arrange(tmp_path)
    assert mosaic.layout.shape == (3, 4)
    assert [int(at(mosaic, k)[5, 5, 0]) for k in range(10)] == [20 * k for k in range(10)]


def test_two_thousand_images_are_levels_of_which_the_coarsest_is_whole(tmp_path):
    mosaic = arrange(write(tmp_path, [(32, 32)] * 2000))
    pixels = mosaic.pixels()
    assert mosaic.layout.shape == (45, 45)
    assert pixels.multiscale
    assert isinstance(pixels.data[-1], np.ndarray)
    assert max(pixels.data[-1].shape) <= COARSEST_PX
    assert pixels.data[-1][:, :, 0].max() == RED[0]
    last = mosaic.layout.coords[-1].astype(int)
    window = pixels.data[0][last[1] : last[1] + 8, last[0] : last[0] + 8]
    assert (window[4:, 4:] == RED).all()


def test_images_of_mixed_sizes_keep_their_proportions_within_their_cells(tmp_path):
    mosaic = arrange(write(tmp_path, [(10, 10), (40, 20), (20, 40), (10, 12), (4000, 40)]))
    places = [mosaic.place(k) for k in range(5)]
    assert [place[2:] for place in places[:4]] == [(10, 10), (40, 20), (20, 40), (10, 12)]
    width, height = places[4][2:]
    assert width / height == pytest.approx(100)
    assert width <= mosaic.cell, "the largest is shrunk instead of spreading all others"
    for k, (x, y, width, height) in enumerate(places):
        row, column = mosaic.layout.cells[k]
        assert column * mosaic.cell <= x
        assert x + width <= (column + 1) * mosaic.cell + 1e-6
        assert row * mosaic.cell <= y
        assert y + height <= (row + 1) * mosaic.cell + 1e-6


def test_fluorescence_channels_become_red_and_green(tmp_path):
    channels = np.zeros((2, 20, 30), np.uint16)
    channels[0, :, :15] = 4000
    channels[1, :, 15:] = 2000
    tifffile.imwrite(tmp_path / "cells.tif", channels, photometric="minisblack")
    mosaic = arrange(tmp_path)
    assert not mosaic.unreadable
    assert mosaic.images.read(0).shape[2] == 3
    shown = at(mosaic, 0)
    assert shown.max() == 255


def test_an_image_that_cannot_be_read_is_grey_and_named(tmp_path):
    write(tmp_path, [(30, 30)] * 3)
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    mosaic = arrange(tmp_path)
    assert [mosaic.images.names[i] for i in mosaic.unreadable] == ["1.png"]
    assert (at(mosaic, 1) == UNREADABLE).all()
    assert (at(mosaic, 0) == RED).all()
    assert (at(mosaic, 2) == RED).all()


def test_an_image_that_is_damaged_behind_its_header_is_grey_and_named(tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "0.png")
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(noise).save(tmp_path / "1.png")
    mosaic = arrange(tmp_path)
    assert mosaic.unreadable == {0}
    assert mosaic.is_whole
    assert (at(mosaic, 0) == UNREADABLE).all()


def test_thumbnails_are_made_while_there_is_time_and_finished_later(tmp_path):
    mosaic = Mosaic(open_image_bag(write(tmp_path, [(200, 100)] * 20)), threads=2)
    turns = iter([True, False])
    mosaic.make_thumbnails(CancellationToken(), lambda: next(turns))
    assert not mosaic.is_whole
    early = np.asarray(mosaic.pixels().data[-1])
    mosaic.make_thumbnails(CancellationToken())
    assert mosaic.is_whole
    late = np.asarray(mosaic.pixels().data[-1])
    assert (early[:, :, 0] == RED[0]).sum() < (late[:, :, 0] == RED[0]).sum()


def test_thumbnails_stop_when_they_are_cancelled(tmp_path):
    mosaic = Mosaic(open_image_bag(write(tmp_path, [(20, 20)] * 3)), threads=2)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        mosaic.make_thumbnails(token)
    assert not mosaic.is_whole


def test_a_thumbnail_fills_the_coarsest_level_and_is_never_larger_than_its_image(tmp_path):
    mosaic = arrange(write(tmp_path, [(2000, 1000), (10, 5)]))
    coarsest = mosaic.pixels().data[-1]
    assert max(coarsest.shape) <= COARSEST_PX
    across = (coarsest[:, :, 0] == RED[0]).any(0).sum()
    assert mosaic._thumbnails[0].shape[1] == pytest.approx(across, abs=12)
    assert mosaic._thumbnails[1].shape == (5, 10, 3)


def test_any_window_of_a_level_is_the_same_part_of_the_whole(tmp_path, noise):
    for k in range(30):
        Image.fromarray(noise[k : k + 301, k : k + 280]).save(tmp_path / f"{k}.png")
    level = arrange(tmp_path).pixels().data[0]
    whole = np.asarray(level)
    for rows, columns in (
        (slice(0, 50), slice(0, 70)),
        (slice(290, 700, 3), slice(100, 900, 2)),
        (slice(None), slice(-40, None)),
    ):
        np.testing.assert_array_equal(level[rows, columns], whole[rows, columns])
    np.testing.assert_array_equal(level[10:20, 10:20, 0], whole[10:20, 10:20, 0])
    assert level[5:5, 0:10].shape == (0, 10, 3)


def test_a_dim_grey_image_is_shown_at_its_own_contrast_and_colours_as_they_are(tmp_path):
    dim = np.tile(np.arange(20, 60, dtype=np.uint8), (40, 1))
    tifffile.imwrite(tmp_path / "a-dim.tif", dim)
    coloured = np.full((40, 40, 3), (200, 120, 160), np.uint8)
    Image.fromarray(coloured).save(tmp_path / "b-coloured.png")
    mosaic = Mosaic(open_image_bag(tmp_path), 2)
    shown = mosaic.at(0, (40, 40), decodes=True)
    assert shown.min() == 0
    assert shown.max() == 255
    assert (np.diff(shown[0, :, 0].astype(int)) >= 0).all()
    assert np.array_equal(mosaic.at(1, (40, 40), decodes=True), coloured)


def test_a_few_small_images_are_shown_at_their_full_resolution(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for k in range(4):
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    mosaic = Mosaic(open_image_bag(tmp_path), 1)
    mosaic.make_thumbnails(CancellationToken())
    shown = mosaic.pixels()
    assert not shown.multiscale
    x, y, width, height = (round(value) for value in mosaic.place(0))
    assert np.array_equal(shown.data[y : y + height, x : x + width], pixels)
