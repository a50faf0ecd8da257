from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags import TissueMask, tile_grid
from napari_mil.errors import MissingMppError, NapariMilError, ResolutionError
from napari_mil.slides import open_slide
from napari_mil.slides.resolution import Scale, ScaleSource


class Canvas:
    """Geometry of a slide without pixels."""

    path = Path("canvas.svs")

    def __init__(self, width, height, mpp=0.5, downsamples=(1.0,), implausible=None):
        self.dimensions = (width, height)
        self.scale = Scale(mpp, ScaleSource.OPENSLIDE, implausible)
        self.mpp = mpp
        self.level_downsamples = downsamples
        self.level_count = len(downsamples)

    def best_level_for_downsample(self, downsample):
        return max(
            (k for k, d in enumerate(self.level_downsamples) if d <= downsample * 1.001), default=0
        )


@given(
    width=st.integers(1, 5000),
    height=st.integers(1, 5000),
    tile_px=st.integers(16, 512),
    mpp=st.floats(0.3, 4),
    overlap=st.sampled_from([0.0, 0.25, 1 / 3, 0.5]),
)
def test_tiles_neither_drift_nor_leave_gaps(width, height, tile_px, mpp, overlap):
    grid = tile_grid(Canvas(width, height), tile_px, mpp, overlap=overlap)
    assert grid.coords.dtype == np.int64
    assert grid.tile_size0 == pytest.approx(tile_px * mpp / 0.5)
    assert len(grid) == grid.shape[0] * grid.shape[1]
    assert np.abs(grid.coords - grid.cells[:, ::-1] * grid.stride0).max() <= 0.5
    assert np.array_equal(grid.cells, grid.cells[np.lexsort(grid.cells.T[::-1])]), "row by row"


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), tile_px=st.integers(16, 400))
def test_a_tile_belongs_to_the_grid_when_its_centre_lies_inside(width, height, tile_px):
    grid = tile_grid(Canvas(width, height), tile_px, 0.5)
    rows, columns = grid.shape
    if columns > 1:
        assert (grid.coords[:, 0] + tile_px / 2 < width).all()
    if rows > 1:
        assert (grid.coords[:, 1] + tile_px / 2 < height).all()
    assert (columns + 0.5) * tile_px >= width
    assert (rows + 0.5) * tile_px >= height


def test_a_slide_smaller_than_a_tile_gives_one_tile_padded_with_white(paint):
    slide = paint(np.zeros((16, 16, 3), np.uint8), tile=16)
    grid = tile_grid(slide, 64, 0.5)
    tile = grid.read(slide, 0)
    assert len(grid) == 1
    assert tile.shape == (64, 64, 3)
    assert (tile[:16, :16] == 0).all()
    assert (tile[16:] == 255).all()


def test_a_tile_at_the_scale_of_a_level_has_its_very_pixels(paint, noise):
    slide = paint(noise[:600, :464], downsamples=(1, 2))
    level0 = tile_grid(slide, 64, 0.5)
    level1 = tile_grid(slide, 64, 1.0)
    assert (level0.level, level1.level) == (0, 1)
    # Tile 8 lies in the second row and the second of 7 columns.
    assert np.array_equal(level0.read(slide, 8), noise[64:128, 64:128])
    x, y = level1.coords[4]
    assert np.array_equal(level1.read(slide, 4), slide.read_region((x, y), 1, (64, 64)))


def test_a_tile_between_levels_averages_exactly_what_it_covers(paint):
    """The mean of any window of a ramp is the ramp at its middle.

    A shift of half a pixel would show.
    """
    row = np.linspace(0, 250, 1000).round().astype(np.uint8)
    ramp = np.repeat(np.repeat(row[None, :, None], 400, 0), 3, 2)
    slide = paint(ramp, downsamples=(1, 4), mpp=0.499, tile=128)
    grid = tile_grid(slide, 100, 0.7)
    for i in (0, 1, 3, 5):
        x = grid.coords[i, 0]
        inside = min(x + grid.tile_size0, 1000) - x
        expected = (x + inside / 2 - 0.5) * 250 / 999
        columns = int(inside / grid.tile_size0 * 100)
        assert grid.read(slide, i)[:50, :columns].mean() == pytest.approx(expected, abs=0.6)


def test_a_mask_keeps_tiles_with_enough_tissue():
    mask = TissueMask(np.zeros((10, 10), bool), (100.0, 100.0))
    mask.mask[:, :5] = True
    canvas = Canvas(1000, 1000)
    half = tile_grid(canvas, 400, 0.5, mask=mask, min_tissue=0.25)
    most = tile_grid(canvas, 400, 0.5, mask=mask, min_tissue=0.5)
    assert half.coords[:, 0].tolist() == [0, 400, 0, 400]
    assert most.coords[:, 0].tolist() == [0, 0]


def test_an_edge_tile_counts_tissue_of_the_part_inside():
    mask = TissueMask(np.ones((10, 10), bool), (100.0, 100.0))
    grid = tile_grid(Canvas(1000, 1000), 300, 0.5, mask=mask, min_tissue=0.99)
    assert len(grid) == 9
    grid = tile_grid(Canvas(1000, 1000), 380, 0.5, mask=mask, min_tissue=0.99)
    assert len(grid) == 9, "the last column hangs over by 140 pixels"


