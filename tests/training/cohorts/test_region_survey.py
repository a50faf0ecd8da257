import numpy as np
import pytest
import shapely

from napari_mil.annotations import Region, write_geojson
from napari_mil.errors import OptionError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.region_survey import survey_regions
from napari_mil.training.cohorts.scanning import scan_annotated_folder
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
    assert text.endswith("Its regions are left out.")
    assert [len(bag.annotations) for bag in survey.cohort.bags] == [0, 0, 0, 1]


def test_positive_regions_on_a_negative_slide_are_said(annotated):
    write_geojson([Region(BOX, "malignant")], annotated / "benign" / "benign_0.geojson")
    survey = survey_regions(scan_annotated_folder(annotated), {"Tumor": "malignant"})
    (text,) = texts(survey, FindingKind.REGION_CLASS)
    assert text.startswith("1 of its regions are malignant, its slide is benign; check the label.")
