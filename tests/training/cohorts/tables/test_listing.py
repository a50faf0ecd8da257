import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.errors import TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.training.sample_cohorts import notes, put, reasons, table


def labelled(root, cells, header="slide,label"):
    """Scan a table of as many bags, s0, s1, … by its other cells."""
    for k in range(len(cells)):
        put(root / f"s{k}.npy")
    rows = "".join(f"s{k},{cell}\n" for k, cell in enumerate(cells))
    return table(root, f"{header}\n{rows}")


def texts(cohort, kind):
    return [finding.text for finding in cohort.warnings if finding.kind is kind]


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
        ("slide/label\na/x\n", "no column"),
        ("", "is empty"),
        ("\n\n # \n", "no column"),
        ("# nothing but remarks\n", "is empty"),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P{}", "p{}"),
        ("{}", "{}.0"),
        ("00{}", "{}"),
        ("M\u00fcller {}", "Mu\u0308ller {}"),
        ("P {}", "P  {}"),
        ("P {}", "P\N{NO-BREAK SPACE}{}"),
        ("TCGA-CR-739{}", "TCGA-CR-739{}-01A-01-TS1"),
    ],
)
def test_spellings_of_one_patient_are_one_and_said_once(tmp_path, one, other):
    cells = [
        f"{'xy'[i]},{name.format(k)}" for k in range(1, 6) for i, name in enumerate((one, other))
    ]
    found = labelled(tmp_path, cells, "slide,label,patient")
    assert found.n_patients == 5
    assert len(set(found.groups)) == 5
    if "TCGA" not in one:
        (finding,) = [each for each in found.warnings if each.kind is FindingKind.SPELLING]
        assert finding.number == 5
        assert "are taken for one; they differ in spelling alone, as do those of 4 more" in (
            finding.text
        )


def test_patients_that_may_be_two_stay_two(tmp_path):
    cells = [f"{'xy'[k % 2]},{name}" for k, name in enumerate(["P01", "P1", "1.10", "1.1"])]
    found = labelled(tmp_path, cells, "slide,label,patient")
    assert found.n_patients == 4
    assert not texts(found, FindingKind.SPELLING)


@pytest.mark.parametrize("missing", ["<NA>", "#N/A", "\N{EN DASH}", "n.d."])
def test_markers_of_missing_patients_are_no_patient(tmp_path, missing):
    found = labelled(tmp_path, [f"x,{missing}", f"y,{missing}", "x,P1"], "slide,label,patient")
    assert found.n_patients == 3
    assert texts(found, FindingKind.MISSING)


def test_one_slide_listed_twice_with_two_spellings_of_its_patient_counts_once(tmp_path):
    put(tmp_path / "a.npy")
    found = table(tmp_path, "slide,label,patient\na,x,P1\na,X,p1\n")
    assert len(found) == 1


def test_a_table_with_the_index_of_pandas_is_read_by_its_columns(tmp_path):
    for k in range(4):
        put(tmp_path / f"{k}.npy")
    rows = "".join(f"{k}\t{3 - k}\tP{k}\t{'xy'[k % 2]}\n" for k in range(4))
    found = table(tmp_path, f"\tslide\tpatient\tlabel\n{rows}")
    assert found.classes == ("x", "y")
    assert {bag.path.stem: bag.patient for bag in found.bags} == {
        "3": "P0",
        "2": "P1",
        "1": "P2",
        "0": "P3",
    }


@pytest.mark.parametrize(
    "missing", ["<NA>", "#NA", "#N/A", "#VALUE!", "#REF!", "n.d.", "\N{EN DASH}", "\N{EM DASH}"]
)
def test_markers_of_missing_labels_are_no_class_and_hide_no_measurement(tmp_path, missing):
    found = labelled(tmp_path, ["x", "y", missing])
    assert found.classes == ("x", "y")
    assert "says that it is not known" in reasons(found)["s2.npy"]
    assert not texts(found, FindingKind.UNLISTED)
    with pytest.raises(TrainingError, match="look like a measurement"):
        labelled(tmp_path, [missing, "0.12", "0.5", "3.4", "2.2", "7.1", "6.6"])


@pytest.mark.parametrize("minus", ["-", "\N{MINUS SIGN}", "\N{EN DASH}"])
def test_a_minus_beside_a_plus_is_a_class_and_the_negative_one(tmp_path, minus):
    assert labelled(tmp_path, [minus, "+"] * 2).classes == (minus, "+")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["tum\u00f6r", "tumo\u0308r", "tum\u00f6r", "normal"], ("normal", "tum\u00f6r")),
        (
            ["MSI-H", "MSI\N{NON-BREAKING HYPHEN}H", "MSI\N{EN DASH}H", "MSI-H", "MSS"],
            ("MSS", "MSI-H"),
        ),
        (["tumor", "tumor\N{ZERO WIDTH SPACE}", "tumor", "normal"], ("normal", "tumor")),
        (["0", "1", "0.00", "1.00", "0", "1"], ("0", "1")),
        (['"0,0"', '"1,0"', "0", "1", "0", "1"], ("0", "1")),
        (["0", "+1", "0", "1", "-0", "1"], ("0", "1")),
        (["0", "1", "00", "01", "0", "1"], ("0", "1")),
        (["-1", "1"] * 2, ("-1", "1")),
    ],
)
def test_one_class_in_several_spellings_is_one(tmp_path, labels, classes):
    assert labelled(tmp_path, labels).classes == classes


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([f"{k} y" for k in range(40, 50)], "look like a measurement"),
        ([f"2020-01-0{k}" for k in range(1, 9)], "8 different dates in 8 bags are no classes"),
        ([f"id{k}" for k in range(10)], "most of them of a single bag"),
    ],
)
def test_what_is_no_class_is_refused_in_a_sentence(tmp_path, labels, words):
    with pytest.raises(TrainingError, match=words):
        labelled(tmp_path, labels)


