import json

import numpy as np
import pytest
import shapely

from napari_mil.annotations import Region, write_geojson
from napari_mil.errors import OptionError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.regions.classes import parse_mapping
from napari_mil.training.regions.survey import survey_regions
from tests.conftest import write_pyramid

BOX = shapely.box(0, 0, 50, 100)


@pytest.fixture
def annotated(tmp_path):
    """Two slides a class; both malignant ones have regions, named otherwise."""
    root = tmp_path / "data"
    for name in ("benign", "malignant"):
        (root / name).mkdir(parents=True)
        for k in range(2):
            pixels = np.random.default_rng(k).integers(0, 255, (100, 100, 3), np.uint8)
            write_pyramid(root / name / f"{name}_{k}.tif", pixels)
    for k in range(2):
        regions = [Region(BOX, "Tumor"), Region(BOX, "Ignore*")]
        write_geojson(regions, root / "malignant" / f"malignant_{k}.geojson")
    return root


def texts(survey, kind):
    return [finding.text for finding in survey.findings if finding.kind is kind]


def test_a_name_that_is_no_class_is_named_once_with_its_numbers(annotated):
    survey = survey_regions(scan_annotated_folder(annotated), {})
    (text,) = texts(survey, FindingKind.REGION_CLASS)
    assert text.startswith("2 regions on 2 slides are named Tumor, which is no class")
    assert "Tumor=malignant" in text
    assert [(named.name, named.n_regions) for named in survey.names] == [("Tumor", 2)]


def test_a_mapping_settles_it_and_one_that_fits_nothing_is_said(annotated):
    cohort = scan_annotated_folder(annotated)
    assert survey_regions(cohort, {"tumor": "malignant"}).findings == ()
    (text,) = survey_regions(cohort, {"Tumor": "malignant", "Tumour": "malignant"}).findings
    assert text.text == "No region is named Tumour; the names in its annotations: Tumor."
    with pytest.raises(OptionError, match="no class"):
        survey_regions(cohort, {"Tumor": "bad"})


def test_a_file_that_cannot_be_read_is_named_and_left_out(annotated):
    (annotated / "malignant" / "malignant_0.geojson").write_text("{")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.startswith("It is no readable GeoJSON")
    assert text.endswith("Its regions are left out.")
    assert [len(bag.annotations) for bag in survey.cohort.bags] == [0, 0, 0, 1]


def test_beside_a_file_that_cannot_be_read_nothing_outside_is_known(annotated):
    (annotated / "malignant" / "malignant_0.xml").write_text("<x>")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.endswith("left out, and nothing is known outside the others of its slide.")
    assert [bag.regions_complete for bag in survey.cohort.bags] == [True, True, False, True]


@pytest.mark.parametrize(
    ("name", "content"),
    [("malignant_0.json", '{"mpp": 0.5}'), ("malignant_0.xml", "<scan><mpp>0.5</mpp></scan>")],
)
def test_a_file_about_something_else_leaves_the_regions_of_its_slide_complete(
    annotated, name, content
):
    (annotated / "malignant" / name).write_text(content)
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.endswith("but holds no regions. It is left out.")
    assert all(bag.regions_complete for bag in survey.cohort.bags)


OFF = [
    shapely.box(5000, 5000, 9000, 9000),
    shapely.box(-900, -900, -300, -300),
    shapely.box(100, 0, 200, 50),
    shapely.Polygon([(90, 300), (300, 90), (300, 300)]),
]


@pytest.mark.parametrize("outline", OFF)
def test_a_file_whose_regions_lie_off_the_slide_is_named_and_left_out(annotated, outline):
    path = annotated / "malignant" / "malignant_0.geojson"
    write_geojson([Region(outline, "malignant")], path)
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (found,) = survey.findings
    assert (found.kind, found.path) == (FindingKind.ANNOTATION, path)
    assert found.text.startswith(
        "Its region lies off the slide, 100 × 100 px: wrong scale or origin?"
    )
    bags = survey.cohort.bags
    assert [len(bag.annotations) for bag in bags] == [0, 0, 0, 1]
    assert [bag.regions_complete for bag in bags] == [True, True, False, True]


def test_files_with_regions_off_their_slides_are_one_line(annotated):
    for k in range(2):
        path = annotated / "malignant" / f"malignant_{k}.geojson"
        write_geojson([Region(OFF[0], "malignant"), Region(OFF[1], None)], path)
    survey = survey_regions(scan_annotated_folder(annotated), {})
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.startswith(
        "Its 2 regions lie off the slide, 100 × 100 px (so do regions of 1 more file): wrong scale"
    )


def test_some_regions_off_the_slide_leave_what_is_outside_unknown(annotated):
    path = annotated / "malignant" / "malignant_0.geojson"
    regions = [Region(BOX, "malignant"), Region(OFF[0], "malignant"), Region(OFF[0], "Ignore*")]
    write_geojson(regions, path)
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.startswith("1 of its 2 regions lie off the slide, 100 × 100 px: ")
    assert [len(bag.annotations) for bag in survey.cohort.bags] == [0, 0, 1, 1]
    assert not survey.cohort.bags[2].regions_complete


