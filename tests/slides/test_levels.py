import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.slides.levels import ChunkCache, Level, chunk_size_for

PIXELS = np.random.default_rng(0).integers(0, 256, (53, 71, 3), dtype=np.uint8)


def level_of(pixels, chunk=(16, 16), cache=None, extent=None):
    def read(row, column, height, width):
        return pixels[row : row + height, column : column + width].copy()

    return Level(0, pixels.shape[1::-1], chunk, read, cache or ChunkCache(10**6), extent=extent)


bounds = st.tuples(st.integers(-80, 80), st.integers(-80, 80), st.integers(1, 3)).map(
    lambda t: slice(*t)
)


@given(rows=bounds, columns=bounds)
def test_a_level_indexes_like_the_array_it_stands_for(rows, columns):
    assert np.array_equal(level_of(PIXELS)[rows, columns], PIXELS[rows, columns])


@given(row=st.integers(-53, 52), column=st.integers(-71, 70))
def test_single_rows_columns_and_channels_index_too(row, column):
    level = level_of(PIXELS)
    assert np.array_equal(level[row], PIXELS[row])
    assert np.array_equal(level[row, column], PIXELS[row, column])
    assert np.array_equal(level[..., 1], PIXELS[..., 1])
    assert np.array_equal(level[:, column, 0], PIXELS[:, column, 0])


def test_indices_beyond_the_edge_are_refused():
    with pytest.raises(IndexError):
        level_of(PIXELS)[53]
    with pytest.raises(IndexError):
        level_of(PIXELS)[::-1]


def test_the_cache_never_holds_more_than_its_capacity():
    cache = ChunkCache(5 * 16 * 16 * 3)
    level = level_of(PIXELS, cache=cache)
    np.asarray(level)
    assert cache.nbytes <= 5 * 16 * 16 * 3
    cache.clear()
    assert cache.nbytes == 0


def test_what_the_file_does_not_store_is_white_and_never_read():
    corners = []

    def read(row, column, height, width):
        corners.append((row, column))
        return PIXELS[row : row + height, column : column + width].copy()

    level = Level(0, (71, 53), (16, 16), read, ChunkCache(10**6), extent=(16, 16, 32, 32))
    whole = np.asarray(level)
    assert corners == [(16, 16)]
    assert np.array_equal(whole[16:32, 16:32], PIXELS[16:32, 16:32])
    assert (whole[:16] == 255).all()
    assert (whole[32:] == 255).all()


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        ((240, 240), (480, 480)),
        ((256, 256), (512, 512)),
        ((512, 512), (512, 512)),
        ((4000, 8), (512, 512)),
        (None, (512, 512)),
    ],
)
def test_chunks_are_the_files_tiles_times_a_power_of_two(tile, expected):
    assert chunk_size_for(tile, 512) == expected


def test_a_slide_with_too_few_levels_gets_coarser_ones(slide):
    shapes = [level.shape[:2] for level in slide.levels]
    assert shapes[0] == slide.dimensions[::-1]
    assert max(shapes[-1]) <= 1000
    assert all(
        1.9 < a / b < 2.1
        for finer, coarser in itertools.pairwise(shapes)
        for a, b in zip(finer, coarser, strict=True)
    )


def test_dask_levels_have_the_same_pixels_and_chunks_as_the_lazy_ones(slide):
    for lazy, array in zip(slide.levels, slide.pyramid(), strict=True):
        assert array.shape == lazy.shape
        assert array.chunks == lazy.chunks
        assert array.dtype == np.uint8
        assert np.array_equal(array[100:150, 200:260].compute(), lazy[100:150, 200:260])


@pytest.mark.parametrize("downsamples", [(1,), (1, 3), (1, 4, 16)])
def test_a_landmark_lies_at_the_same_place_on_every_level(paint, downsamples):
    """World coordinates as napari has them: the level's pixel edges span the slide."""
    level0 = np.full((2501, 3203, 3), 255, np.uint8)
    level0[1000:1040, 2200:2260] = 0
    slide = paint(level0, downsamples, tile=256)
    assert len(slide.levels) > 1
    for level in slide.levels:
        dark = 255 - np.asarray(level)[..., 0].astype(float)
        rows, columns = np.indices(dark.shape)
        scale_y = level0.shape[0] / level.shape[0]
        scale_x = level0.shape[1] / level.shape[1]
        centre_y = ((rows + 0.5) * dark).sum() / dark.sum() * scale_y
        centre_x = ((columns + 0.5) * dark).sum() / dark.sum() * scale_x
        assert centre_y == pytest.approx(1020, abs=scale_y)
        assert centre_x == pytest.approx(2230, abs=scale_x)