@given(size=st.integers(20, 400), mpp=st.floats(0.3, 3))
def test_full_tissue_is_full_and_no_minimum_is_none(size, mpp):
    canvas = Canvas(1000, 1300)
    full, none = (
        TissueMask(np.full((37, 29), value), (1000 / 29, 1300 / 37)) for value in (True, False)
    )
    tiles = len(tile_grid(canvas, size, mpp))
    assert len(tile_grid(canvas, size, mpp, mask=full, min_tissue=1.0)) == tiles
    assert len(tile_grid(canvas, size, mpp, mask=none, min_tissue=0.0)) == tiles


def test_tiles_by_level_need_no_scale():
    grid = tile_grid(Canvas(1000, 800, mpp=None, downsamples=(1.0, 4.0)), 100, level=1)
    assert (grid.tile_size0, grid.level, grid.mpp) == (400.0, 1, None)
    with pytest.raises(ResolutionError, match="no level 2"):
        tile_grid(Canvas(10, 10, downsamples=(1.0, 4.0)), level=2)


def test_a_slide_without_scale_is_refused_with_the_way_out():
    remedies = "give its µm per pixel, or take tiles of a level"
    with pytest.raises(MissingMppError, match=rf"canvas\.svs has no resolution; {remedies}"):
        tile_grid(Canvas(100, 100, mpp=None))


def test_an_implausible_scale_is_named_in_the_refusal():
    canvas = Canvas(100, 100, mpp=None, implausible=352.8)
    with pytest.raises(MissingMppError, match=r"canvas\.svs has an implausible .*352\.8 µm"):
        tile_grid(canvas)


def test_tiles_finer_than_the_scan_are_refused():
    with pytest.raises(ResolutionError, match="29"):
        tile_grid(Canvas(1152, 700, mpp=28.97), 224, 0.5)
    assert tile_grid(Canvas(1472, 690, mpp=0.987), 224, 0.5).tile_size0 == pytest.approx(
        224 * 0.5 / 0.987
    )


@pytest.mark.parametrize(
    "arguments",
    [{"tile_px": 0}, {"mpp": -1.0}, {"mpp": float("nan")}, {"overlap": 1.0}, {"min_tissue": 1.5}],
)
def test_senseless_arguments_are_refused(arguments):
    with pytest.raises(NapariMilError, match="cannot be"):
        tile_grid(Canvas(100, 100), **arguments)


def test_batches_come_in_the_order_asked_for(slide):
    grid = tile_grid(slide, 128, 0.5)
    order = np.random.default_rng(0).permutation(len(grid))[:50]
    with ThreadPoolExecutor(4) as pool:
        batches = list(grid.read_batches(slide, order, 16, pool, ahead=2))
    assert np.array_equal(np.concatenate([indices for indices, _ in batches]), order)
    assert [len(tiles) for _, tiles in batches] == [16, 16, 16, 2]
    assert np.array_equal(batches[1][1][3], grid.read(slide, int(order[19])))


def test_no_more_batches_are_in_flight_than_asked_for(slide):
    grid = tile_grid(slide, 64, 0.5)
    requests = []

    class CountingPool:
        def submit(self, read, slide, i):
            requests.append(i)
            return ThreadPoolExecutor(1).submit(read, slide, i)

    batches = grid.read_batches(slide, np.arange(40), 4, CountingPool(), ahead=3)
    next(batches)
    assert len(requests) == 12
    batches.close()


def test_the_fingerprint_follows_the_plan():
    canvas = Canvas(3000, 2000)
    fingerprint = tile_grid(canvas, 128, 0.5).fingerprint
    assert tile_grid(canvas, 128, 0.5).fingerprint == fingerprint
    assert tile_grid(canvas, 128, 0.5, overlap=0.5).fingerprint != fingerprint


def test_pixels_that_are_not_square_give_square_tiles(tmp_path):
    """Twice as high as wide: half as many rows of pixels, and the same picture."""
    fine = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    pixels = np.repeat(np.repeat(fine[::2, ::2], 2, 0), 2, 1)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.ascontiguousarray(pixels[::2]),
        photometric="rgb",
        tile=(64, 64),
        resolution=(1e4 / 0.25, 1e4 / 0.5),
        resolutionunit="CENTIMETER",
    )
    tifffile.imwrite(
        tmp_path / "b.tif",
        pixels,
        photometric="rgb",
        tile=(64, 64),
        resolution=(1e4 / 0.25, 1e4 / 0.25),
        resolutionunit="CENTIMETER",
    )
    with open_slide(tmp_path / "a.tif") as flat, open_slide(tmp_path / "b.tif") as square:
        assert flat.mpp_xy == pytest.approx((0.25, 0.5))
        one = tile_grid(flat, 64, 0.5)
        other = tile_grid(square, 64, 0.5)
        assert one.aspect == pytest.approx(2)
        assert one.tile_size0 == pytest.approx(128)
        assert one.shape == other.shape
        assert np.array_equal(one.coords * (1, 2), other.coords)
        for i in range(len(one)):
            assert np.array_equal(one.read(flat, i), other.read(square, i))
        whole = TissueMask(np.ones((16, 32), bool), (16.0, 16.0))
        assert len(tile_grid(flat, 64, 0.5, mask=whole)) == len(one)
