"""One run at a time: begun, told about, paused, cancelled, failed, judged."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.bags import TileGrid
from napari_mil.errors import CancelledError, ClassifierError, TrainingError
from napari_mil.events import (
    Advanced,
    EpochEnded,
    Fallback,
    Finished,
    Started,
    Watched,
    Watching,
)
from napari_mil.gui.controllers.train.run import TRAIN_JOB, RunController
from napari_mil.gui.controllers.train.setup import free_folder
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.model.training_form import Form
from napari_mil.inference.library import find_card
from napari_mil.settings import Settings
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.process import ChildDefectError
from tests.gui.training import FakeJobs, emit, features, slides


class Child:
    """Stands for the process: tells events, then writes what a run leaves."""

    def __init__(self, room):
        self._room = room
        self.requests = []
        self.events = []
        self.leaves = "classifier/classifier.json"
        self.error = None
        self.during = lambda token: None

    def train(self, request, tell, token):
        self.requests.append(request)
        for event in self.events:
            tell(event)
        self.during(token)
        file = request.out / self.leaves
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        if self.error is not None:
            raise self.error
        if token.cancelled:
            raise CancelledError("Cancelled.")
        return SimpleNamespace(classifier=request.out / "classifier")


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A session with features to train on, and the controller on fakes."""
    session = Session()
    made = SimpleNamespace(
        session=session, view=MagicMock(), jobs=FakeJobs(), installed=[], listed=MagicMock()
    )
    made.child = Child(made)
    card = find_card("breast-malignancy")
    module = "napari_mil.gui.controllers.train.run"
    monkeypatch.setattr(f"{module}.work_beside", made.child.train)
    monkeypatch.setattr(f"{module}.read_card", lambda folder: replace(card, folder=folder))

    def install(folder, settings):
        made.installed.append(folder)
        return replace(card, name="learned", folder=folder)

    monkeypatch.setattr(f"{module}.install_bundle", install)
    made.controller = RunController(
        session, made.view, made.jobs, Settings(), free_folder, made.listed
    )
    made.out = tmp_path / "run"

    def take(cohort):
        session.train(actions.set_cohort, cohort, "", "")
        session.train(actions.set_out, made.out, chosen=True, unfinished=False)

    made.take = take
    take(scan_annotated_folder(features(tmp_path)))
    return made


@pytest.fixture
def training(room):
    return lambda: room.session.state.training


@pytest.fixture
def shown(room):
    return lambda: train_snapshot(room.session.state)


def enter(room, form):
    room.session.train(actions.set_form, form)


def press_start(room):
    emit(room.view.run.start_requested)


def epoch(number, *, watched=None, **figures):
    return EpochEnded(number, {"epoch": number, "loss": 1 / number, **figures}, watched)


def test_a_run_counts_its_epochs_and_ends_with_an_installed_classifier(room, training, shown):
    said = []
    room.session.changed.connect(lambda before, after: said.append(train_snapshot(after).run))
    room.child.events = [Started(3, "epochs"), epoch(1), epoch(2, validation_auc=0.75), epoch(3)]
    press_start(room)
    assert training().phase is Phase.RUNNING
    assert shown().run.button == "Pause"
    assert shown().run.progress == "Starting…"
    room.jobs.run()
    assert training().phase is Phase.DONE
    assert [row["epoch"] for row in training().rows] == [1, 2, 3]
    progress = [snapshot.progress for snapshot in said]
    assert "Epoch 1 of 3…" in progress
    assert any("Epoch 2 of 3 · loss 0.5 · validation AUC 0.75" in text for text in progress)
    assert set(room.installed) == {room.out / "classifier"}
    assert training().result.installed == "learned"
    assert room.listed.called, "the Classify tab lists it"
    assert shown().result.name == "learned"
    assert shown().run.progress == ""


