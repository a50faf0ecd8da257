import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.annotations.reading import read_annotations
from napari_mil.annotations.regions import Region, same_outlines, tile_cover
from tests.annotations.documents import feature, polygon, write_document


def test_rings_that_cross_themselves_are_mended(tmp_path):
    bow_tie = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])
    (region,) = read_annotations(write_document(tmp_path, feature(bow_tie))).regions
    assert region.area.is_valid
    assert region.area.area == 50


@given(
    left=st.floats(-50, 150),
    top=st.floats(-50, 150),
    width=st.floats(1, 200),
    height=st.floats(1, 200),
    side=st.sampled_from([7.0, 16.0, 33.3]),
)
def test_the_covered_share_of_all_tiles_adds_up_to_the_area(left, top, width, height, side):
    corners = (
        np.stack(np.meshgrid(np.arange(-10, 60), np.arange(-10, 60)), -1).reshape(-1, 2) * side
    )
    region = Region(shapely.box(left, top, left + width, top + height), "a")
    cover = tile_cover([region, region], corners, side)
    assert cover.min() >= 0
    assert cover.max() <= 1 + 1e-9
    assert cover.sum() * side**2 == pytest.approx(width * height, rel=1e-6)


OUTER = [[0, 0], [600, 0], [600, 600], [0, 600], [0, 0]]


def ring(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


@pytest.mark.parametrize(
    ("holes", "area"),
    [
        ([ring(10, 10, 300, 590)], 360000 - 290 * 580),
        ([ring(0, 10, 300, 590)], 360000 - 300 * 580),
        ([ring(-5, 10, 300, 590)], 360000 - 300 * 580),
        ([ring(10, 10, 100, 100), ring(50, 10, 150, 100)], 360000 - 140 * 90),
        ([ring(10, 10, 100, 100), [[5, 5]], []], 360000 - 90 * 90),
    ],
)
def test_a_hole_is_a_hole_wherever_it_touches(tmp_path, holes, area):
    path = write_document(tmp_path, feature(polygon(OUTER, *holes)))
    (region,) = read_annotations(path).regions
    assert region.area.is_valid
    assert region.area.area == pytest.approx(area)


def test_a_line_that_runs_over_itself_leaves_no_hole(tmp_path):
    twice = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0], [10, 0], [10, 10], [0, 10]]
    (region,) = read_annotations(write_document(tmp_path, feature(polygon(twice)))).regions
    assert region.area.area == 100


def test_what_a_hole_covers_whole_has_no_region(tmp_path):
    found = read_annotations(write_document(tmp_path, feature(polygon(OUTER, OUTER))))
    assert found.regions == ()


def test_what_has_no_area_is_a_mark_with_its_class(tmp_path):
    properties = {"classification": {"name": "tumour"}}
    shapes = [
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
        polygon([[0, 0], [5, 5], [9, 9]]),
        polygon([[1, 2]]),
        None,
        {"type": "Polygon", "coordinates": []},
    ]
    found = read_annotations(
        write_document(tmp_path, *(feature(shape, **properties) for shape in shapes)), (10, 10)
    )
    assert found.regions == ()
    assert found.remarks == ("7 points, lines or empty shapes left out.",)
    assert [mark.area.geom_type for mark in found.marks] == [
        "Point",
        "Point",
        "Point",
        "LineString",
        "LineString",
        "Point",
    ]
    assert {mark.name for mark in found.marks} == {"tumour"}
    assert found.marks[0].area.coords[0] == (11, 12)


def test_points_and_polygons_of_one_object_are_both_kept(tmp_path):
    both = {
        "type": "GeometryCollection",
        "geometries": [polygon(OUTER), {"type": "Point", "coordinates": [700, 1]}],
    }
    found = read_annotations(write_document(tmp_path, feature(both)))
    assert (len(found.regions), len(found.marks)) == (1, 1)


def test_regions_around_the_same_thing_are_found():
    boxes = [
        Region(shapely.box(0, 0, 100, 100), "a"),
        Region(shapely.box(300, 0, 400, 100), "a"),
        Region(shapely.box(1, 0, 100, 101), "b"),
        Region(shapely.box(0, 0, 100, 90), "b"),
    ]
    assert same_outlines(boxes) == [(0, 2)]
    assert same_outlines(boxes[:1]) == []
    assert same_outlines([]) == []
