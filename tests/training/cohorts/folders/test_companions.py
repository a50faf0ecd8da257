"""What shows or belongs to a bag is no bag."""

import shutil

import pytest
from PIL import Image

from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.conftest import write_pyramid
from tests.training.sample_cohorts import put


def _picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20)).save(path)


def _left_out(cohort):
    return [finding for finding in cohort.warnings if finding.kind is FindingKind.LEFT_OUT]


def test_a_folder_of_the_name_of_a_slide_is_not_a_bag(tmp_path, slide_path):
    for label in ("benign", "malignant"):
        (tmp_path / label / "S0").mkdir(parents=True)
        Image.new("RGB", (30, 20)).save(tmp_path / label / "S0" / "thumbnail.png")
        shutil.copy(slide_path, tmp_path / label / "S0.svs")
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.name for bag in found.bags] == ["S0.svs", "S0.svs"]


@pytest.mark.parametrize("ending", [".TIF", ".ome.tif", ".tif"])
def test_a_folder_of_the_name_of_a_slide_is_left_out_whatever_the_ending(tmp_path, noise, ending):
    for label in ("benign", "malignant"):
        _picture(tmp_path / label / "S0" / "thumbnail.png")
        write_pyramid(tmp_path / label / f"S0{ending}", noise)
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.name for bag in found.bags] == [f"S0{ending}"] * 2
    assert [finding.number for finding in _left_out(found)] == [1, 1]


@pytest.mark.parametrize(
    "name",
    [
        *("s0.jpg", "S0.PNG", "s0_thumbnail.jpg", "s0-mask.png", "s0_overview.jpg", "s0.label.png"),
        *("s0_macro.jpg", "s0_tissue_mask.tif", "s0/a.png"),
    ],
)
def test_pictures_named_after_features_are_left_out_and_counted(tmp_path, name):
    for label in ("benign", "malignant"):
        put(tmp_path / label / "s0.npy")
    _picture(tmp_path / "benign" / name)
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.name for bag in found.bags] == ["s0.npy"] * 2
    (finding,) = _left_out(found)
    assert finding.number == 1
    assert name.split("/")[0] in finding.text


@pytest.mark.parametrize("name", ["s0_mask.png", "s0_thumbnail.jpg", "s0_tissue.tif"])
def test_pictures_named_after_a_slide_are_left_out(tmp_path, slide_path, name):
    for label in ("benign", "malignant"):
        (tmp_path / label).mkdir()
        shutil.copy(slide_path, tmp_path / label / "s0.svs")
    _picture(tmp_path / "benign" / name)
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.name for bag in found.bags] == ["s0.svs"] * 2


@pytest.mark.parametrize("name", ["mask.png", "s1_mask.png", "s0_b.png", "tissue_0.png"])
def test_other_pictures_are_bags(tmp_path, name):
    _picture(tmp_path / "benign" / "s0.png")
    _picture(tmp_path / "malignant" / "s0.png")
    _picture(tmp_path / "benign" / name)
    assert len(scan_annotated_folder(tmp_path)) == 3


@pytest.mark.parametrize("name", ["__MACOSX/s9.npy", "Thumbs.db", "desktop.ini", "._s0.npy"])
def test_what_systems_leave_is_passed_over(tmp_path, name):
    for label in ("benign", "malignant"):
        put(tmp_path / label / "s0.npy")
    left = tmp_path / "benign" / name
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"x")
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 2
    assert not found.skipped


@pytest.mark.parametrize("what", ["tissue", "macro", "overview"])
def test_slides_that_are_named_like_pictures_are_slides(tmp_path, noise, what):
    for label in ("benign", "malignant"):
        (tmp_path / label).mkdir()
        write_pyramid(tmp_path / label / "S0.tif", noise, (1, 2))
        write_pyramid(tmp_path / label / f"S0_{what}.tif", noise, (1, 2))
        write_pyramid(tmp_path / label / "S0_tissue_mask.tif", noise, (1, 2))
    found = scan_annotated_folder(tmp_path)
    assert {bag.path.name for bag in found.bags} == {"S0.tif", f"S0_{what}.tif"}


def test_a_thumbnail_belongs_to_its_slide_however_its_letters_are_composed(tmp_path):
    for label in ("benign", "malignant"):
        put(tmp_path / label / "M\u00fcller.npy")
        _picture(tmp_path / label / "Mu\u0308ller_thumbnail.png")
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.name for bag in found.bags] == ["M\u00fcller.npy"] * 2
    assert [finding.number for finding in _left_out(found)] == [1, 1]
