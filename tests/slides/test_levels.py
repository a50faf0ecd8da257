import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.slides.cache import PixelCache
from napari_mil.slides.levels import Level, chunk_size_for

PIXELS = np.random.default_rng(0).integers(0, 256, (53, 71, 3), dtype=np.uint8)


def level_of(pixels, chunk=(16, 16), cache=None, extent=None):
    def read(row, column, height, width):
        return pixels[row : row + height, column : column + width].copy()

    return Level(0, pixels.shape[1::-1], chunk, read, cache or PixelCache(10**6), extent=extent)


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
    cache = PixelCache(5 * 16 * 16 * 3)
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

    level = Level(0, (71, 53), (16, 16), read, PixelCache(10**6), extent=(16, 16, 32, 32))
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


@given(st.integers(0, 900), st.integers(0, 900), st.integers(1, 400), st.integers(1, 400))
def test_the_ring_around_a_window_surrounds_it_without_touching_its_chunks(top, left, down, across):
    level = Level(0, (1000, 950), (128, 64), lambda *window: None, PixelCache(0))
    bottom = min(top + down, 950)
    right = min(left + across, 1000)
    if top >= bottom:
        return
    covered = np.zeros((950, 1000), int)
    windows = level.ring(top, bottom, left, right)
    for t, b, x0, x1 in windows:
        covered[t:b, x0:x1] += 1
    assert covered.max(initial=0) <= 1
    assert not covered[top:bottom, left:right].any()
    around = np.zeros_like(covered, bool)
    around[max(0, top - 64) : bottom + 64, max(0, left - 128) : right + 128] = True
    inner = np.zeros_like(around)
    rows = slice(top // 64 * 64, -(-bottom // 64) * 64)
    inner[rows, left // 128 * 128 : -(-right // 128) * 128] = True
    assert covered[around & ~inner].all()
    middle = np.array([(top + bottom) / 2, (left + right) / 2])
    centres = np.array([[(t + b) / 2, (x0 + x1) / 2] for t, b, x0, x1 in windows])
    distances = np.linalg.norm(centres - middle, axis=1) if len(centres) else np.zeros(0)
    assert (np.diff(distances) >= -1e-9).all()
