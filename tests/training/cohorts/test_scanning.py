import os
import shutil

import numpy as np
import pytest
from PIL import Image

from napari_mil.errors import TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.training.sample_cohorts import notes, put, reasons, table


def test_one_folder_per_class(feature_folder):
    found = scan_annotated_folder(feature_folder(n=3))
    assert found.classes == ("benign", "malignant")
    assert found.counts == {"benign": 3, "malignant": 3}
    assert [bag.label for bag in found.bags] == ["benign"] * 3 + ["malignant"] * 3
    assert found.kinds == (FEATURES,)
    assert all(bag.n for bag in found.bags)
    assert found.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert not found.skipped
    assert not found.warnings


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("tumour", "normal"), ("normal", "tumour")),
        (("epithelium", "no-epithelium"), ("no-epithelium", "epithelium")),
        (("b", "a"), ("a", "b")),
        (("malignant", "benign"), ("benign", "malignant")),
        (("1", "0"), ("0", "1")),
        (("control", "normal"), ("control", "normal")),
    ],
)
def test_of_two_classes_the_negative_comes_first_where_its_name_says_so(tmp_path, names, expected):
    for name in names:
        put(tmp_path / name / "a.npy")
    assert scan_annotated_folder(tmp_path).classes == expected


def test_slides_and_folders_of_images_are_bags(tmp_path, slide_path, noise):
    (tmp_path / "a").mkdir()
    shutil.copy(slide_path, tmp_path / "a" / "one.svs")
    folder = tmp_path / "b" / "protein"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.fromarray(noise[i * 20 : i * 20 + 30, :40]).save(folder / f"{i}.png")
    found = scan_annotated_folder(tmp_path)
    assert [(bag.kind, bag.n) for bag in found.bags] == [(SLIDES, None), (IMAGES, 3)]
    with pytest.raises(
        TrainingError,
        match=r"mixes slides \(1, a/one.svs for one\) and image folders \(1, b/protein",
    ):
        found.check()


def test_what_cannot_be_used_is_named_with_its_reason(feature_folder, spoil, tmp_path):
    root = feature_folder(n=2)
    spoil("empty", root / "benign" / "empty.safetensors")
    spoil("text", root / "benign" / "text.svs")
    spoil("text", root / "benign" / "notes.docx")
    spoil("damaged picture", root / "benign" / "picture.png")
    spoil("dangling link", root / "malignant" / "link.svs")
    (root / "malignant" / "nothing").mkdir()
    put(root / "loose.npy")
    found = scan_annotated_folder(root)
    assert len(found.bags) == 4
    assert set(reasons(found)) == {
        "empty.safetensors",
        "text.svs",
        "notes.docx",
        "picture.png",
        "link.svs",
        "nothing",
        "loose.npy",
    }
    assert all(reason.strip() and "\n" not in reason for reason in reasons(found).values())


def test_companions_of_slides_are_not_bags(feature_folder):
    root = feature_folder(n=2)
    for name in (
        "benign_00.geojson",
        "benign_00.xml",
        "readme.txt",
        ".hidden.npy",
        "features.npy.part",
    ):
        (root / "benign" / name).touch()
    (root / "annotations").mkdir()
    found = scan_annotated_folder(root)
    assert len(found.bags) == 4
    assert not found.skipped


def test_twins_are_named_kept_and_stay_in_one_fold(feature_folder):
    root = feature_folder(n=3)
    shutil.copy(root / "benign" / "benign_00.npy", root / "malignant" / "twin.npy")
    found = scan_annotated_folder(root)
    assert len(found.bags) == 7
    assert "same content as benign_00.npy" in notes(found)["twin.npy"]
    assert "one of them is wrong" in notes(found)["twin.npy"]
    group = {bag.path.name: group for bag, group in zip(found.bags, found.groups, strict=True)}
    assert group["twin.npy"] == group["benign_00.npy"]
    assert len(set(found.groups)) == 6


def test_copies_in_training_and_test_are_no_secret(feature_folder):
    root = feature_folder(n=3)
    shutil.copy(root / "benign" / "benign_00.npy", root / "benign" / "copy.npy")
    rows = []
    for path in sorted(root.glob("*/*.npy")):
        split = "test" if path.name == "copy.npy" else "train"
        rows.append(f"{path.relative_to(root)},{path.parent.name},{split}")
    found = table(root, "slide,label,split\n" + "\n".join(rows))
    assert "several splits: figures will be too good" in notes(found)["copy.npy"]


@pytest.mark.parametrize("missing", ["nowhere", "file.txt"])
def test_a_path_that_is_no_folder_is_refused(tmp_path, missing):
    if missing == "file.txt":
        (tmp_path / missing).write_text("x")
    with pytest.raises(TrainingError):
        scan_annotated_folder(tmp_path / missing).check()


