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