def test_regions_that_are_left_out_may_lie_anywhere(annotated):
    path = annotated / "malignant" / "malignant_0.geojson"
    write_geojson([Region(BOX, "Tumor"), Region(OFF[0], "Frame")], path)
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant", "Frame": ""})
    assert survey.findings == ()


def test_one_outline_of_two_classes_is_said(annotated):
    folder = annotated / "malignant"
    write_geojson([Region(BOX, "benign")], folder / "malignant_0.tif.geojson")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (found,) = survey.findings
    assert found.path.name == "malignant_0.tif.geojson"
    assert found.text.startswith(
        "1 region has the outline of one of another class in malignant_0.geojson "
        "(benign, there malignant): their tiles are unknown"
    )


def test_what_regions_without_a_class_are_taken_for_is_said(annotated):
    for k in range(2):
        regions = [Region(BOX, None), Region(BOX.buffer(-20), None)]
        write_geojson(regions, annotated / "malignant" / f"malignant_{k}.geojson")
    write_geojson([Region(BOX, None)], annotated / "benign" / "benign_0.geojson")
    survey = survey_regions(scan_annotated_folder(annotated), {})
    assert texts(survey, FindingKind.ANNOTATION) == [
        "1 region without a class on 1 slide is taken as benign.",
        "4 regions without a class on 2 slides are taken as malignant.",
    ]


def test_a_property_that_looks_like_a_class_is_named(annotated):
    for k in range(2):
        path = annotated / "malignant" / f"malignant_{k}.geojson"
        document = json.loads(path.read_text())
        for feature in document["features"]:
            feature["properties"] = {"id": "a7", "pathology": "Stroma"}
        path.write_text(json.dumps(document))
    survey = survey_regions(scan_annotated_folder(annotated), {})
    (text,) = texts(survey, FindingKind.REGION_CLASS)
    assert text.startswith(
        "4 regions on 2 slides are named Stroma by the property pathology, which is no class"
    )
    assert "for example Stroma=malignant, or write the class in the property classi" in text
    assert survey_regions(scan_annotated_folder(annotated), {"Stroma": "malignant"}).findings == ()


@pytest.mark.parametrize("name", ["Tumor, G3", "A=B"])
def test_the_hint_of_a_name_works_as_it_stands(annotated, name):
    write_geojson([Region(BOX, name)], annotated / "malignant" / "malignant_0.geojson")
    write_geojson([], annotated / "malignant" / "malignant_1.geojson")
    cohort = scan_annotated_folder(annotated)
    (text,) = texts(survey_regions(cohort, {}), FindingKind.REGION_CLASS)
    hint = text.split("for example ")[1].removesuffix(".")
    assert survey_regions(cohort, parse_mapping(hint)).findings == ()


def test_positive_regions_on_a_negative_slide_are_said(annotated):
    write_geojson([Region(BOX, "malignant")], annotated / "benign" / "benign_0.geojson")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.REGION_CLASS)
    assert text.startswith("1 of its regions are malignant, its slide is benign; check the label.")


def malignant_targets(root, extra):
    """Return what a survey says after files are added beside a slide with a region."""
    for name, content in extra.items():
        (root / "malignant" / name).write_text(content)
    return survey_regions(scan_annotated_folder(root), {"Tumor": "malignant"})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("malignant_0.json", '{"slide": "x", "coordinates": {"x": 0, "y": 0}, "features": "uni"}'),
        ("malignant_0.json", '{"wsi": "x", "tissue_polygons": 3, "points": 12, "regions": 1}'),
        ("malignant_0.xml", "<Scan><Regions><Region X='1' Y='2' W='3'/></Regions></Scan>"),
    ],
)
def test_a_side_file_about_something_else_leaves_the_regions_complete(annotated, name, content):
    survey = malignant_targets(annotated, {name: content})
    assert all(bag.regions_complete for bag in survey.cohort.bags)
    (text,) = texts(survey, FindingKind.ANNOTATION)
    assert text.endswith("but holds no regions. It is left out.")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("malignant_0.json", '{"shapes": [{"points": [[0, 0], [9, 0], [9, 9]]}]}'),
        (
            "malignant_0.json",
            '[[{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"y": 9, "x": 9}]]',
        ),
        ("malignant_0.xml", "<A><S><p x='0' y='0'/><p x='9' y='0'/><p x='9' y='9'/></S></A>"),
    ],
)
def test_outlines_in_a_format_that_is_not_read_leave_what_is_outside_unknown(
    annotated, name, content
):
    survey = malignant_targets(annotated, {name: content})
    assert [bag.regions_complete for bag in survey.cohort.bags] == [True, True, False, True]


def test_a_mark_on_the_border_of_a_slide_is_not_off_it(annotated):
    line = {"type": "LineString", "coordinates": [[0, 0], [50, 0]]}
    survey = malignant_targets(annotated, {"malignant_0.json": json.dumps(line)})
    assert all(bag.regions_complete for bag in survey.cohort.bags)


def test_a_mapping_in_composed_letters_is_used_where_the_regions_are_not_composed(annotated):
    for k in range(2):
        regions = [Region(BOX, "Tumo\u0308r")]
        write_geojson(regions, annotated / "malignant" / f"malignant_{k}.geojson")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tum\u00f6r": "malignant"})
    assert survey.findings == ()
