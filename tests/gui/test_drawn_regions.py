"""Shapes over a slide become regions in level-0 pixels."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_mil.gui.drawn_regions import regions_of_shapes
from napari_mil.slides.resolution import Scale

SQUARE = np.array([[10, 20], [10, 60], [50, 60], [50, 20]], float)
"""(y, x) of the centres of pixels."""


def layer_of(*shapes, offset=0.0, scale=1.0):
    return SimpleNamespace(
        name="drawn",
        data=[np.asarray(vertices) for vertices, _ in shapes],
        shape_type=[kind for _, kind in shapes],
        data_to_world=lambda vertex: np.asarray(vertex) * scale + offset,
    )


def slide_of(mpp):
    return SimpleNamespace(scale=Scale(mpp))


def areas_of(layer, mpp=None):
    return [region.area for region in regions_of_shapes(layer, slide_of(mpp), "tumour")]


def test_a_region_has_its_class_and_the_layer_it_was_drawn_in():
    (region,) = regions_of_shapes(layer_of((SQUARE, "rectangle")), slide_of(None), "tumour")
    assert (region.name, region.drawn_in) == ("tumour", "drawn")


def test_corners_count_from_the_corner_of_pixel_0_and_not_from_its_centre():
    (area,) = areas_of(layer_of((SQUARE, "rectangle")))
    assert area.bounds == (20.5, 10.5, 60.5, 50.5)


def test_micrometres_become_pixels_of_level_0():
    (area,) = areas_of(layer_of((SQUARE, "polygon"), scale=0.25), mpp=0.25)
    assert area.bounds == (20.5, 10.5, 60.5, 50.5)


def test_a_layer_that_was_moved_is_taken_where_it_is_seen():
    (area,) = areas_of(layer_of((SQUARE, "rectangle"), offset=(100, 1000)))
    assert area.bounds == (1020.5, 110.5, 1060.5, 150.5)


def test_an_ellipse_that_is_turned_stays_an_ellipse():
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    box = np.array([[-10, -30], [-10, 30], [10, 30], [10, -30]], float) @ turn + 100
    (area,) = areas_of(layer_of((box, "ellipse")))
    assert area.area == pytest.approx(np.pi * 10 * 30, rel=0.01)
    assert area.centroid.coords[0] == pytest.approx((100.5, 100.5))


@pytest.mark.parametrize("kind", ["line", "path"])
def test_what_has_no_area_is_left_out(kind):
    assert len(areas_of(layer_of((SQUARE, kind), (SQUARE, "polygon")))) == 1


def test_a_polygon_of_two_corners_or_of_one_line_is_no_region():
    flat = np.array([[0, 0], [5, 5], [10, 10]], float)
    assert areas_of(layer_of((SQUARE[:2], "polygon"), (flat, "polygon"))) == []


def test_a_polygon_that_crosses_itself_keeps_its_area():
    bow = np.array([[0, 0], [10, 10], [10, 0], [0, 10]], float)
    (area,) = areas_of(layer_of((bow, "polygon")))
    assert area.is_valid
    assert area.area == pytest.approx(50)


def test_only_the_last_two_axes_of_a_shape_count():
    stacked = np.concatenate([np.full((4, 1), 7.0), SQUARE], 1)
    (area,) = areas_of(layer_of((stacked, "polygon")))
    assert area.bounds == (20.5, 10.5, 60.5, 50.5)
