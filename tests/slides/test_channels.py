import numpy as np
import pytest

from napari_mil.slides.channels import Channel, contrast_range, default_colour, render


def channel(colour, low=0.0, high=100.0):
    return Channel("a", colour, (low, high), "uint16")


def test_channels_add_up_in_their_colours():
    raw = np.array([[[100, 0], [0, 50], [100, 100]]], np.uint16)
    pixels = render(raw, [channel((255, 0, 0)), channel((0, 200, 0))])
    assert pixels.tolist() == [[[255, 0, 0], [0, 100, 0], [255, 200, 0]]]


def test_colours_that_overlap_do_not_wrap_around():
    raw = np.full((1, 1, 2), 100, np.uint16)
    pixels = render(raw, [channel((255, 255, 0)), channel((255, 0, 255))])
    assert pixels.tolist() == [[[255, 255, 255]]]


def test_values_outside_of_the_range_are_clipped_and_no_number_is_black():
    raw = np.array([[[-50.0], [500.0], [np.nan]]])
    assert render(raw, [channel((255, 255, 255))])[0, :, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    "values", [np.zeros(100), np.array([]), np.array([np.nan]), np.array([True, False])]
)
def test_a_range_is_never_empty(values):
    low, high = contrast_range(values)
    assert low < high


def test_a_range_leaves_out_the_background_and_a_few_hot_pixels():
    values = np.concatenate([np.full(500, 10), np.linspace(100, 200, 499), [60_000]])
    low, high = contrast_range(values)
    assert low == 10
    assert 190 < high < 1000


def test_one_channel_alone_is_white():
    assert default_colour(0, 1) == (255, 255, 255)
    assert len({default_colour(k, 3) for k in range(3)}) == 3
