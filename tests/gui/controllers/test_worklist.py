"""The worklist: one list, one look, one run; what it tells becomes actions and a table on disk."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.events import Advanced, Started
from napari_mil.gui.controllers import stored_answers
from napari_mil.gui.controllers import worklist as module
from napari_mil.gui.controllers.worklist import (
    LOOK_JOB,
    RUN_JOB,
    SAVE_JOB,
    STOPPED,
    WorklistController,
)
from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.worklist import Phase
from napari_mil.gui.views.worklist_tab import WorklistTab
from napari_mil.gui.views.worklist_table import WorklistTable
from napari_mil.settings import Settings
from napari_mil.worklist.records import WORKLIST_FILE, read_records
from napari_mil.worklist.running import RowEnded, RowStarted
from napari_mil.worklist.states import Found, ResultState
from tests.gui.model import builders as build
from tests.gui.model.worklists import done
from tests.gui.training import FakeJobs, emit

CARDS = (build.card(), build.card("grade"))


class Heavy:
    """What would classify with torch: tells what it is given, or fails."""

    def __init__(self):
        self.events = []
        self.error = None
        self.asked = []

    def fingerprint_of(self, card, settings):
        return f"fingerprint of {card.name}"

    def classify_worklist(self, items, wanted, question, tell, cancel):
        self.asked.append((list(wanted), question))
        for event in self.events:
            cancel.raise_if_cancelled()
            tell(event)
        if self.error is not None:
            raise self.error


@pytest.fixture
def room(monkeypatch, tmp_path):
    view = MagicMock(spec=WorklistTab)
    view.table = MagicMock(spec=WorklistTable)
    made = SimpleNamespace(
        session=Session(),
        view=view,
        jobs=FakeJobs(),
        opened=[],
        show_worklist=MagicMock(),
        heavy=Heavy(),
        root=tmp_path / "bags",
        out=tmp_path / "bags-results",
    )
    made.root.mkdir()
    for name in ("a", "b"):
        np.save(made.root / f"{name}.npy", np.zeros((3, 8), np.float32))
    monkeypatch.setattr(module, "import_module", lambda name: made.heavy)
    monkeypatch.setattr(stored_answers, "import_module", lambda name: made.heavy)
    made.session.apply(actions.set_cards, CARDS)
    made.controller = WorklistController(
        made.session,
        view,
        made.jobs,
        Settings(),
        lambda paths: made.opened.extend(paths),
        made.show_worklist,
    )
    return made


def listing(room):
    return room.session.state.listing


def states(room):
    return [row.state for row in listing(room).rows]


def open_now(room, source=None):
    room.controller.open(source or room.root)
    room.jobs.run()


def test_a_dropped_folder_is_listed_and_looked_at(room):
    emit(room.view.path_dropped, str(room.root))
    assert listing(room).reading == "bags"
    room.show_worklist.assert_called_once_with()
    room.jobs.run()
    assert [row.item.name for row in listing(room).rows] == ["a", "b"]
    assert states(room) == [ResultState.NOTHING, ResultState.NOTHING]
    assert not listing(room).looking
    assert not room.out.exists(), "looking writes nothing"


def test_what_cannot_be_listed_is_said_and_the_list_of_before_stays(room, tmp_path):
    open_now(room)
    open_now(room, tmp_path / "missing")
    assert "missing does not exist" in listing(room).message
    assert len(listing(room).rows) == 2


def test_a_run_takes_what_is_to_do_and_writes_the_table(room):
    open_now(room)
    room.heavy.events = [
        RowStarted(0),
        Started(10),
        Advanced(4, 1.0, 6.0),
        RowEnded(0, done("a")),
        RowStarted(1),
        RowEnded(1, Found(ResultState.FAILED, problem="Broken.")),
    ]
    emit(room.view.run_requested)
    assert listing(room).phase is Phase.RUNNING
    room.jobs.run()
    ((wanted, question),) = room.heavy.asked
    assert wanted == [0, 1]
    assert question.classifier_fingerprint == "fingerprint of malignancy"
    assert listing(room).phase is Phase.IDLE
    records = read_records(room.out).records
    assert [record.failure for record in records] == ["", "Broken."]


def test_a_second_press_while_one_runs_starts_nothing(room):
    open_now(room)
    room.controller.run()
    job = room.jobs.current(RUN_JOB)
    room.controller.run()
    assert room.jobs.current(RUN_JOB) is job


def test_pause_go_on_and_stop_reach_the_job(room):
    open_now(room)
    room.controller.run()
    job = room.jobs.current(RUN_JOB)
    emit(room.view.pause_requested)
    assert (job.token.paused, listing(room).phase) == (True, Phase.PAUSED)
    emit(room.view.go_on_requested)
    assert (job.token.paused, listing(room).phase) == (False, Phase.RUNNING)
    emit(room.view.stop_requested)
    assert listing(room).phase is Phase.STOPPING
    room.jobs.run()
    assert listing(room).phase is Phase.IDLE
    assert (listing(room).message, listing(room).cautions) == (STOPPED, False)


def test_a_run_that_cannot_write_says_so_and_a_defect_is_told_with_its_details(room):
    open_now(room)
    room.heavy.error = RuntimeError("boom")
    room.controller.run()
    room.jobs.run()
    assert "boom" in listing(room).message
    assert room.session.state.notices[0].details


def test_another_list_waits_until_the_run_is_stopped(room, tmp_path):
    open_now(room)
    room.controller.run()
    room.controller.open(tmp_path)
    assert "stop it before another list" in listing(room).message
    assert listing(room).worklist.source == room.root


def test_a_note_is_on_disk_at_once_and_is_there_when_the_list_is_opened_again(room):
    open_now(room)
    emit(room.view.table.note_written, 1, "look again")
    room.jobs.run()
    assert [record.note for record in read_records(room.out).records] == ["", "look again"]
    open_now(room)
    assert [row.note for row in listing(room).rows] == ["", "look again"]


def test_notes_written_while_the_table_is_written_are_written_after_it(room):
    open_now(room)
    room.controller.write_note(0, "first")
    room.controller.write_note(0, "second")
    assert [job.kind for job in room.jobs.waiting] == [SAVE_JOB]
    room.jobs.run()
    assert read_records(room.out).records[0].note == "second"


def test_a_note_that_is_not_on_disk_when_the_window_closes_is_written_then(room):
    open_now(room)
    room.controller.write_note(0, "first")
    room.controller.write_note(0, "second")
    room.controller.save_now()
    assert read_records(room.out).records[0].note == "second"


def test_a_table_that_cannot_be_written_is_said_and_the_note_stays(room):
    open_now(room)
    room.out.touch()
    room.controller.write_note(0, "kept")
    room.jobs.run()
    assert "cannot be written" in listing(room).message
    assert listing(room).rows[0].note == "kept"
    room.controller.choose_out(room.out.with_name("other"))
    room.jobs.run()
    assert read_records(room.out.with_name("other")).records[0].note == "kept"


def test_the_table_is_written_on_demand_and_where_it_is_is_said(room):
    open_now(room)
    emit(room.view.save_requested)
    room.jobs.run()
    assert listing(room).message == f"Written to {room.out / WORKLIST_FILE}."
    assert not listing(room).cautions


def test_another_classifier_is_looked_at_and_is_remembered_by_the_table(room):
    open_now(room)
    emit(room.view.classifier_chosen, "grade")
    assert room.jobs.current(LOOK_JOB) is not None
    room.jobs.run()
    room.controller.save()
    room.jobs.run()
    room.session.change_listing(module.actions.choose_classifier, "malignancy")
    open_now(room)
    assert listing(room).classifier == "grade"


def test_a_row_without_an_answer_opens_its_slide_and_one_that_vanished_says_so(room):
    open_now(room)
    emit(room.view.table.row_opened, 0)
    assert room.opened == [room.root / "a.npy"]
    (room.root / "b.npy").unlink()
    emit(room.view.table.row_opened, 1)
    assert "b is not there any more" in listing(room).message
    assert len(room.opened) == 1


def test_slides_of_results_are_found_in_a_folder(room, tmp_path):
    open_now(room)
    room.controller.save()
    room.jobs.run()
    (tmp_path / "moved").mkdir()
    for name in ("a", "b"):
        (room.root / f"{name}.npy").rename(tmp_path / "moved" / f"{name}.npy")
    open_now(room, room.out)
    assert states(room) == [ResultState.FAILED, ResultState.FAILED]
    room.controller.locate(tmp_path / "moved")
    room.jobs.run()
    assert states(room) == [ResultState.NOTHING, ResultState.NOTHING]
    assert read_records(room.out).records[0].path == tmp_path / "moved" / "a.npy"


def test_thumbnails_go_to_the_table(room, monkeypatch):
    open_now(room)
    monkeypatch.setattr(module, "thumbnail_of", lambda path, *_: path.stem)
    emit(room.view.table.thumbnails_wanted, [1, 0])
    room.jobs.run()
    calls = room.view.table.set_thumbnail.call_args_list
    assert [call.args for call in calls] == [(1, "b"), (0, "a")]


def test_what_a_look_at_another_list_finds_is_not_taken(room):
    open_now(room)
    room.controller.look()
    before = listing(room)
    room.session.change_listing(
        lambda listing: replace(listing, worklist=replace(listing.worklist, source=Path("x")))
    )
    room.session.change_listing(
        lambda listing: replace(
            listing, rows=tuple(replace(row, found=None) for row in listing.rows)
        )
    )
    room.jobs.run()
    assert states(room) == [None, None]
    assert before.rows[0].found is not None


def test_a_classifier_that_is_added_is_looked_for_in_the_results(room):
    open_now(room)
    room.session.apply(actions.add_card, build.card("mine"))
    assert room.jobs.current(LOOK_JOB) is not None
