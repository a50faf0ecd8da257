"""The table of labels is found however it is called."""

import pytest

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.cohorts.tables.finding import table_in
from tests.training.sample_cohorts import put, reasons

ROWS = "slide,label\n" + "".join(f"s{k},{'ab'[k % 2]}\n" for k in range(4))


@pytest.fixture
def bags(tmp_path):
    for k in range(4):
        put(tmp_path / f"s{k}.npy")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("labels.csv", "Labels.csv", "labels.CSV", "LABELS.CSV", "labels.tsv", "Labels.TSV"),
        *("labels.csv.txt", "labels.txt"),
    ],
)
def test_the_table_is_found_whatever_the_case_and_ending(bags, name):
    rows = ROWS.replace(",", "\t") if name.lower().endswith("tsv") else ROWS
    (bags / name).write_text(rows)
    found = scan_annotated_folder(bags)
    assert found.counts == {"a": 2, "b": 2}
    assert not found.skipped


def test_the_usual_name_comes_first(bags):
    (bags / "labels.csv").write_text(ROWS)
    (bags / "Labels.TSV").write_text("nonsense")
    assert table_in(bags).name == "labels.csv"


def test_tables_of_one_name_in_several_cases_are_refused(bags):
    (bags / "Labels.csv").write_text(ROWS)
    (bags / "LABELS.csv").write_text(ROWS)
    if len(list(bags.glob("[lL]*.csv"))) < 2:
        pytest.skip("the disk knows no case")
    with pytest.raises(TrainingError, match=r"LABELS.csv and Labels.csv; leave one of them"):
        scan_annotated_folder(bags)


def test_a_list_of_classes_is_no_table(tmp_path):
    for label in ("a", "b"):
        put(tmp_path / label / "0.npy")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    assert scan_annotated_folder(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize("name", ["labels.csv", "Labels.csv", "labels.xlsx"])
def test_a_folder_of_the_name_of_a_table_is_none(tmp_path, name):
    for label in ("a", "b"):
        put(tmp_path / label / "0.npy")
    (tmp_path / name).mkdir()
    assert len(scan_annotated_folder(tmp_path)) == 2


@pytest.mark.parametrize("name", ["labels.xlsx", "Labels.xls", "labels.ods"])
def test_a_spreadsheet_is_refused_with_what_to_do(bags, name):
    (bags / name).write_bytes(b"PK")
    with pytest.raises(TrainingError, match=rf"{name} in .* is a spreadsheet; save it as labels"):
        scan_annotated_folder(bags)


def test_a_spreadsheet_beside_folders_of_classes_is_said(tmp_path):
    for label in ("a", "b"):
        put(tmp_path / label / "0.npy")
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    found = scan_annotated_folder(tmp_path)
    assert len(found) == 2
    assert "save it as labels.csv" in reasons(found)["labels.xlsx"]
