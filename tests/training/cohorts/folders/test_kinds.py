"""Folders of kinds of files, and of splits, are no classes."""

import shutil

import numpy as np
import pytest
from PIL import Image

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.training.sample_cohorts import put


def test_folders_of_the_same_bags_in_other_files_are_no_classes(tmp_path):
    for k in range(3):
        put(tmp_path / "pt_files" / f"slide_{k}.npy")
        (tmp_path / "h5_files").mkdir(exist_ok=True)
        source = tmp_path / "pt_files" / f"slide_{k}.npy"
        shutil.copy(source, tmp_path / "h5_files" / f"slide_{k}.h5")
    with pytest.raises(TrainingError, match="kinds of files, not classes"):
        scan_annotated_folder(tmp_path)
    rows = "".join(f"slide_{k},{k % 2}\n" for k in range(3))
    (tmp_path / "labels.csv").write_text(f"slide,label\n{rows}")
    found = scan_annotated_folder(tmp_path)
    assert [bag.path.suffix for bag in found.bags] == [".h5"] * 3


def test_bags_of_the_same_names_in_several_classes_are_bags_of_their_own(tmp_path):
    for label in ("benign", "malignant"):
        for k in range(2):
            put(tmp_path / label / f"{k}.npy")
    assert len(scan_annotated_folder(tmp_path)) == 4


@pytest.mark.parametrize(
    "folders",
    [
        ("features_uni_v1", "features_conch_v15"),
        ("features_uni", "features_uni_v2"),
        ("uni_features", "resnet50_features"),
        ("10x", "20x"),
        ("20.0x_256px_0px_overlap", "20.0x_512px_0px_overlap"),
        ("h5_files", "pt_files"),
        ("brca-uni", "brca-conch"),
        ("patches", "features"),
        ("contours", "thumbnails"),
    ],
)
def test_features_of_the_same_bags_are_no_classes(tmp_path, folders):
    for folder in folders:
        for k in range(4):
            put(tmp_path / folder / f"s{k}.npy")
    put(tmp_path / folders[0] / "s4.npy")
    with pytest.raises(TrainingError, match=r"share 4 bags, s0 for one.*give one of the two"):
        scan_annotated_folder(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("benign", "malignant"),
        ("benign_features", "malignant_features"),
        ("tumour slides", "normal slides"),
        ("10x_tumour", "10x_normal"),
        ("tiles_0", "tiles_1"),
        ("0", "1"),
        ("uni", "multi"),
        ("v1", "v2"),
        ("grade v1", "grade v2"),
    ],
)
def test_classes_whose_bags_are_numbered_from_one_are_classes(tmp_path, folders):
    for folder in folders:
        for k in range(4):
            put(tmp_path / folder / f"{k + 1}.npy")
    assert set(scan_annotated_folder(tmp_path).classes) == set(folders)


def test_kinds_of_features_of_other_bags_are_left_alone(tmp_path):
    for folder, first in (("10x", 0), ("20x", 3)):
        for k in range(4):
            put(tmp_path / folder / f"s{first + k}.npy")
    assert len(scan_annotated_folder(tmp_path)) == 8


@pytest.mark.parametrize(
    "folders", [("train", "val", "test"), ("Training", "Testing"), ("train", "holdout")]
)
@pytest.mark.parametrize("bag", ["benign/0.png", "0.npy"])
def test_splits_are_no_classes(tmp_path, folders, bag):
    for folder in folders:
        path = tmp_path / folder / bag
        path.parent.mkdir(parents=True)
        if path.suffix == ".png":
            Image.new("RGB", (8, 8)).save(path)
        else:
            put(path)
    with pytest.raises(TrainingError, match=r"are splits, not classes or bags.*slide,label,split"):
        scan_annotated_folder(tmp_path)


def test_a_class_of_the_name_of_a_split_is_a_class(tmp_path):
    for folder in ("test", "control"):
        put(tmp_path / folder / "0.npy")
    assert len(scan_annotated_folder(tmp_path)) == 2


@pytest.mark.parametrize("folders", [("h5_files", "pt_files"), ("features_uni", "features_conch")])
def test_kinds_of_files_in_a_class_are_no_patients(tmp_path, folders):
    for label in ("benign", "malignant"):
        for folder in folders:
            for k in range(3):
                put(tmp_path / label / folder / f"s{k}.npy")
    with pytest.raises(TrainingError, match=r"in benign hold the same 3 bags.*give one of"):
        scan_annotated_folder(tmp_path)


@pytest.mark.parametrize("folder", ["features", "h5_files", "20x", "slides"])
def test_the_only_kind_of_files_in_a_class_holds_its_bags(tmp_path, folder):
    for label in ("benign", "malignant"):
        for k in range(3):
            put(tmp_path / label / folder / f"{label}{k}.npy")
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 6
    assert not found.patients_known


@pytest.mark.parametrize("bag", ["0.png", "0.npy"])
def test_splits_in_a_class_are_no_bags(tmp_path, bag):
    for label in ("benign", "malignant"):
        for split in ("train", "test"):
            path = tmp_path / label / split / bag
            path.parent.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(path) if path.suffix == ".png" else put(path)
    with pytest.raises(TrainingError, match="in benign are splits"):
        scan_annotated_folder(tmp_path)


def test_classes_from_two_scanners_are_classes(tmp_path):
    for k in range(3):
        put(tmp_path / "benign" / f"{k}.npy")
        source = put(tmp_path / "malignant" / f"{k}.npy")
        np.savez(source.with_suffix(".npz"), features=np.load(source))
        source.unlink()
    assert len(scan_annotated_folder(tmp_path)) == 6
