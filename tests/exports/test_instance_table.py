"""CSV of the instances, below lines of facts."""

import csv

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.exports.exporting import export_prediction
from tests.exports.answers import answer, images_answer

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


def written(prediction, folder):
    """Export and return the facts and the rows."""
    path = folder / "a.csv"
    export_prediction(prediction, "csv", path)
    lines = path.read_text(encoding="utf-8").splitlines()
    facts = [line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("# ")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("# ")))
    return dict(facts), rows


@settings(max_examples=30)
@given(arrays(np.float32, (6, 1), elements=any_float32))
def test_values_read_back_to_the_bit(tmp_path_factory, values):
    _, rows = written(answer(attention=values), tmp_path_factory.mktemp("export"))
    read = np.array([row["attention"] for row in rows], np.float32)
    assert np.array_equal(read, values[:, 0], equal_nan=True)


def test_a_row_holds_place_values_and_class(tmp_path):
    _, rows = written(answer(), tmp_path)
    assert list(rows[0]) == [
        "x",
        "y",
        "width",
        "height",
        "attention",
        "score_normal",
        "score_tumour",
        "unlike",
        "class",
    ]
    assert [(row["x"], row["width"]) for row in rows[:2]] == [("0", "100.25"), ("100", "100.25")]


def test_facts_come_first_and_each_fills_one_line(tmp_path):
    remarks = ["One tile\nis odd.", "Guessed."]
    facts, rows = written(answer(provenance={"fallbacks": remarks}), tmp_path)
    assert facts["slide"] == "a slide"
    assert facts["fingerprint"] == "f" * 32
    assert facts["calibration"] == "calibrated (temperature 1.25)"
    assert facts["classifier fingerprint"] == "c" * 32
    assert "# remark: One tile is odd." in (tmp_path / "a.csv").read_text()
    assert len(rows) == 6


def test_images_are_named(tmp_path):
    _, rows = written(images_answer(), tmp_path)
    assert rows[1]["name"] == "patient-7-1.png"
    assert "x" not in rows[0]


def test_a_class_is_left_out_where_instances_have_none(tmp_path):
    _, rows = written(answer(instance_scores=None), tmp_path)
    assert "class" not in rows[0]
