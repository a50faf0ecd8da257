"""Slides and feature files in a folder of their patient are bags of that patient."""

import shutil

import pytest
from PIL import Image

from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.conftest import write_pyramid
from tests.training.sample_cohorts import put, reasons, table

FOLDERS = ("benign/P0", "benign/P1", "malignant/P2", "malignant/P3")


def _said(cohort):
    return [each.text for each in cohort.warnings if each.kind is FindingKind.GROUPING]


@pytest.mark.parametrize("name", ["slide.svs", "slide.tif"])
def test_slides_in_folders_of_patients_are_slides(tmp_path, slide_path, name):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(slide_path, tmp_path / folder / name)
    found = scan_annotated_folder(tmp_path)
    assert found.kinds == (SLIDES,)
    assert [bag.patient for bag in found.bags] == ["P0", "P1", "P2", "P3"]
    assert found.patients_known
    (text,) = _said(found)
    assert text.startswith("4 folders hold slides or feature files, benign/P0 for one")


def test_pyramids_in_folders_of_patients_are_slides(tmp_path, noise):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        for k in range(2):
            write_pyramid(tmp_path / folder / f"{k}.tif", noise, (1, 2))
    found = scan_annotated_folder(tmp_path)
    assert found.kinds == (SLIDES,)
    assert len(found) == 8
    assert found.n_patients == 4


def test_features_in_folders_of_patients_are_bags(tmp_path):
    for folder in FOLDERS:
        for k in range(2):
            put(tmp_path / folder / f"{k}.npy")
    found = scan_annotated_folder(tmp_path)
    assert (found.kinds, len(found), found.n_patients) == ((FEATURES,), 8, 4)


def test_a_barcode_says_more_than_a_folder(tmp_path):
    for k, folder in enumerate(FOLDERS):
        put(tmp_path / folder / f"TCGA-A1-000{k}-01Z-00-DX1.npy")
    assert next(bag.patient for bag in scan_annotated_folder(tmp_path).bags) == "TCGA-A1-0000"


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_images_in_folders_stay_instances(tmp_path, ending):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (20, 20), (k, 0, 0)).save(tmp_path / folder / f"{k}{ending}")
    found = scan_annotated_folder(tmp_path)
    assert (found.kinds, [bag.n for bag in found.bags]) == ((IMAGES,), [3] * 4)
    assert not found.patients_known


def test_a_row_that_names_the_folder_of_slides_is_left_out_with_what_to_do(tmp_path, slide_path):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(slide_path, tmp_path / folder / "slide.tif")
    found = table(tmp_path, "slide,label\n" + "".join(f"{each},a\n" for each in FOLDERS))
    assert not found.bags
    assert "list each by its path, with a column patient" in reasons(found)["P0"]


@pytest.mark.parametrize("name", ["coords.npy", "features.npy", "positions.npz"])
def test_files_about_the_images_of_a_folder_are_no_bags(tmp_path, name):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (30 + k, 20)).save(tmp_path / folder / f"{k}.png")
        put(tmp_path / folder / name)
    found = scan_annotated_folder(tmp_path)
    assert found.kinds == (IMAGES,)
    assert [bag.n for bag in found.bags] == [3] * 4
    assert not _said(found)


def test_pictures_of_slides_in_folders_of_patients_are_no_bags(tmp_path, noise):
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        write_pyramid(tmp_path / folder / "S1.tif", noise, (1, 2))
        write_pyramid(tmp_path / folder / "S1_mask.tif", noise, (1, 2))
        Image.new("RGB", (30, 20)).save(tmp_path / folder / "S1_macro.tif")
        Image.new("RGB", (30, 20)).save(tmp_path / folder / "A_first.tif")
    found = scan_annotated_folder(tmp_path)
    assert "S1.tif" in {bag.path.name for bag in found.bags}
    assert not {"S1_mask.tif", "S1_macro.tif"} & {bag.path.name for bag in found.bags}


@pytest.mark.parametrize("names", [("V1", "V2"), ("Slides 1", "Slides 2"), ("1", "2")])
def test_folders_of_numbered_patients_are_patients(tmp_path, names):
    for label in ("benign", "malignant"):
        for name in names:
            for k in range(2):
                put(tmp_path / label / f"{name}{label[0]}" / f"slide{k}.npy")
                put(tmp_path / "other" / label / name / f"slide{k}.npy")
    found = scan_annotated_folder(tmp_path / "other")
    assert found.n_patients == 2
    assert len(found) == 8


def test_folders_of_one_patient_in_two_spellings_are_one_patient_and_said(tmp_path):
    for folder in ("benign/01", "malignant/1", "benign/P2", "malignant/p2"):
        put(tmp_path / folder / f"{folder[-2:].strip('/')}.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.n_patients == 2
    (said,) = [each for each in found.warnings if each.kind is FindingKind.SPELLING]
    assert said.number == 2


def test_barcodes_in_folders_are_not_said_to_count_by_folder(tmp_path):
    for k, label in enumerate(("LUAD", "LUAD", "LUSC", "LUSC")):
        put(tmp_path / label / f"uuid-{k}" / f"TCGA-05-42{k}4-01Z-00-DX1.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.n_patients == 4
    assert not _said(found)
