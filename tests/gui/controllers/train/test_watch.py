"""The watched bag is opened, its epochs are chosen, and the curves are drawn in time."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.events import EpochEnded, Watched
from napari_mil.gui.controllers.train import watch as module
from napari_mil.gui.controllers.train.watch import WatchController
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import Pixels, Subject, SubjectKind
from napari_mil.gui.model.training import Phase, Watch
from tests.gui.training import emit, slides


class Dock:
    """A dock that only knows whether it is seen."""

    def __init__(self):
        self.visible = True
        self.destroyed = MagicMock()

    def show(self):
        self.visible = True

    def hide(self):
        self.visible = False

    def setVisible(self, visible):
        self.visible = visible

    def isVisible(self):
        return self.visible


@pytest.fixture
def room(qapp, tmp_path, monkeypatch):
    session = Session()
    made = SimpleNamespace(
        session=session,
        view=MagicMock(),
        viewer=MagicMock(),
        open_paths=MagicMock(),
        curves=MagicMock(),
        dock=Dock(),
        slides=slides(tmp_path / "slides"),
    )
    made.viewer.window.add_dock_widget.return_value = made.dock
    monkeypatch.setattr(
        module, "import_module", lambda name: SimpleNamespace(Curves=lambda: made.curves)
    )
    monkeypatch.setattr(module, "DRAW_MS", 30)
    made.controller = WatchController(session, made.view, made.viewer, made.open_paths)
    yield made
    made.controller.close()


def find_slides(room):
    room.session.train(actions.set_cohort, room.slides, "", "")


def begin(room, watch=None):
    room.session.train(actions.start, Path("run"), watch, judges=False, fields={})


def end_epoch(room, number):
    watched = Watched(np.zeros(4, np.float32), "score", np.array([0.5], np.float32), {})
    room.session.train(actions.add_epoch, EpochEnded(number, {"epoch": number}, watched))


def open_slide_named(room, path):
    key = room.session.state.next_key
    subject = Subject(key, path.stem, SubjectKind.SLIDE, path, Pixels(np.zeros((2, 2, 3))))
    room.session.apply(session_actions.add_subject, subject)


def drawn(room):
    return [call.args[0] for call in room.curves.render.call_args_list]


def test_a_bag_that_is_chosen_is_opened_and_none_opens_nothing(room):
    find_slides(room)
    path = room.slides.bags[0].path
    emit(room.view.watch.bag_chosen, str(path))
    assert room.session.state.training.watch_path == str(path)
    room.open_paths.assert_called_once_with([path])
    emit(room.view.watch.bag_chosen, "")
    assert room.session.state.training.watch_path == ""
    room.open_paths.assert_called_once()


def test_a_slide_that_was_closed_before_the_start_is_opened_to_be_watched(room):
    find_slides(room)
    path = room.slides.bags[0].path
    begin(room, Watch(path, "run", ("left", "right")))
    room.open_paths.assert_called_once_with([path])


def test_a_slide_that_is_open_is_not_opened_again_by_the_start(room):
    find_slides(room)
    path = room.slides.bags[0].path
    open_slide_named(room, path)
    begin(room, Watch(path, "run", ("left", "right")))
    begin(room)
    room.open_paths.assert_not_called()


def test_an_epoch_that_is_chosen_is_shown_whatever_was_hidden(room):
    find_slides(room)
    begin(room, Watch(room.slides.bags[0].path, "run", ("left", "right")))
    for number in (1, 2, 3):
        end_epoch(room, number)
    room.session.apply(session_actions.set_look, Role.OVERLAY, Look(visible=False))
    emit(room.view.watch.epoch_chosen, 1)
    state = room.session.state
    assert (state.training.watch.shown, state.training.cursor) == (1, 1)
    assert not state.training.watch.follows
    assert state.display.kind is Kind.TRAINING
    assert state.display.look(Role.OVERLAY).visible
    end_epoch(room, 4)
    assert room.session.state.training.watch.shown == 1, "it stays where a person put it"
    emit(room.view.watch.epoch_chosen, 4)
    end_epoch(room, 5)
    assert room.session.state.training.watch.shown == 5, "the last one follows the training"


def test_without_a_watched_bag_a_click_on_the_curves_moves_the_cursor_alone(room):
    find_slides(room)
    begin(room)
    end_epoch(room, 1)
    end_epoch(room, 2)
    emit(room.curves.epoch_chosen, 2)
    assert room.session.state.training.cursor == 2
    assert room.session.state.display.kind is not Kind.TRAINING


def test_curves_are_made_before_a_run_and_shown_with_it(room):
    assert not room.viewer.window.add_dock_widget.called
    find_slides(room)
    assert room.viewer.window.add_dock_widget.called
    assert not room.dock.visible
    begin(room)
    assert room.dock.visible


def test_curves_that_are_hidden_are_still_drawn(room, qtbot):
    find_slides(room)
    begin(room)
    emit(room.view.run.curves_requested)
    assert not room.dock.visible
    end_epoch(room, 1)
    qtbot.waitUntil(lambda: bool(drawn(room)) and len(drawn(room)[-1].rows) == 1)
    emit(room.view.run.curves_requested)
    assert room.dock.visible


def test_another_folder_hides_the_curves_of_the_last_one(room, qtbot, tmp_path):
    find_slides(room)
    begin(room)
    end_epoch(room, 1)
    room.session.train(actions.end, Phase.DONE)
    room.session.train(actions.set_cohort, slides(tmp_path / "others"), "", "")
    assert not room.dock.visible
    qtbot.waitUntil(lambda: bool(drawn(room)) and drawn(room)[-1].rows == ())


def test_epochs_that_end_fast_are_drawn_together(room, qtbot):
    find_slides(room)
    begin(room)
    for number in range(1, 51):
        end_epoch(room, number)
    qtbot.waitUntil(lambda: bool(drawn(room)) and len(drawn(room)[-1].rows) == 50)
    assert len(drawn(room)) <= 2


def test_epochs_that_end_without_a_pause_are_drawn_in_between(room, qtbot):
    find_slides(room)
    begin(room)
    for number in range(1, 41):
        end_epoch(room, number)
        qtbot.wait(5)
    assert any(0 < len(snapshot.rows) < 40 for snapshot in drawn(room))


def test_nothing_is_drawn_after_the_end(room, qtbot):
    find_slides(room)
    end_epoch(room, 1)
    room.controller.stop()
    qtbot.wait(60)
    assert drawn(room) == []


def test_the_curves_leave_with_the_workbench(room):
    find_slides(room)
    room.controller.close()
    room.viewer.window.remove_dock_widget.assert_called_once_with(room.dock)


def test_curves_that_a_person_closed_are_made_again_when_asked_for(room):
    find_slides(room)
    emit(room.dock.destroyed)
    emit(room.view.run.curves_requested)
    assert room.viewer.window.add_dock_widget.call_count == 2


def test_the_slide_of_an_earlier_run_is_opened_once_to_replay_it(room):
    find_slides(room)
    path = room.slides.bags[0].path
    begin(room, Watch(path, "run", ("left", "right")))
    for number in (1, 2, 3):
        end_epoch(room, number)
    room.session.train(actions.end, Phase.DONE)
    room.open_paths.reset_mock()
    for number in (1, 2, 3):
        emit(room.view.watch.epoch_chosen, number)
    room.open_paths.assert_called_once_with([path])