def test_bags_of_one_name_in_several_classes_are_several_patients(tmp_path):
    for label in "ab":
        for k in range(3):
            put(tmp_path / label / f"{k}.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.n_patients == 6
    assert [each.kind for each in found.warnings] == [FindingKind.GUESSED]


def test_a_class_without_a_bag_is_named(feature_folder):
    root = feature_folder(n=2)
    (root / "third").mkdir()
    assert "holds no bag" in reasons(scan_annotated_folder(root))["third"]


def test_the_pages_and_channels_of_image_folders_are_counted_and_said(tmp_path):
    for name in ("wild type/a", "mutant/b"):
        (tmp_path / name).mkdir(parents=True)
    pages = [Image.new("L", (6, 4), value) for value in (1, 2, 3)]
    pages[0].save(tmp_path / "wild type/a/fields.tif", save_all=True, append_images=pages[1:])
    for channel in ("DAPI", "GFP"):
        Image.new("L", (6, 4), len(channel)).save(tmp_path / f"mutant/b/cell_{channel}.png")
    cohort = scan_annotated_folder(tmp_path)
    assert {bag.path.name: bag.n for bag in cohort.bags} == {"a": 3, "b": 1}
    said = {path.name: text for path, text in cohort.warnings}
    assert "3 pages" in said["fields.tif"]
    assert "dapi, gfp" in said["b"]


@pytest.mark.parametrize(
    ("names", "positive"),
    [
        (("MSIH", "nonMSIH"), "MSIH"),
        (("methylated", "unmethylated"), "methylated"),
        (("HER2+", "HER2-"), "HER2+"),
        (("mutated", "wild-type"), "mutated"),
        (("high", "low"), "high"),
        (("0", "1"), "1"),
    ],
)
def test_the_finding_is_the_positive_class(tmp_path, names, positive):
    for name in names:
        put(tmp_path / name / "a.npy")
        put(tmp_path / name / "b.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.classes[-1] == positive
    assert FindingKind.GUESSED not in [each.kind for each in found.warnings]


def test_a_positive_class_that_only_the_alphabet_chose_is_said(tmp_path):
    for name in ("luminal", "basal"):
        put(tmp_path / name / "a.npy")
    (guess,) = scan_annotated_folder(tmp_path).warnings
    assert guess.kind is FindingKind.GUESSED
    assert "luminal is taken for the positive class" in guess.text


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_patients_with_several_labels_are_one_line(tmp_path, classes):
    rows = ["slide,label,patient"]
    for k in range(12):
        np.save(tmp_path / f"{k}.npy", np.full((2, 3), k, np.float32))
        rows.append(f"{k}.npy,{classes[k % len(classes)]},p{k // 4}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (finding,) = [
        finding
        for finding in scan_annotated_folder(tmp_path).warnings
        if finding.kind is FindingKind.PATIENT_CONFLICT
    ]
    assert finding.text.startswith("3 patients (the first: p0) have bags labelled")
    assert finding.number == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tumor", "tumor"),
        ("tum\u00f6r", "tumo\u0308r"),
        ("tumor", "tumor "),
        ("MSI-H", "MSI\N{EN DASH}H"),
    ],
)
def test_folders_of_one_class_in_two_spellings_are_one_class_and_said(tmp_path, one, other):
    for name in (one, other, "normal"):
        for k in range(2):
            put(tmp_path / name / f"{len(name)}{k}.npy")
    put(tmp_path / one / "more.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.classes == ("normal", one)
    assert found.counts[one] == 5
    (finding,) = [each for each in found.warnings if each.kind is FindingKind.SPELLING]
    assert "they differ in spelling alone" in finding.text


def test_files_of_unknown_characters_are_one_line_each_class_and_not_used(feature_folder):
    root = feature_folder(n=2)
    for byte in (0xE4, 0xF6):
        name = os.fsdecode(bytes([*b"s", byte, *b".npy"]))
        shutil.copy(root / "benign" / "benign_00.npy", root / "benign" / name)
    found = scan_annotated_folder(root)
    assert len(found.bags) == 4
    (finding,) = found.skipped
    assert finding.path.name == "s\ufffd.npy"
    assert finding.text == "2 files, this one for one, have names not in UTF-8; rename them."
    str(finding.path).encode()


@pytest.mark.parametrize("where", ["class", "cohort"])
def test_a_folder_of_unknown_characters_is_refused(feature_folder, tmp_path, where):
    root = feature_folder(n=2)
    renamed = root / "benign" if where == "class" else root
    other = renamed.rename(renamed.with_name(os.fsdecode(b"norm\xe4l")))
    with pytest.raises(TrainingError, match="norm\ufffdl is not in UTF-8; rename it"):
        scan_annotated_folder(root if where == "class" else other)


def test_files_beside_the_folders_of_classes_are_one_line(tmp_path):
    for k in range(10):
        put(tmp_path / f"s{k}.npy")
    (finding,) = scan_annotated_folder(tmp_path).skipped
    assert finding.text.startswith("It and 9 other files lie beside the folders of the classes")
    assert finding.number == 10


def test_a_folder_with_an_image_of_unknown_characters_is_not_used(tmp_path):
    for label in ("benign", "malignant"):
        for k in range(2):
            (tmp_path / label / f"bag{k}").mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / label / f"bag{k}" / "0.png")
    first = tmp_path / "benign" / "bag0" / "0.png"
    first.rename(first.with_name(os.fsdecode(b"\xe4.png")))
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 3
    assert reasons(found) == {
        "bag0": "The name of its image \ufffd.png is not in UTF-8; rename it."
    }


def test_folders_of_splits_within_classes_are_no_patients(tmp_path):
    for label in ("benign", "malignant"):
        for k in range(2):
            put(tmp_path / label / "train" / f"{label}{k}.npy")
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 4
    assert found.n_patients == 4
    assert not found.patients_known


def test_a_folder_that_cannot_be_read_is_one_bag_less(tmp_path, monkeypatch):
    for label in ("benign", "malignant"):
        for k in range(2):
            put(tmp_path / label / f"{label}{k}.npy")
    (tmp_path / "benign" / "closed").mkdir()

    def refuse(folder, skipped):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("napari_mil.training.cohorts.scanning.bags_in_folder", refuse)
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 4
    assert reasons(found)["closed"] == "It cannot be read (Permission denied)."
