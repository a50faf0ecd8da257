import json

import numpy as np
import pytest
import shapely

from napari_mil.annotations.geojson import read_geojson, write_geojson
from napari_mil.annotations.regions import Region
from tests.annotations.documents import SQUARE, feature, polygon, write_document


def test_what_qupath_writes_is_read(shared):
    annotations = read_geojson(shared / "data/interop/annotations/qupath_annotations.geojson")
    assert [region.name for region in annotations.regions] == [
        "Tumor",
        "Stroma",
        "Ignore*",
        "Tumor: Positive",
        "whole slide, unclassified",
    ]
    assert [region.ignored for region in annotations.regions] == [False, False, True, False, False]
    shell_minus_hole = annotations.regions[0].area
    assert len(shell_minus_hole.interiors) == 1
    assert len(annotations.regions[1].area.geoms) == 2
    ellipse = annotations.regions[2].area
    assert ellipse.bounds == pytest.approx((1414, 1800, 1586, 1976), abs=0.5)
    assert ellipse.area == pytest.approx(np.pi * 86 * 88, rel=0.01)
    assert "2 points, lines" in annotations.remarks[0]


def test_tiles_that_another_program_measured_are_no_regions(shared):
    annotations = read_geojson(shared / "data/interop/annotations/qupath_tiles.geojson.gz")
    assert not annotations.regions
    assert "104 tiles" in annotations.remarks[0]


def test_regions_that_were_written_are_read_back(tmp_path):
    shapes = [
        shapely.box(0, 0, 10, 5).difference(shapely.box(2, 2, 4, 4)),
        shapely.MultiPolygon([shapely.box(20, 0, 30, 5), shapely.box(40, 0, 50, 5)]),
    ]
    write_geojson([Region(shapes[0], "tumour"), Region(shapes[1], None)], tmp_path / "a.geojson")
    write_geojson([Region(shapes[0], "tumour")], tmp_path / "b.geojson.gz")
    regions = read_geojson(tmp_path / "a.geojson").regions
    assert [region.name for region in regions] == ["tumour", None]
    assert all(region.area.equals(shape) for region, shape in zip(regions, shapes, strict=True))
    assert read_geojson(tmp_path / "b.geojson.gz").regions[0].area.equals(shapes[0])


@pytest.mark.parametrize(
    ("classification", "name"),
    [
        ({"name": "Tumor", "color": [1, 2, 3]}, "Tumor"),
        ({"names": ["Tumor", "Positive"]}, "Tumor: Positive"),
        ("Stroma", "Stroma"),
        (None, None),
        ({}, None),
    ],
)
def test_classes_are_read_in_every_form(tmp_path, classification, name):
    (region,) = read_geojson(
        write_document(tmp_path, feature(polygon(SQUARE), classification=classification))
    ).regions
    assert region.name == name


def test_a_bare_geometry_and_a_list_are_read(tmp_path):
    for k, document in enumerate(
        (polygon(SQUARE), [feature(polygon(SQUARE)), feature(polygon(SQUARE))])
    ):
        path = tmp_path / f"{k}.json"
        path.write_text(json.dumps(document))
        assert len(read_geojson(path).regions) == k + 1


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"classification": {"name": "Tumor"}, "name": "mine"}, "Tumor"),
        ({"classification": {"names": ["Tumor", "Positive"]}}, "Tumor: Positive"),
        ({"classification": "Tumor"}, "Tumor"),
        ({"Classification": {"name": "Tumor"}}, "Tumor"),
        ({"type": "annotation", "label": "Tumor"}, "Tumor"),
        ({"type": "Tumor"}, "Tumor"),
        ({"class": "Tumor"}, "Tumor"),
        ({"label": 1}, "1"),
        ({"name": "Tumor"}, "Tumor"),
        ({"objectType": "annotation", "isLocked": True}, None),
        ({"classification": {}, "name": " "}, None),
    ],
)
def test_the_class_is_found_where_tools_put_it(tmp_path, properties, expected):
    path = write_document(tmp_path, feature(polygon(SQUARE), **properties))
    (region,) = read_geojson(path).regions
    assert region.name == expected


def test_what_a_program_measured_is_no_region_wherever_it_says_so(tmp_path):
    features = [feature(polygon(SQUARE), type="tile"), feature(polygon(SQUARE), objectType="cell")]
    found = read_geojson(write_document(tmp_path, *features))
    assert found.regions == ()
    assert found.remarks == ("2 tiles, cells or detections left out.",)
