import pytest

from napari_mil.annotations import read_annotations
from napari_mil.annotations.class_names import find_name
from tests.annotations.documents import SQUARE, feature, polygon, write_document


@pytest.mark.parametrize(
    "key",
    ["category", "category_name", "categoryName", "className", "class_name", "Class", "LABEL"],
)
def test_a_class_is_read_from_every_property_that_programs_keep_it_in(key):
    assert find_name({key: "Stroma"}) == ("Stroma", "")


@pytest.mark.parametrize(
    "key",
    [
        "annotation_type",
        "classification_name",
        "pathology",
        "tissue",
        "value",
        "region",
        "group",
        "stroma",
        "Diagnosis",
        "tissueType",
    ],
)
def test_a_property_that_looks_like_a_class_names_the_region_and_is_said(key):
    assert find_name({"id": "7f", key: "Stroma", "color": "red"}) == ("Stroma", key)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"classification": ["Stroma"]}, ("Stroma", "")),
        ({"classification": ["Stroma", "Fat"]}, None),
        ({"classification": {"label": "Stroma"}}, ("Stroma", "classification.label")),
        ({"classification": {"Name": "Stroma"}}, ("Stroma", "")),
        ({"tags": ["Stroma"]}, ("Stroma", "tags")),
        ({"grade": "G3", "tissue": "Stroma"}, ("Stroma", "tissue")),
        ({"type": "Annotation"}, None),
        ({"type": "Polygon"}, None),
        ({"classification": float("nan"), "label": True}, None),
    ],
)
def test_the_class_is_found_in_every_form(properties, expected):
    assert find_name(properties) == expected


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"objectType": "annotation", "isLocked": False, "measurements": {"Area": 5}},
        {"objectType": "annotation", "color": [200, 0, 0], "metadata": {"ANNOTATION": "drawn"}},
        {"objectType": "annotation", "classification": {"color": [200, 0, 0]}},
        {"type": "PathAnnotationObject", "isLocked": True, "colorRGB": -65536},
        {"stroke": "red", "fill": "#ff0000", "stroke-width": "2"},
        {"id": "annotation 5", "uuid": "a", "annotationId": "x", "label_id": "x"},
        {"region": "5", "value": "12.5", "group": "2024-01-31", "tissue": "2024-01-31T10:00:00Z"},
        {"class_color": "red", "created_at": "yesterday", "author": "Jane", "imageName": "a.svs"},
        {"value": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "term": "#00ff00", "group": "rgb(0,0,0)"},
        {"region": "https://example.org/a", "tissue": "true", "value": None, "group": 5},
        {"region": "a remark, " * 20},
    ],
)
def test_what_is_no_class_leaves_a_region_unnamed(properties):
    assert find_name(properties) is None


def test_a_class_beside_the_properties_counts_too(tmp_path):
    beside = {**feature(polygon(SQUARE), isLocked=True), "tissue": "Stroma", "id": "a"}
    (region,) = read_annotations(write_document(tmp_path, beside)).regions
    assert (region.name, region.named_by) == ("Stroma", "tissue")
