from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.slides.resample import area_average


def grey(*values):
    return np.repeat(np.array(values, np.uint8)[None, :, None], 3, 2)


def test_a_pixel_cut_by_a_border_counts_by_its_part():
    assert area_average(grey(0, 90, 255), (0, 0, 3, 1), (2, 1))[0, :, 0].tolist() == [30, 200]
    assert area_average(grey(0, 200), (0.5, 0, 1.5, 1), (1, 1))[0, 0, 0] == 100
    assert area_average(grey(0, 200), (0.25, 0, 1.25, 1), (1, 1))[0, 0, 0] == 50


@given(factor=st.integers(1, 6), seed=st.integers(0, 100))
def test_whole_factors_are_block_means(factor, seed):
    pixels = np.random.default_rng(seed).integers(
        0, 256, (7 * factor, 5 * factor, 3), dtype=np.uint8
    )
    blocks = pixels.reshape(7, factor, 5, factor, 3).mean((1, 3))
    assert (
        np.abs(area_average(pixels, (0, 0, 5 * factor, 7 * factor), (5, 7)) - blocks).max() <= 0.51
    )


@given(left=st.floats(0, 3), width=st.floats(1, 30), count=st.integers(1, 40))
def test_the_mean_of_the_box_is_kept(left, width, count):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 40, 3), dtype=np.uint8)
    averaged = area_average(pixels, (left, 0, left + width, 4), (count, 1))
    fine = np.interp(
        np.linspace(left, left + width, 20_001),
        np.arange(41),
        np.concatenate([[0], np.cumsum(pixels.astype(float).mean((0, 2)))]),
    )
    assert averaged.mean() == pytest.approx((fine[-1] - fine[0]) / width, abs=0.6)


def averages_of_a_running_integral(values, start, stop, count):
    """Average over the first axis: the arithmetic to whose bits features were made."""
    borders = np.linspace(start, stop, count + 1)
    whole = np.minimum(borders.astype(int), len(values) - 1)
    integral = np.zeros((len(values) + 1, *values.shape[1:]), np.float32)
    np.cumsum(values, 0, out=integral[1:])
    fraction = (borders - whole).astype(np.float32)[:, None, None]
    at_borders = values[whole] * fraction + integral[whole]
    return (at_borders[1:] - at_borders[:-1]) * np.float32(count / (stop - start))


@given(
    height=st.integers(2, 60),
    width=st.integers(2, 60),
    margins=st.tuples(*[st.floats(0, 0.99)] * 4),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 100),
)
def test_pixels_are_those_of_the_running_integral_to_the_bit(height, width, margins, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    left, top = margins[:2]
    right, bottom = width - margins[2], height - margins[3]
    if right <= left or bottom <= top:
        return
    by_row = averages_of_a_running_integral(pixels.astype(np.float32), top, bottom, size[1])
    both = averages_of_a_running_integral(by_row.swapaxes(0, 1), left, right, size[0])
    expected = np.floor(both.swapaxes(0, 1) + 0.5).astype(np.uint8)
    assert np.array_equal(area_average(pixels, (left, top, right, bottom), size), expected)


def test_threads_and_pictures_of_other_sizes_do_not_mix():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (n, n + 9, 3), dtype=np.uint8) for n in (90, 30, 60) * 20]
    alone = [area_average(pixels, (0.2, 0.1, 20.9, 20.5), (16, 16)) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(
            lambda pixels: area_average(pixels, (0.2, 0.1, 20.9, 20.5), (16, 16)), pictures
        )
        assert all(map(np.array_equal, alone, together))
