import os

import pytest

from napari_mil.errors import OutputError
from napari_mil.worklist.records import (
    WORKLIST_FILE,
    Record,
    TableRow,
    free_column,
    probability_of,
    read_records,
    write_table,
)


def answered(path, note="", classes=("benign", "malignant")):
    record = Record(path.stem, path, note, classifier="c", folder=path.stem)
    return TableRow(record, "done", (classes[0],), classes, (0.25, 0.75), 1.5)


def test_without_a_table_nothing_was_noted(tmp_path):
    assert read_records(tmp_path).records == ()


def test_a_row_holds_the_answer_and_the_probability_of_every_class(tmp_path):
    path = tmp_path / "a.svs"
    table = write_table(tmp_path, [answered(path, "n"), answered(path, classes=("x", "y"))])
    header, first, second = table.read_text().splitlines()
    assert header == (
        "path,state,class,probability,unlike,note,probability of benign,"
        "probability of malignant,probability of x,probability of y,reason,classifier,folder"
    )
    assert first == f"{path},done,benign,0.25,1.5,n,0.25,0.75,,,,c,a"
    assert second == f"{path},done,x,0.25,1.5,,,,0.25,0.75,,c,a"


def test_an_answer_of_several_labels_has_no_single_probability():
    assert probability_of(("a", "b"), ("a", "b"), (0.6, 0.7)) is None
    assert probability_of((), ("a", "b"), (0.1, 0.2)) is None
    assert probability_of(("b",), ("a", "b"), (0.6, 0.7)) == 0.7


def test_why_a_slide_failed_is_kept(tmp_path):
    failed = TableRow(Record("a", tmp_path / "a.svs", failure="No tissue."), "failed")
    fine = TableRow(Record("b", tmp_path / "b.svs"), "done")
    write_table(tmp_path, [failed, fine])
    assert [record.failure for record in read_records(tmp_path).records] == ["No tissue.", ""]


def test_a_table_that_cannot_be_written_leaves_the_one_of_before(tmp_path, monkeypatch):
    write_table(tmp_path, [answered(tmp_path / "a.svs", "kept")])

    def refuse(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=r"worklist.csv cannot be written \(No space left"):
        write_table(tmp_path, [answered(tmp_path / "a.svs", "lost")])
    assert read_records(tmp_path).records[0].note == "kept"
    assert [path.name for path in tmp_path.iterdir()] == [WORKLIST_FILE]


def test_columns_of_other_tables_do_not_take_the_names_of_its_own():
    assert free_column("site") == "site"
    assert free_column("state") == "state (table)"
    assert free_column("probability of benign") == "probability of benign (table)"
