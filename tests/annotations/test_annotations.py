import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.annotations import (
    Region,
    find_annotations,
    read_annotations,
    tile_cover,
    write_geojson,
)
from napari_mil.errors import AnnotationError

SQUARE = [[10, 20], [110, 20], [110, 120], [10, 120], [10, 20]]


def geojson(tmp_path, *features, name="slide.geojson"):
    path = tmp_path / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def test_what_qupath_writes_is_read(shared):
    found = read_annotations(shared / "data/interop/annotations/qupath_annotations.geojson")
    assert [region.name for region in found.regions] == [
        "Tumor",
        "Stroma",
        "Ignore*",
        "Tumor: Positive",
        None,
    ]
    assert [region.ignored for region in found.regions] == [False, False, True, False, False]
    shell_minus_hole = found.regions[0].area
    assert len(shell_minus_hole.interiors) == 1
    assert len(found.regions[1].area.geoms) == 2
    ellipse = found.regions[2].area
    assert ellipse.bounds == pytest.approx((1414, 1800, 1586, 1976), abs=0.5)
    assert ellipse.area == pytest.approx(np.pi * 86 * 88, rel=0.01)
    assert "2 points, lines" in found.remarks[0]


def test_tiles_that_another_program_measured_are_no_regions(shared):
    found = read_annotations(shared / "data/interop/annotations/qupath_tiles.geojson.gz")
    assert not found.regions
    assert "104 tiles" in found.remarks[0]


def test_what_imagescope_writes_is_read(shared):
    found = read_annotations(shared / "data/interop/annotations/aperio_imagescope.xml")
    assert [region.name for region in found.regions] == ["Tumor", "Stroma", "Stroma"]
    tumour, rectangle, ellipse = (region.area for region in found.regions)
    assert len(tumour.interiors) == 1, "a negative region is a hole"
    assert rectangle.area == 260 * 300
    assert ellipse.area < (ellipse.bounds[2] - ellipse.bounds[0]) * (
        ellipse.bounds[3] - ellipse.bounds[1]
    )


def test_regions_that_were_written_are_read_back(tmp_path):
    shapes = [
        shapely.box(0, 0, 10, 5).difference(shapely.box(2, 2, 4, 4)),
        shapely.MultiPolygon([shapely.box(20, 0, 30, 5), shapely.box(40, 0, 50, 5)]),
    ]
    write_geojson([Region(shapes[0], "tumour"), Region(shapes[1], None)], tmp_path / "a.geojson")
    write_geojson([Region(shapes[0], "tumour")], tmp_path / "b.geojson.gz")
    found = read_annotations(tmp_path / "a.geojson").regions
    assert [region.name for region in found] == ["tumour", None]
    assert all(region.area.equals(shape) for region, shape in zip(found, shapes, strict=True))
    assert read_annotations(tmp_path / "b.geojson.gz").regions[0].area.equals(shapes[0])


def test_rings_that_cross_themselves_are_mended(tmp_path):
    bow_tie = polygon([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]])
    (region,) = read_annotations(geojson(tmp_path, feature(bow_tie))).regions
    assert region.area.is_valid
    assert region.area.area == 50


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
    (region,) = read_annotations(
        geojson(tmp_path, feature(polygon(SQUARE), classification=classification))
    ).regions
    assert region.name == name


def test_a_bare_geometry_and_a_list_are_read(tmp_path):
    for k, document in enumerate(
        (polygon(SQUARE), [feature(polygon(SQUARE)), feature(polygon(SQUARE))])
    ):
        path = tmp_path / f"{k}.json"
        path.write_text(json.dumps(document))
        assert len(read_annotations(path).regions) == k + 1


def test_qupath_counts_from_the_scanned_area_where_a_slide_has_one(tmp_path):
    path = geojson(tmp_path, feature(polygon(SQUARE)))
    assert read_annotations(path, origin=(1000, 2000)).regions[0].area.bounds == (
        1010,
        2020,
        1110,
        2120,
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"type": "x"}',
        "[1, 2]",
        "plain text",
        "<html></html>",
        "<Annotations>",
        '<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>',
        "\x1f\x8bxx",
    ],
)
def test_what_holds_no_regions_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "slide.geojson"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(AnnotationError, match=r"slide\.geojson") as refused:
        read_annotations(path)
    assert "\n" not in str(refused.value)


def test_annotations_are_found_beside_a_slide(tmp_path):
    slide = tmp_path / "TCGA-1.2.svs"
    assert find_annotations(slide) == ()
    (tmp_path / "annotations").mkdir()
    inside = geojson(tmp_path / "annotations", name="TCGA-1.2.geojson")
    assert find_annotations(slide) == (inside,)
    beside = tmp_path / "TCGA-1.2.xml"
    beside.write_text("<Annotations/>")
    assert find_annotations(slide) == (beside, inside), "all of them count"


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
