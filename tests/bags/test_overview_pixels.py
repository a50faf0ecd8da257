import numpy as np
import pytest

from napari_mil.bags.overview_pixels import (
    STRIP_ROWS,
    enlarged,
    opened,
    pieces_of_size,
    reduced,
    sample_step,
    saturation,
    smoothed,
    smoothed_rows,
    texture,
    within,
)


@pytest.mark.parametrize("shape", [(700, 500), (769, 10), (4096, 4000), (5, 3)])
def test_a_sample_enlarged_again_covers_the_picture(shape):
    step = sample_step(shape)
    picture = np.zeros((*shape, 3), np.uint8)
    sample = reduced(picture, step)
    assert max(sample.shape[:2]) <= 768
    assert enlarged(sample[..., 0], step, shape).shape == shape


def test_smoothing_in_strips_is_that_of_the_whole(noise):
    picture = np.vstack([noise] * 2)
    tops = range(0, len(picture), STRIP_ROWS)
    strips = np.concatenate([smoothed_rows(picture, top) for top in tops])
    assert np.array_equal(strips, smoothed(picture))


def test_smoothing_averages_nine_pixels():
    picture = np.zeros((5, 5, 3), np.uint8)
    picture[2, 2] = 90
    assert smoothed(picture)[1:4, 1:4] == pytest.approx(np.full((3, 3, 3), 10))
    assert smoothed(picture)[0].max() == 0


def test_texture_is_the_standard_deviation_in_a_window():
    values = np.random.default_rng(0).normal(50, 3, (40, 50)).astype(np.float32)
    assert texture(values, 5)[20, 20] == pytest.approx(values[18:23, 18:23].std(), rel=1e-3)


def test_saturation_is_relative_to_the_white():
    pixels = np.array([[[120, 110, 100]], [[240, 120, 200]]], np.uint8)
    white = np.array([240, 220, 200], np.float32)
    assert saturation(pixels, white).ravel() == pytest.approx([0, 1 - 120 / 220], abs=1e-6)


def test_opening_drops_lines_and_keeps_the_edge_of_the_picture():
    mask = np.zeros((60, 80), bool)
    mask[:, :30] = True
    mask[20:23] = True
    kept = opened(mask, 4)
    assert kept[:, :28].all()
    assert not kept[:, 40:].any()
    assert opened(np.ones((4, 4), bool), 10).all()
    assert not opened(np.zeros((4, 4), bool), 1).any()


def test_small_pieces_are_dropped():
    mask = np.zeros((20, 20), bool)
    mask[1:4, 1:4] = True
    mask[10:15, 10:15] = True
    assert pieces_of_size(mask, 10).sum() == 25
    assert not pieces_of_size(np.zeros((3, 3), bool), 1).any()


def test_distance_counts_in_pixels():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert within(mask, 1).sum() == 5