def test_the_process_gets_what_the_form_says(room, training):
    form = replace(Form(aggregator="dsmil"), epochs=7, learning_rate="0,01", folds=5)
    enter(room, form.with_advanced("alternate_streams", True))
    press_start(room)
    room.jobs.run()
    (request,) = room.child.requests
    assert request.cohort is training().cohort
    assert request.config == {
        "aggregator": "dsmil",
        "strategy": "plain",
        "epochs": 7,
        "learning_rate": 0.01,
        "alternate_streams": True,
    }
    assert (request.out, request.resume, request.watch, request.folds) == (
        room.out,
        False,
        None,
        5,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"learning_rate": "abc"}, "Learning rate is a number above 0, not 'abc'."),
        ({"learning_rate": "-1"}, "Learning rate is a number above 0, not -1.0."),
        (
            {"advanced": {"patience": "2.5"}},
            "Patience, epochs is a whole number of at least 1, not 2.5.",
        ),
        ({"advanced": {"weight_decay": "much"}}, "Weight decay is a number of at least 0"),
        ({"advanced": {"bags_per_step": "0"}}, "Bags per step is a whole number of at least 1"),
        (
            {"strategy": "r-ham", "advanced": {"random": "1"}},
            "Masked: random is a share of at least 0 and below 1, not 1.0.",
        ),
        ({"patient_pattern": "("}, "Patients is a pattern on names"),
        ({"patient_pattern": "(a)(b)"}, "with one group at most"),
        ({"folds": 10}, "cannot be put into 10 folds"),
    ],
)
def test_what_cannot_be_trained_is_said_before_a_process_starts(
    room, shown, tmp_path, fields, words
):
    room.take(scan_annotated_folder(features(tmp_path / "few", n=4)))
    enter(room, replace(Form(), **fields))
    press_start(room)
    assert not room.jobs.is_running(TRAIN_JOB)
    assert words in shown().run.message
    assert shown().run.cautions
    assert "_" not in shown().run.message, "words of the window, not of the code"


def test_bags_whose_patients_are_unknown_are_no_patients_in_a_complaint(room, shown, tmp_path):
    room.take(scan_annotated_folder(features(tmp_path / "few", n=4)))
    enter(room, Form(folds=10))
    press_start(room)
    assert "8 bags cannot be put into 10 folds" in shown().run.message


def test_a_complaint_stands_where_its_row_is_and_goes_with_its_cause(room, shown):
    enter(room, Form().with_advanced("patience", "soon"))
    press_start(room)
    assert "Patience" in shown().run.message
    assert shown().setup.wrong_row == "patience"
    enter(room, Form().with_advanced("patience", "30"))
    assert shown().run.message == ""
    assert shown().setup.wrong_row == ""


def test_slides_that_do_not_say_their_scale_are_not_trained_on_without_one(room, shown, tmp_path):
    room.take(slides(tmp_path / "slides", mpp=None))
    press_start(room)
    assert not room.jobs.is_running(TRAIN_JOB)
    assert "6 slides do not say their scale" in shown().run.message
    enter(room, Form(slide_mpp="0,5"))
    press_start(room)
    assert room.jobs.is_running(TRAIN_JOB)


def test_a_second_start_begins_no_second_run(room):
    press_start(room)
    press_start(room)
    room.jobs.run()
    assert len(room.child.requests) == 1


def test_a_run_does_not_overwrite_an_earlier_one(room, training):
    (room.out / "classifier").mkdir(parents=True)
    (room.out / "classifier" / "classifier.json").touch()
    press_start(room)
    assert training().out == room.out.with_name("run-2")


def test_pause_and_go_on_reach_the_process(room, training, shown):
    press_start(room)
    token = room.jobs.current(TRAIN_JOB).token
    emit(room.view.run.pause_requested)
    assert token.paused
    assert training().phase is Phase.PAUSED
    assert shown().run.button == "Go on"
    emit(room.view.run.go_on_requested)
    assert not token.paused
    assert training().phase is Phase.RUNNING


def cancel_in_the_middle(room):
    def during(token):
        emit(room.view.run.cancel_requested)
        assert room.session.state.training.phase is Phase.STOPPING
        assert not train_snapshot(room.session.state).run.can_press

    room.child.during = during
    room.child.leaves = "checkpoint.pt"


def test_a_cancelled_run_can_go_on_with_the_configuration_it_was_begun_with(room, training, shown):
    room.child.events = [Started(9, "epochs"), epoch(1)]
    cancel_in_the_middle(room)
    enter(room, Form(epochs=9))
    press_start(room)
    room.jobs.run()
    assert training().phase is Phase.INTERRUPTED
    assert "Resume goes on from it" in shown().run.message
    assert not shown().run.cautions
    assert (shown().run.button, shown().run.second) == ("Resume", "Start afresh…")
    enter(room, Form(epochs=3))
    emit(room.view.run.resume_requested)
    room.jobs.run()
    first, second = room.child.requests
    assert second.resume
    assert second.config == first.config
    assert second.out == first.out


def test_a_run_that_was_cancelled_at_once_starts_again(room, training, shown):
    press_start(room)
    emit(room.view.run.cancel_requested)
    room.jobs.run()
    assert training().phase is Phase.IDLE
    assert shown().run.message == "Cancelled."
    assert shown().run.button == "Start"


