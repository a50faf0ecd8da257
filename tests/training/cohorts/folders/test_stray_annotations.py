import numpy as np
import pytest

from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.conftest import write_pyramid

DOCUMENT = '{"type": "FeatureCollection", "features": []}'


@pytest.fixture
def root(tmp_path):
    for name in ("benign", "malignant"):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        write_pyramid(tmp_path / name / f"{name}_0.tif", pixels)
    return tmp_path


def put(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(DOCUMENT)


def strays(cohort):
    return [found for found in cohort.skipped if found.kind is FindingKind.ANNOTATION]


@pytest.mark.parametrize(
    "name",
    [
        "malignant/malignant_0.GEOJSON",
        "malignant/Malignant_0.geojson",
        "malignant/annotations/malignant_0.json",
        "malignant/Annotations/malignant_0.geojson",
    ],
)
def test_the_files_of_a_slide_are_found_without_regard_to_case(root, name):
    put(root / name)
    cohort = scan_annotated_folder(root)
    assert cohort.skipped == ()
    assert [len(bag.annotations) for bag in cohort.bags] == [0, 1]


@pytest.mark.parametrize(
    "name",
    [
        "malignant/malignant_9.geojson",
        "malignant/malignant_0_annotations.geojson",
        "annotations/malignant_0.geojson",
        "Annotations/malignant_0.json",
        "malignant_0.geojson",
        "benign/malignant_0.geojson",
    ],
)
def test_a_file_of_no_slide_is_named(root, name):
    put(root / name)
    (found,) = strays(scan_annotated_folder(root))
    assert found.path == root / name
    assert found.text.startswith(
        f"It holds annotations that belong to no slide ({name}); name each"
    )


def test_several_are_one_line_with_their_number_and_examples(root):
    for k in range(5):
        put(root / "malignant" / f"other_{k}.geojson")
    put(root / "annotations" / "malignant_0.geojson")
    (found,) = strays(scan_annotated_folder(root))
    assert found.number == 6
    assert found.text.startswith(
        "It and 5 more hold annotations that belong to no slide "
        "(annotations/malignant_0.geojson, malignant/other_0.geojson, malignant/other_1.geojson, …)"
    )


def test_annotations_of_slides_that_a_table_leaves_out_are_no_strays(root):
    put(root / "malignant" / "malignant_0.geojson")
    put(root / "benign" / "benign_9.geojson")
    (root / "labels.csv").write_text("slide,label\nbenign/benign_0.tif,a\n")
    found = strays(scan_annotated_folder(root))
    assert [each.path.name for each in found] == ["benign_9.geojson"]


def test_what_is_about_something_else_is_no_stray(root):
    (root / "malignant" / "scanner.json").write_text('{"mpp": 0.5}')
    (root / "benign" / "scanner.xml").write_text("<scan/>")
    assert scan_annotated_folder(root).skipped == ()
