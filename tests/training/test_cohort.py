import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags.names import bag_name
from napari_mil.errors import TrainingError
from napari_mil.training.cohort import FEATURES, IMAGES, SLIDES
from napari_mil.training.patients import barcode_of
from napari_mil.training.scanning import scan_annotated_folder


def reasons(cohort):
    return {path.name: reason for path, reason in cohort.skipped}


def notes(cohort):
    return {path.name: what for path, what in cohort.warnings}


def put(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(
        path,
        np.random.default_rng(abs(hash(str(path)))).normal(size=(4, 3))
        if content is None
        else content,
    )
    return path


def table(root, text):
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return scan_annotated_folder(root)


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
    from PIL import Image

    (tmp_path / "a").mkdir()
    shutil.copy(slide_path, tmp_path / "a" / "one.svs")
    folder = tmp_path / "b" / "protein"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.fromarray(noise[i * 20 : i * 20 + 30, :40]).save(folder / f"{i}.png")
    found = scan_annotated_folder(tmp_path)
    assert [(bag.kind, bag.n) for bag in found.bags] == [(SLIDES, None), (IMAGES, 3)]
    with pytest.raises(TrainingError, match="mixes slides and image folders"):
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
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{'test' if path.name == 'copy.npy' else 'train'}"
        for path in sorted(root.glob("*/*.npy"))
    ]
    found = table(root, "slide,label,split\n" + "\n".join(rows))
    assert "several splits: figures will be too good" in notes(found)["copy.npy"]


def test_a_table_may_be_separated_by_semicolons(tmp_path):
    for name in "ab":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, 'slide;label;patient\na;"x;y";P1\nb;y;P2\n')
    assert [bag.labels for bag in found.bags] == [("x", "y"), ("y",)]
    assert [bag.patient for bag in found.bags] == ["P1", "P2"]


def test_barcodes_give_the_patient():
    assert barcode_of(Path("TCGA-CR-7395-01A-01-TS1.a1b2.svs")) == "TCGA-CR-7395"
    assert barcode_of(Path("tcga-cr-7395.h5")) == "TCGA-CR-7395"
    assert barcode_of(Path("one/TCGA-like.slide.h5")) == "one/TCGA-like.slide"
    assert bag_name(Path("a.b.ome.tiff")) == "a.b"


def test_a_table_names_labels_patients_and_splits(tmp_path):
    for name in "abcd":
        put(tmp_path / f"{name}.npy")
    found = table(
        tmp_path,
        "\ufeffSlide,Label,Patient,Split\na,x,p1,train\nb.npy,y,p1,val\nc.npy,x,p2,TEST\nd,y,,\n",
    )
    assert [(bag.path.name, bag.label, bag.patient, bag.split) for bag in found.bags] == [
        ("a.npy", "x", "p1", "train"),
        ("b.npy", "y", "p1", "validation"),
        ("c.npy", "x", "p2", "test"),
        ("d.npy", "y", f"{tmp_path.name}/d", None),
    ]
    said = [what for _, what in found.warnings]
    assert any("Patient p1 has bags labelled x and y" in what for what in said)
    assert any("Patient p1 stands in several splits" in what for what in said)


def test_columns_and_separators_of_other_tools(tmp_path):
    for name in "ab":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, "case_id\tslide_id\tlabel\np1\ta\tx\np2\tb\ty\n")
    assert [(bag.patient, bag.label) for bag in found.bags] == [("p1", "x"), ("p2", "y")]


def test_several_labels_and_none(tmp_path):
    for name in "abc":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, "slide,label\na,x;y\nb,y\nc,\n")
    assert found.multi_label
    assert found.classes == ("x", "y")
    assert found.targets.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert found.bags[2].labels == ()


def test_rows_that_make_no_sense_are_named(tmp_path):
    for name in "abcde":
        put(tmp_path / f"{name}.npy")
    shutil.copy(tmp_path / "d.npy", tmp_path / "d.h5")
    put(tmp_path.parent / "outside.npy")
    found = table(
        tmp_path,
        "slide,label,split\na,x,\na,y,\nb,x,\nb,x,\nc,x,sometimes\nmissing,x,\n../outside.npy,x,\n,x,\ne,,\nd,y,\n",
    )
    assert [bag.path.name for bag in found.bags] == ["b.npy"]
    said = reasons(found)
    assert "listed twice, with different labels" in said["a.npy"]
    assert "sometimes" in said["c.npy"]
    assert "no such file" in said["missing"]
    assert "outside the folder" in said["outside.npy"]
    assert "no label" in said["e.npy"]
    assert "Several files" in said["d"]
    assert "listed twice" in notes(found)["b.npy"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slide|label\na|x\n", "no column"),
        ("", "no column"),
        ("slide,label,Label\n", "several columns named 'label'"),
        ("name,label\n", "'slide'"),
        ("slide,name\n", "'label'"),
    ],
)
def test_a_table_without_its_columns_is_refused(tmp_path, text, said):
    with pytest.raises(TrainingError, match=said):
        table(tmp_path, text)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"slide,label\n\xff\xfe\x00")
    with pytest.raises(TrainingError, match=r"labels\.csv cannot be read"):
        scan_annotated_folder(tmp_path)


@pytest.mark.parametrize("missing", ["nowhere", "file.txt"])
def test_a_path_that_is_no_folder_is_refused(tmp_path, missing):
    if missing == "file.txt":
        (tmp_path / missing).write_text("x")
    with pytest.raises(TrainingError):
        scan_annotated_folder(tmp_path / missing).check()


def test_nothing_and_one_class_cannot_be_trained_on(tmp_path, feature_folder):
    with pytest.raises(TrainingError, match="holds no bag"):
        scan_annotated_folder(tmp_path).check()
    with pytest.raises(TrainingError, match="one class only"):
        scan_annotated_folder(feature_folder(classes=("only",))).check()


def test_the_positive_class_can_be_chosen(cohort):
    turned = cohort.with_positive("benign")
    assert turned.classes == ("malignant", "benign")
    assert turned.targets.tolist() == [1] * 12 + [0] * 12
    with pytest.raises(TrainingError, match="not one of two classes"):
        cohort.with_positive("neither")


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), max_size=8
    )
)
def test_no_table_brings_it_down(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "labels.csv").write_text(
        "slide,label,patient,split\n" + "\n".join(rows), encoding="utf-8"
    )
    try:
        found = scan_annotated_folder(folder)
    except TrainingError:
        return
    assert not [bag for bag in found.bags if not bag.path.exists()]


def test_bags_of_one_name_in_several_classes_are_several_patients(tmp_path):
    for label in "ab":
        for k in range(3):
            put(tmp_path / label / f"{k}.npy")
    found = scan_annotated_folder(tmp_path)
    assert found.n_patients == 6
    assert not found.warnings


def test_a_class_without_a_bag_is_named(feature_folder):
    root = feature_folder(n=2)
    (root / "third").mkdir()
    assert "holds no bag" in reasons(scan_annotated_folder(root))["third"]


def test_a_name_no_file_can_have_is_one_row_too_many(tmp_path):
    put(tmp_path / "a.npy")
    found = table(tmp_path, f"slide,label\na,x\n{'z' * 5000},y\n")
    assert len(found.bags) == 1
    assert len(found.skipped) == 1