def test_rows_longer_than_the_header_are_left_out_and_named(tmp_path):
    labels = [
        "Carcinoma, ductal",
        "Carcinoma, lobular",
        "normal",
        '"Carcinoma, ductal"',
        "normal,,",
    ]
    found = labelled(tmp_path, labels)
    assert found.classes == ("normal", "Carcinoma, ductal")
    assert len(found) == 3
    (longer,) = found.skipped
    assert longer.number == 2
    assert longer.text.startswith("2 rows have more cells than the first line names (line 2: s0, ")
    assert not texts(found, FindingKind.UNLISTED)


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (["x", '"y', "x", "y"], 3),
        (["x", '"y', "x", 'y"', "x"], 3),
    ],
)
def test_a_quotation_mark_that_hides_rows_is_named(tmp_path, labels, line):
    with pytest.raises(TrainingError, match=f"a quotation mark in line {line} that is not closed"):
        labelled(tmp_path, labels)


def test_a_quoted_cell_may_hold_a_line_end(tmp_path):
    found = labelled(
        tmp_path, ['"ductal\ncarcinoma",a', 'y,"seen twice,\nby two"'], "slide,label,remark"
    )
    assert len(found) == 2


def test_of_two_columns_of_labels_the_one_that_is_used_is_said(tmp_path):
    found = labelled(tmp_path, ["x,y", "y,x"], "slide,label,class")
    assert [bag.label for bag in found.bags] == ["x", "y"]
    assert texts(found, FindingKind.COLUMN) == [
        "The column 'label' is used, not 'class', which says otherwise."
    ]
    alike = labelled(tmp_path, ["x,X", "y,y"], "slide,label,class")
    assert not texts(alike, FindingKind.COLUMN)


def test_the_bags_that_make_every_class_a_yes_or_no_are_said(tmp_path):
    found = labelled(tmp_path, ["x;y", "x", "y", "x"])
    assert found.multi_label
    assert texts(found, FindingKind.SEVERAL_LABELS) == [
        "1 of 4 bags have several labels (s0.npy: x;y); "
        "every class is therefore a yes or no of its own."
    ]


@pytest.mark.parametrize("header", [", , ", ",ER+,ER-", ",note,note"])
def test_columns_that_are_not_used_may_have_one_name(tmp_path, header):
    assert len(labelled(tmp_path, ["x,1,0", "y,0,1"], f"slide,label{header}")) == 2


def test_splits_in_other_words_and_missing_ones(tmp_path):
    words = ["Training", "Testing", "hold-out", "Dev", "NA", "NaN", "-", "", "held out"]
    found = labelled(
        tmp_path, [f"{'xy'[k % 2]},{word}" for k, word in enumerate(words)], "slide,label,split"
    )
    assert [bag.split for bag in found.bags] == [
        *("train", "test", "test", "validation", None, None, None, None, "test")
    ]


@pytest.mark.parametrize(
    "column", ["case_submitter_id", "cases.submitter_id", "bcr_patient_barcode", "Participant ID"]
)
def test_columns_of_patients_of_other_archives_are_known(tmp_path, column):
    found = labelled(tmp_path, ["x,1", "y,1"], f"slide,label,{column}")
    assert found.n_patients == 1


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("slide,label,diagnosis", ["0,normal", "1,tumor", "0,normal", "1,tumor"]),
        ("slide,label,y", ["a,0.5", "b,17.25", "a,3.75", "b,101.5", "a,8.5", "b,9.25"]),
        ("slide,patient,case_id,label", ["0,C0,a", "1,C1,b", "0,C0,b", "1,C1,a"]),
    ],
)
def test_columns_that_say_the_same_or_something_else_entirely_are_not_named(
    tmp_path, header, cells
):
    assert not texts(labelled(tmp_path, cells, header), FindingKind.COLUMN)


def test_a_bag_of_which_every_label_is_unknown_is_not_one_of_no_class(tmp_path):
    found = labelled(tmp_path, ["x;y", "NA;unknown", "y", ";", "x"])
    assert [bag.path.stem for bag in found.bags] == ["s0", "s2", "s3", "s4"]
    assert "which says that it is not known" in reasons(found)["s1.npy"]