def test_starting_afresh_leaves_the_interrupted_run_alone(room, training):
    cancel_in_the_middle(room)
    press_start(room)
    room.jobs.run()
    emit(room.view.run.setup_requested)
    assert training().phase is Phase.IDLE
    enter(room, Form(epochs=3))
    press_start(room)
    room.jobs.run()
    first, second = room.child.requests
    assert second.out != first.out
    assert not second.resume
    emit(room.view.run.resume_requested)
    room.jobs.run()
    assert room.child.requests[-1].config == second.config, "its own, not the first one's"


def test_a_process_that_dies_is_a_notice_and_leaves_the_checkpoint(room, training, shown):
    room.child.leaves = "checkpoint.pt"
    room.child.error = TrainingError("The training process ended unexpectedly (code -9).")
    press_start(room)
    room.jobs.run()
    assert training().phase is Phase.INTERRUPTED
    assert shown().run.cautions
    (notice,) = room.session.state.notices
    assert "ended unexpectedly" in notice.text


def test_a_defect_of_the_process_is_no_fault_of_the_input(room, training):
    room.child.leaves = "config.json"
    room.child.error = ChildDefectError("Traceback: boom")
    press_start(room)
    room.jobs.run()
    (notice,) = room.session.state.notices
    assert "boom" in notice.text
    assert notice.details
    assert training().phase is Phase.IDLE


def test_a_run_that_is_let_go_is_not_listened_to_any_more(room, training):
    press_start(room)
    room.controller.let_go()
    room.child.events = [epoch(1)]
    room.jobs.run()
    assert training().rows == ()
    assert training().phase is Phase.RUNNING


def test_a_finished_run_can_be_judged_with_the_configuration_it_has(room, training, shown):
    room.child.events = [Started(1, "epochs"), epoch(1)]
    enter(room, Form(epochs=1))
    press_start(room)
    room.jobs.run()
    assert (shown().run.second, shown().run.phase) == ("Evaluate", Phase.DONE)
    room.child.events = [Started(5, "folds"), Advanced(2, 1.0, 40.0)]
    room.child.leaves = "evaluation.json"
    said = []
    room.session.changed.connect(lambda before, after: said.append(train_snapshot(after).run))
    emit(room.view.run.evaluate_requested)
    room.jobs.run()
    first, second = room.child.requests
    assert second.folds == 5
    assert second.resume
    assert second.config == first.config
    assert any(snapshot.progress.startswith("Evaluating: fold 3 of 5") for snapshot in said)
    assert training().phase is Phase.DONE
    assert shown().run.second == "", "it has been judged"
    assert [row["epoch"] for row in training().rows] == [1], "its curves are still there"
    assert training().result.installed == "learned"


def test_an_earlier_run_is_judged_with_settings_that_the_form_does_not_show(room):
    (room.out / "classifier").mkdir(parents=True)
    (room.out / "classifier" / "classifier.json").touch()
    stored = {"aggregator": "gated-abmil", "overlap": 0.5}
    room.session.train(actions.set_out, room.out, chosen=True, unfinished=False, stored=stored)
    emit(room.view.run.evaluate_requested)
    room.jobs.run()
    assert room.child.requests[0].config == stored


def test_too_few_bags_for_an_evaluation_are_noticed_before_it_begins(room, shown, tmp_path):
    room.take(scan_annotated_folder(features(tmp_path / "few", n=2)))
    emit(room.view.run.evaluate_requested)
    assert not room.jobs.is_running(TRAIN_JOB)
    assert "4 bags cannot be put into 5 folds" in shown().run.message


def test_an_evaluation_that_is_cancelled_leaves_the_classifier(room, training, shown):
    press_start(room)
    room.jobs.run()
    cancel_in_the_middle(room)
    emit(room.view.run.evaluate_requested)
    room.jobs.run()
    assert training().phase is Phase.DONE
    assert "the classifier is there" in shown().run.message
    assert shown().run.second == "Evaluate"
    assert shown().result.name == "learned"


def test_a_classifier_is_there_while_its_evaluation_still_runs(room, training):
    seen = []

    def during(token):
        install = room.jobs.current("install")
        install.run()
        seen.append((training().phase, training().result.installed))

    result = SimpleNamespace(classifier=room.out / "classifier")
    room.child.events = [epoch(1), Finished(result), Started(5, "folds")]
    room.child.during = during
    enter(room, Form(folds=5))
    press_start(room)
    room.jobs.run()
    assert seen == [(Phase.RUNNING, "learned")]


def test_what_the_run_said_is_shown_the_newest_last_and_all_of_it_in_the_details(room, shown):
    room.child.events = [Fallback(f"remark {k}") for k in range(5)]
    press_start(room)
    room.jobs.run()
    assert shown().run.message == "2 more in Details…\nremark 2\nremark 3\nremark 4"
    assert not shown().run.cautions
    assert shown().run.has_details


