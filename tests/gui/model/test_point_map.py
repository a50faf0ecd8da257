"""Points as pixels: where they lie, which are inside a line, how they are drawn."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from shapely import LineString, distance, points

from napari_mil.gui.model.point_map import (
    CLICK_PX,
    MARGIN_PX,
    MOST_STRETCHED,
    PlaneView,
    draw_points,
    fitting_view,
    nearest_point,
    points_inside,
    side_of,
)

RED = np.array([0, 0, 255, 255], np.uint8)
BLUE = np.array([255, 0, 0, 255], np.uint8)


def cloud(n, seed=0, size=200):
    return (np.random.default_rng(seed).random((n, 2)) * size).astype(np.float32)


@given(st.integers(3, 12), st.integers(0, 2**31))
def test_a_point_is_inside_where_matplotlib_says_so(n_corners, seed):
    corners = np.random.default_rng(seed).random((n_corners, 2)) * 200
    places = cloud(300, seed + 1)
    line = LineString([*corners, corners[0]])
    clear = distance(points(places), line) > 1e-3
    expected = np.flatnonzero(Outline([*corners, corners[0]]).contains_points(places) & clear)
    found = points_inside(corners, places)
    assert np.array_equal(found[clear[found]], expected)


def test_the_middle_of_a_star_is_crossed_twice_and_outside():
    angles = np.arange(5) * 4 * np.pi / 5
    star = np.stack([np.sin(angles), np.cos(angles)], 1)
    tip = star[0] * 0.8
    assert points_inside(star, np.array([[0, 0], tip])).tolist() == [1]


@pytest.mark.parametrize("corners", [np.empty((0, 2)), np.ones((2, 2)), np.ones((5, 2))])
def test_a_line_without_area_has_nothing_inside(corners):
    assert points_inside(corners, cloud(10)).tolist() == []


@given(st.integers(2, 50), st.integers(40, 800), st.integers(40, 400), st.integers(0, 2**31))
def test_all_points_fit_and_no_axis_is_stretched_too_much(n, width, height, seed):
    plane = cloud(n, seed) * (3, 0.5) + 7
    view = fitting_view(plane, width, height)
    places = view.to_pixels(plane)
    assert places.min() >= min(MARGIN_PX, width / 2, height / 2) - 1
    assert (places <= np.array([width, height]) - MARGIN_PX + 1).all()
    across, upwards = view.scale
    assert max(across, upwards) <= MOST_STRETCHED * min(across, upwards) * (1 + 1e-9)


def test_points_that_are_one_lie_in_the_middle():
    view = fitting_view(np.full((3, 2), 4.0, np.float32), 100, 50)
    assert view.to_pixels(np.full((1, 2), 4.0)).tolist() == [[50, 25]]


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 50), st.floats(0, 100), st.floats(0, 100))
def test_what_lies_under_the_mouse_stays_there_while_zooming(x, y, scale, across, down):
    view = PlaneView((x, y), (scale, 2 * scale), 100, 100)
    closer = view.zoomed(1.7, across, down)
    assert closer.to_plane(across, down) == pytest.approx(view.to_plane(across, down), abs=1e-6)
    moved = view.moved(3, -4)
    assert moved.to_plane(across + 3, down - 4) == pytest.approx(view.to_plane(across, down))


@given(st.integers(0, 2**31))
def test_a_click_means_the_nearest_point_within_reach(seed):
    places = cloud(20, seed)
    x, y = np.random.default_rng(seed + 1).random(2) * 200
    ways = np.hypot(*(places - np.array([x, y])).T)
    assume(abs(ways.min() - CLICK_PX) > 1e-2)
    expected = int(ways.argmin()) if ways.min() < CLICK_PX else None
    found = nearest_point(places, x, y)
    assert found == expected or ways[found] == pytest.approx(ways.min(), abs=1e-3)


def test_later_points_lie_on_top_whole():
    image = np.zeros((20, 20, 4), np.uint8)
    places = np.array([[8, 8], [10, 8]], np.float32)
    draw_points(image, places, np.array([BLUE, RED]), 3)
    assert (image[7:10, 9:12] == RED).all()
    assert (image[7:10, 7:9] == BLUE).all()
    assert image.any(2).sum() == 15


@pytest.mark.parametrize("side", [2, 3, 5, 7, 11])
def test_points_at_the_edge_are_cut_and_those_beside_it_left_out(side):
    image = np.zeros((10, 12, 4), np.uint8)
    draw_points(image, np.array([[0, 0], [11, 9], [-50, 3], [3, 90]], np.float32), RED, side)
    assert image.any()
    whole = np.zeros((40, 40, 4), np.uint8)
    draw_points(whole, np.array([[10, 10], [21, 19]], np.float32), RED, side)
    assert np.array_equal(image, whole[10:20, 10:22])


def test_many_points_are_small():
    sides = [side_of(n) for n in (10, 1000, 10_000, 100_000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] == 2
