"""Words of the Worklist tab."""

from dataclasses import replace

import pytest

from napari_mil.gui.model import worklist as actions
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.window import window_snapshot
from napari_mil.gui.model.snapshots.worklist import (
    NO_CLASSIFIER,
    NOTHING_TO_DO,
    Column,
    StateWord,
    cell_text,
    is_cautioned,
    is_faint,
    matches,
    progress_of,
    row_remark,
    row_tip,
    sort_value,
    worklist_snapshot,
)
from napari_mil.gui.model.worklist import Listing, Phase
from napari_mil.worklist.states import Found, ResultState
from tests.gui.model import builders as build
from tests.gui.model.worklists import done, listing, looked

STALE = replace(done("b"), state=ResultState.STALE, reasons=("grade answered",))
FAILED = Found(ResultState.FAILED, problem="c.svs shows no tissue.")
NOTHING = Found(ResultState.NOTHING)


def snapshot(made, **fields):
    fields = {"cards": (build.card(), build.card("grade")), **fields}
    return worklist_snapshot(SessionState(listing=made, **fields))


def running(made=None):
    made = actions.start_run(made or looked(NOTHING, NOTHING, NOTHING), {0, 1, 2})
    return actions.count(actions.start_row(made, 0), 200)


def test_without_a_list_there_is_none_and_why_not():
    empty = snapshot(actions.end_reading(Listing(), "x holds no slide."))
    assert (empty.has_list, empty.message) == (False, "x holds no slide.")


def test_the_list_is_there_with_nothing_open():
    assert window_snapshot(SessionState(listing=actions.want(Listing()))).shows_tabs


def test_the_summary_counts_what_is_done_stale_and_failed():
    assert snapshot(looked(done("a"), STALE, FAILED)).summary == "1 of 3 done · 1 stale · 1 failed"
    looking = actions.start_looking(listing("a"))
    assert snapshot(looking).summary == "0 of 1 done · looking at what is there…"


def test_nothing_can_be_run_without_a_classifier_or_with_nothing_to_do():
    assert snapshot(looked(NOTHING)).reason == ""
    assert snapshot(looked(NOTHING), cards=()).reason == NO_CLASSIFIER
    assert snapshot(looked(done("a"))).reason == NOTHING_TO_DO


def test_the_progress_says_how_far_the_row_is_and_how_many_follow():
    made = actions.advance(running(), 50, 12.0)
    assert snapshot(made).progress == "50 of 200 instances · 12 s left · 2 rows to come"
    paused = actions.set_phase(made, Phase.PAUSED)
    assert snapshot(paused).progress == "Paused · 50 of 200 instances · 2 rows to come"
    assert snapshot(paused).classifiers.reason
    assert snapshot(listing("a")).progress == ""


def test_the_cells_of_a_row_with_an_answer():
    row = actions.write_note(looked(done("a", p=0.8, unlike=1.25)), 0, "look").rows[0]
    cells = [cell_text(row, column) for column in Column]
    assert cells == ["a", "done", "tumour", "0.80", "1.25", "look"]
    assert [column for column in Column if is_cautioned(row, column)] == [Column.UNLIKE]
    assert not any(is_faint(row, column) for column in Column)


def test_the_state_of_a_row_is_a_word_or_a_share():
    unknown, nothing = looked(None, NOTHING).rows
    assert cell_text(unknown, Column.STATE) == "…"
    assert cell_text(nothing, Column.STATE) == "to do"
    made = running()
    assert cell_text(made.rows[1], Column.STATE) == "waiting"
    assert cell_text(actions.count(made, 0).rows[0], Column.STATE) == "reading…"
    half = actions.advance(made, 100, None).rows[0]
    assert (cell_text(half, Column.STATE), progress_of(half)) == ("50 %", 0.5)


def test_a_stale_answer_is_faint_and_says_why():
    _, row = looked(done("a"), STALE).rows
    assert is_faint(row, Column.CLASS)
    assert is_cautioned(row, Column.STATE)
    assert row_remark(row) == "Out of date: grade answered."
    assert "Out of date: grade answered." in row_tip(row)


def test_a_failed_row_says_why_until_it_runs_again():
    made = looked(FAILED)
    assert row_remark(made.rows[0]) == "c.svs shows no tissue."
    waiting = actions.start_run(made, {0}).rows[0]
    assert row_remark(waiting) == ""
    assert not is_cautioned(waiting, Column.STATE)


def test_other_columns_of_the_table_stand_in_the_tip_and_are_searched():
    row = listing("a", columns=("site", "block"), cells=("left breast", "")).rows[0]
    lines = row_tip(row, ("site", "block")).splitlines()
    assert lines[-1] == "site: left breast"
    assert matches(row, "BREAST", "")


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("", "", [0, 1, 2]),
        ("TUM", "", [0, 1]),
        ("", StateWord.FAILED, [2]),
        ("tissue", "", [2]),
        ("a", StateWord.STALE, []),
        ("nothing", "", []),
    ],
)
def test_rows_are_filtered_by_text_and_state(text, state, expected):
    rows = looked(done("a"), STALE, FAILED).rows
    assert [k for k, row in enumerate(rows) if matches(row, text, state)] == expected


def test_numbers_sort_as_numbers_and_missing_ones_come_first():
    rows = looked(done("a", p=0.9), done("b", p=0.6), FAILED).rows
    order = sorted(range(3), key=lambda k: sort_value(rows[k], Column.PROBABILITY))
    assert order == [2, 1, 0]
    order = sorted(range(3), key=lambda k: sort_value(rows[k], Column.STATE))
    assert order == [0, 1, 2]