def test_the_watched_slide_gets_its_tiles_and_every_epoch(room, training, shown, tmp_path):
    room.take(slides(tmp_path / "slides"))
    path = training().cohort.bags[0].path
    room.session.train(actions.choose_watched, str(path))
    cells = np.argwhere(np.ones((2, 2), bool))
    grid = TileGrid(cells * 64, cells, (2, 2), 64, 0.5, 64.0, 64.0, 0)
    masks = {"high": np.array([True, False, True, False])}
    watched = Watched(
        np.linspace(0, 1, 4).astype(np.float32), "score", np.array([0.7], np.float32), masks
    )
    room.child.events = [
        Started(2, "epochs"),
        Watching(grid, "training"),
        epoch(1, watched=watched),
        epoch(2, watched=watched),
    ]
    press_start(room)
    assert room.session.state.display.kind is Kind.TRAINING
    assert shown().watch.facts == "Its overlay comes with the first epoch."
    room.jobs.run()
    assert room.child.requests[0].watch == path
    watch = training().watch
    assert len(watch.layout) == 4
    assert [number for number, _ in watch.epochs] == [1, 2]
    assert watch.shown == 2
    assert (shown().watch.first, shown().watch.last, shown().watch.shown) == (1, 2, 2)
    assert shown().watch.facts == (
        "a training bag · right 0.70 · 2 of 4 tiles masked"
        " · 100 % of the masked and 100 % of the top tenth as in the epoch before"
    )
    assert [(kind, n) for kind, _, n in shown().watch.masks] == [("high", 2)]


def test_epochs_watched_before_a_cancel_can_still_be_shown_after_resuming(room, training, tmp_path):
    room.take(slides(tmp_path / "slides"))
    room.session.train(actions.choose_watched, str(training().cohort.bags[0].path))
    watched = Watched(np.zeros(4, np.float32), "score", np.array([0.7], np.float32), {})
    room.child.events = [epoch(1, watched=watched), epoch(2, watched=watched)]
    cancel_in_the_middle(room)
    press_start(room)
    room.jobs.run()
    room.child.events = [epoch(3, watched=watched)]
    emit(room.view.run.resume_requested)
    room.jobs.run()
    assert [number for number, _ in training().watch.epochs] == [1, 2, 3]


def test_a_run_that_begins_anew_does_not_show_epochs_of_the_one_before(room, training, tmp_path):
    room.take(slides(tmp_path / "slides"))
    room.session.train(actions.choose_watched, str(training().cohort.bags[0].path))
    watched = Watched(np.zeros(4, np.float32), "score", np.array([0.7], np.float32), {})
    room.child.events = [epoch(1, watched=watched), epoch(2, watched=watched)]
    cancel_in_the_middle(room)
    room.child.leaves = "config.json"
    press_start(room)
    room.jobs.run()
    assert training().phase is Phase.IDLE
    press_start(room)
    assert training().out == room.out, "there was no checkpoint yet"
    assert training().watch.epochs == ()
    assert training().rows == ()


def test_the_positive_class_orders_the_classes_of_the_watch(room, training, tmp_path):
    room.take(slides(tmp_path / "slides"))
    room.session.train(actions.choose_watched, str(training().cohort.bags[0].path))
    enter(room, Form(positive_class="left"))
    press_start(room)
    assert training().watch.classes == ("right", "left")
    assert room.jobs.is_running(TRAIN_JOB)


def test_a_classifier_that_is_installed_late_is_not_shown_where_another_run_is_set_up(
    room, training, shown
):
    press_start(room)
    room.jobs.waiting[0].run()
    del room.jobs.waiting[0]
    assert shown().result.name == "breast-malignancy", "the bundle's own name so far"
    emit(room.view.run.setup_requested)
    room.jobs.run()
    assert room.listed.called
    assert training().result is None
    assert training().phase is Phase.IDLE


def test_a_classifier_whose_card_cannot_be_read_is_said(room, monkeypatch, shown):
    def read(folder):
        raise ClassifierError("The card is damaged.")

    monkeypatch.setattr("napari_mil.gui.controllers.train.run.read_card", read)
    press_start(room)
    room.jobs.run()
    assert shown().run.message == "The card is damaged."
    assert shown().result.name == ""
    assert room.installed == []


def test_a_classifier_that_cannot_be_installed_is_a_notice_and_stays_in_the_run(
    room, monkeypatch, training
):
    def install(folder, settings):
        raise ClassifierError("The disk is full.")

    monkeypatch.setattr("napari_mil.gui.controllers.train.run.install_bundle", install)
    press_start(room)
    room.jobs.run()
    assert [notice.text for notice in room.session.state.notices] == ["The disk is full."]
    assert training().result.folder == room.out / "classifier"
    assert training().result.installed == ""
