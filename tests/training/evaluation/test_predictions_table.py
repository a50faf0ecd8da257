import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.errors import OutputError
from napari_mil.training.evaluation.answers import LabelledBag, Link
from napari_mil.training.evaluation.predictions_table import (
    PredictionsTable,
    Row,
    read_predictions,
)
from tests.training.evaluation.sample_answers import answers


@pytest.mark.parametrize("link", Link)
def test_answers_come_back_to_the_bit(link, tmp_path):
    some = answers(link)
    path = tmp_path / "predictions.csv"
    path.write_text(PredictionsTable.of(some).text(), encoding="utf-8")
    table = read_predictions(path)
    assert table == PredictionsTable.of(some)
    back = table.answers()
    assert (back.classes, back.link, back.bags) == (some.classes, some.link, some.bags)
    for name in ("uncalibrated", "temperature", "threshold", "fold_of", "targets", "predicted"):
        np.testing.assert_array_equal(getattr(back, name), getattr(some, name))


@pytest.mark.parametrize("link", Link)
def test_rows_hold_truth_answer_and_probabilities_before_and_after_temperature(link):
    some = answers(link, repeats=1)
    rows = list(csv.DictReader(io.StringIO(PredictionsTable.of(some).text())))
    several = link is Link.MULTI_LABEL
    for b, row in enumerate(rows):
        assert row["bag"] == f"folder/bag {b}.npy"
        assert row["classes" if several else "class"] == ";".join(some.bags[b].labels)
        for c, name in enumerate(some.classes):
            assert float(row[f"probability_{name}"]) == some.probabilities[0, b, c]
            before = some.uncalibrated_probabilities[0, b, c]
            assert float(row[f"uncalibrated_{name}"]) == before
        given_names = [
            name for name, one in zip(some.classes, some.predicted[0, b], strict=True) if one
        ]
        assert row["labels" if several else "label"] == ";".join(given_names)


def test_without_folds_a_row_has_none(tmp_path):
    path = tmp_path / "predictions.csv"
    row = Row(LabelledBag("a.npy", "p", ("x",)), None, None, (1.5,), 1.0, 0.5, unlike=0.7)
    path.write_text(PredictionsTable(("x", "y"), Link.SIGMOID, (row,)).text())
    back = read_predictions(path)
    assert back.rows == (row,)
    found = back.answers()
    assert found.fold_of is None
    assert found.unlike.tolist() == [0.7]


@given(
    st.lists(st.tuples(st.floats(-1e30, 1e30), st.floats(0.25, 20)), min_size=1, max_size=5),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
)
def test_any_name_and_number_round_trips(tmp_path_factory, values, name):
    rows = tuple(
        Row(LabelledBag(f"{name}/{k}", name, ("x",)), 0, k, (logit,), temperature, 0.5)
        for k, (logit, temperature) in enumerate(values)
    )
    table = PredictionsTable(("x", "y"), Link.SIGMOID, rows)
    path = tmp_path_factory.mktemp("table") / "predictions.csv"
    path.write_text(table.text(), encoding="utf-8", newline="")
    assert read_predictions(path) == table


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "bag,logit_x,probability_x\na,b,c\n", "\0"])
def test_another_file_is_refused_in_one_sentence(text, tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(OutputError, match="cannot be read as predictions"):
        read_predictions(path)


def test_a_bag_that_is_missing_in_a_repeat_is_noticed():
    table = PredictionsTable.of(answers())
    short = PredictionsTable(table.classes, table.link, table.rows[:-1])
    with pytest.raises(ValueError, match="missing in a repeat"):
        short.answers()
    twice = PredictionsTable(table.classes, table.link, (*table.rows, table.rows[0]))
    with pytest.raises(ValueError, match="twice"):
        twice.answers()
