"""Actions on the worklist: rows keep notes, states follow the disk and the run."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_mil.findings import Finding, FindingKind
from napari_mil.gui.model import worklist as actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.worklist import Listing, Phase
from napari_mil.worklist.items import WorkItem
from napari_mil.worklist.records import Record
from napari_mil.worklist.states import Found, ResultState
from tests.gui.model.worklists import done, listing, looked, worklist

NOTHING = Found(ResultState.NOTHING)
STALE = replace(done("c"), state=ResultState.STALE, reasons=("the content is another",))


def test_a_new_list_is_shown_with_what_was_noted_and_nothing_of_its_results():
    noted = worklist("a", "b")
    noted = replace(noted, records=(Record("a", None, "margin"), Record("b", None)))
    shown = actions.show(Listing(), noted, "malignancy")
    assert [row.note for row in shown.rows] == ["margin", ""]
    assert [row.state for row in shown.rows] == [None, None]
    assert shown.wanted


def test_a_failure_counts_for_the_classifier_that_failed_alone():
    record = Record("a", None, failure="No tissue.", classifier="malignancy")
    noted = replace(worklist("a"), records=(record,))
    same = actions.find(actions.show(Listing(), noted, "malignancy"), 0, NOTHING)
    other = actions.find(actions.show(Listing(), noted, "grade"), 0, NOTHING)
    assert (same.rows[0].state, same.rows[0].problem) == (ResultState.FAILED, "No tissue.")
    assert (other.rows[0].state, other.rows[0].problem) == (ResultState.NOTHING, "")


def test_a_failure_gives_way_to_an_answer_that_holds():
    made = looked(Found(ResultState.NOTHING))
    made = actions.end_row(made, 0, Found(ResultState.FAILED, problem="No tissue."))
    assert actions.find(made, 0, NOTHING).rows[0].state is ResultState.FAILED
    assert actions.find(made, 0, done("a")).rows[0].state is ResultState.DONE


def test_a_run_takes_all_rows_without_an_answer_that_holds():
    failed = Found(ResultState.FAILED, problem="Broken.")
    assert looked(done("a"), NOTHING, STALE, failed, None).to_do == (1, 2, 3, 4)


def test_a_run_goes_from_waiting_over_running_to_done():
    made = actions.start_run(looked(NOTHING, NOTHING, done("c")), {0, 1})
    assert [row.is_waiting for row in made.rows] == [True, True, False]
    made = actions.start_row(made, 0)
    made = actions.advance(actions.count(made, 40), 10, 3.0)
    assert (made.running, made.rows[0].done, made.rows[0].total, made.eta) == (0, 10, 40, 3.0)
    made = actions.end_row(made, 0, done("a"))
    assert (made.running, made.rows[0].state) == (None, ResultState.DONE)
    made = actions.end_run(made, "Stopped.", cautions=False)
    assert made.phase is Phase.IDLE
    assert not any(row.is_waiting or row.is_running for row in made.rows)
    assert (made.message, made.cautions) == ("Stopped.", False)


def test_a_row_that_fails_keeps_its_earlier_answer():
    made = actions.start_row(actions.start_run(looked(STALE), {0}), 0)
    made = actions.end_row(made, 0, Found(ResultState.FAILED, problem="Broken."))
    assert made.rows[0].found.result == STALE.result
    assert made.rows[0].problem == "Broken."


def test_pause_and_stop_concern_a_run_that_is_under_way_alone():
    made = listing("a")
    assert actions.set_phase(made, Phase.PAUSED) is made
    running = actions.start_run(made, {0})
    paused = actions.set_phase(running, Phase.PAUSED)
    assert paused.phase is Phase.PAUSED
    stopping = actions.set_phase(paused, Phase.STOPPING)
    assert actions.set_phase(stopping, Phase.RUNNING) is stopping


def test_another_classifier_makes_every_state_unknown_but_not_during_a_run():
    made = actions.write_note(looked(done("a")), 0, "n")
    other = actions.choose_classifier(made, "grade")
    assert (other.rows[0].state, other.rows[0].note) == (None, "n")
    assert actions.choose_classifier(made, "malignancy") is made
    running = actions.start_run(made, {0})
    assert actions.choose_classifier(running, "grade") is running


def test_another_folder_of_results_keeps_notes_unless_it_has_its_own():
    made = actions.write_note(actions.write_note(listing("a", "b"), 0, "mine"), 1, "mine")
    records = (Record("a", None, "theirs"), Record("b", None))
    moved = actions.move(made, replace(worklist("a", "b"), out=Path("other"), records=records))
    assert [row.note for row in moved.rows] == ["theirs", "mine"]


def test_slides_that_were_found_are_looked_at_again_and_the_others_are_not():
    made = looked(done("a"), done("b"))
    here = WorkItem("b", Path("there/b.svs"))
    found = actions.relocate(made, replace(made.worklist, items=(made.rows[0].item, here)))
    assert [row.state for row in found.rows] == [ResultState.DONE, None]
    assert found.rows[1].item is here


def test_a_table_row_holds_the_answer_the_note_and_why_it_failed():
    made = actions.write_note(looked(done("a"), Found(ResultState.FAILED, problem="No.")), 0, "n")
    answered, failed = (row.table_row("malignancy") for row in made.rows)
    assert (answered.state, answered.labels, answered.record.note) == ("done", ("tumour",), "n")
    assert answered.record.folder == "a"
    assert (failed.state, failed.record.failure) == ("failed", "No.")
    assert failed.record.classifier == "malignancy"


def test_what_is_odd_about_a_table_is_said():
    odd = Finding(FindingKind.ENCODING, Path("x.csv"), "It was read as Windows-1252.")
    shown = actions.show(Listing(), replace(worklist("a"), warnings=(odd,)))
    assert shown.message == "It was read as Windows-1252."


@pytest.mark.parametrize("number", [-1, 5])
def test_words_about_a_row_that_is_not_there_change_nothing(number):
    made = looked(NOTHING)
    assert actions.find(made, number, done("a")) is made


def test_a_change_of_the_list_is_told_and_none_is_not():
    session = Session()
    heard = []
    session.changed.connect(lambda before, after: heard.append(after.listing.wanted))
    session.change_listing(actions.want)
    session.change_listing(actions.want)
    assert heard == [True]
