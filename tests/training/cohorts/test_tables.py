import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.errors import TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.training.sample_cohorts import notes, put, reasons, table


def test_a_table_may_be_separated_by_semicolons(tmp_path):
    for name in "ab":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, 'slide;label;patient\na;"x;y";P1\nb;y;P2\n')
    assert [bag.labels for bag in found.bags] == [("x", "y"), ("y",)]
    assert [bag.patient for bag in found.bags] == ["P1", "P2"]


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
    assert any("Patient p1 has bags in several splits" in what for what in said)


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
    shutil.copy(tmp_path / "d.npy", tmp_path / "d.tif")
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


def test_a_name_no_file_can_have_is_one_row_too_many(tmp_path):
    put(tmp_path / "a.npy")
    found = table(tmp_path, f"slide,label\na,x\n{'z' * 5000},y\n")
    assert len(found.bags) == 1
    assert len(found.skipped) == 1


def test_cells_that_say_that_a_label_is_not_known_are_no_class(tmp_path):
    for k in range(8):
        put(tmp_path / f"s{k}.npy")
    cells = ["MSIH", "nonMSIH", "NA", "nan", "unknown", "", "N/A", "MSIH"]
    rows = "".join(f"s{k},{cell}\n" for k, cell in enumerate(cells))
    found = table(tmp_path, f"slide,label\n{rows}")
    assert found.classes == ("nonMSIH", "MSIH")
    assert len(found) == 3
    said = reasons(found)
    assert said["s2.npy"] == "Its label is 'NA', which says that it is not known."
    assert "unknown" in said["s4.npy"]


def test_a_label_that_is_not_known_is_not_the_absence_of_every_class(tmp_path):
    for name in "abc":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, "slide,label\na,x;y\nb,NA\nc,\n")
    assert [bag.path.name for bag in found.bags] == ["a.npy", "c.npy"]


def test_rows_without_a_patient_count_by_themselves_and_are_said_once(tmp_path):
    for name in "abcd":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, "slide,label,patient\na,0,p\nb,1,NA\nc,0,\nd,1,p\n")
    assert found.n_patients == 3
    (missing,) = [each for each in found.warnings if each.kind is FindingKind.MISSING]
    assert missing.text.startswith("2 of 4 rows")


def test_spellings_of_one_class_are_merged_and_said(tmp_path):
    for name in "abcde":
        put(tmp_path / f"{name}.npy")
    found = table(tmp_path, "slide,label\na,Tumor\nb,tumor \nc,Tumor\nd,1.0\ne,1\n")
    assert found.classes == ("1", "Tumor")
    texts = [each.text for each in found.warnings if each.kind is FindingKind.SPELLING]
    assert len(texts) == 2
    assert "'tumor' is taken for 'Tumor'" in texts[0]


def test_numbers_that_look_like_a_measurement_are_refused(tmp_path):
    for k in range(12):
        put(tmp_path / f"s{k}.npy")
    rows = "".join(f"s{k},{2.5 + k / 7:.3f}\n" for k in range(12))
    with pytest.raises(TrainingError, match="12 different numbers in 12 bags look like a"):
        table(tmp_path, f"slide,label\n{rows}")


@pytest.mark.parametrize(
    "header",
    ["slide,label", "Slide ID,Diagnosis", " slide_id , Class ", "file name,target", "Image-ID,y"],
)
def test_columns_are_known_whatever_marks_and_case_their_names_have(tmp_path, header):
    for name in "ab":
        put(tmp_path / f"{name}.npy")
    assert len(table(tmp_path, f"\n\n{header}\na,x\n b , y \n")) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_spreadsheets_are_read_in_their_encodings(tmp_path, encoding):
    for name in ("Bär", "Müller"):
        put(tmp_path / f"{name}.npy")
    (tmp_path / "labels.csv").write_bytes("slide,label\nBär,x\nMüller,y\n".encode(encoding))
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 2
    kinds = [finding.kind for finding in found.warnings]
    assert (FindingKind.ENCODING in kinds) == (encoding == "cp1252")


def test_a_measurement_with_decimal_commas_is_refused(tmp_path):
    for k in range(6):
        put(tmp_path / f"{k}.npy")
    rows = "\n".join(f"{k};{k},5" for k in range(6))
    with pytest.raises(TrainingError, match="look like a measurement"):
        table(tmp_path, f"slide;label\n{rows}")
