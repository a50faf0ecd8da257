"""One classification at a time: what it tells becomes actions, what comes late changes nothing."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.bags import TileGrid
from napari_mil.errors import ClassifierError
from napari_mil.events import Advanced, Fallback, Partial, Started
from napari_mil.gui.controllers import classification as module
from napari_mil.gui.controllers.classification import CLASSIFY_JOB, ClassificationController
from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import UNDETECTED, inputs_now
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.classify import BY_SCALE, NOTHING_OPEN
from napari_mil.gui.model.subjects import Place, TissueChoice
from napari_mil.gui.model.view import View
from napari_mil.gui.views.classify_tab import ClassifyTab
from napari_mil.inference.card import IMAGES
from napari_mil.settings import Settings
from tests.gui.model.builders import (
    card,
    features_subject,
    mask,
    prediction,
    slide_subject,
    values,
)
from tests.gui.training import FakeJobs, emit, mock_book

CARDS = (card(), card("grade"), card("polyps", instances=IMAGES))
GRID = TileGrid(
    coords=np.array([[0, 0], [500, 0]]),
    cells=np.array([[0, 0], [0, 1]]),
    shape=(1, 2),
    tile_size0=500.0,
    stride0=500.0,
    tile_px=256,
    mpp=0.5,
    level=0,
)


class Heavy:
    """What would classify with torch: tells what it is given and answers, or fails."""

    def __init__(self):
        self.requests = []
        self.events = []
        self.error = None
        self.answer = None

    def ClassifyWork(self, **fields):
        return SimpleNamespace(**fields)

    def classify_subject(self, request, tell, cancel):
        self.requests.append(request)
        for event in self.events:
            tell(event)
        cancel.raise_if_cancelled()
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def room(monkeypatch):
    made = SimpleNamespace(
        session=Session(),
        view=MagicMock(spec=ClassifyTab),
        book=mock_book(),
        jobs=FakeJobs(),
        show_notes=MagicMock(),
        last_used=SimpleNamespace(classifier="grade"),
        heavy=Heavy(),
        listed={each.name: each for each in CARDS},
    )
    made.book.camera.view = View(Place(100, 200, 30, 40), 1.0)
    monkeypatch.setattr(module, "import_module", lambda name: made.heavy)
    monkeypatch.setattr(module, "list_classifiers", lambda settings: made.listed)
    made.controller = ClassificationController(
        made.session,
        made.view,
        made.book,
        made.jobs,
        made.show_notes,
        Settings(),
        made.last_used,
    )
    return made


def open_features(room):
    subject = features_subject()
    room.session.apply(actions.add_subject, subject)
    room.session.apply(actions.choose_classifier, "malignancy")
    room.heavy.answer = prediction(card(), subject.layout)
    return subject


def open_slide(room, **fields):
    subject = slide_subject(**fields)
    room.session.apply(actions.add_subject, subject)
    room.session.apply(actions.choose_classifier, "malignancy")
    return subject


def notices(room):
    return [notice.text for notice in room.session.state.notices]


def test_the_classifier_that_was_used_last_is_chosen(room):
    assert room.session.state.classifier == "grade"


def test_classifiers_that_are_listed_again_leave_the_chosen_one(room):
    room.listed = {**room.listed, "new": card("new")}
    room.controller.list_classifiers("new")
    assert room.session.state.classifier == "grade"
    assert "new" in [each.name for each in room.session.state.cards]


def test_with_nothing_open_classifying_says_what_to_do(room):
    emit(room.view.classify_requested)
    assert notices(room) == [NOTHING_OPEN]
    assert not room.jobs.waiting


def test_a_classifier_that_does_not_fit_does_not_run(room):
    open_slide(room)
    room.session.apply(actions.choose_classifier, "polyps")
    room.controller.classify()
    assert room.session.state.run is None
    assert not room.jobs.waiting


def test_a_second_click_while_one_runs_starts_nothing(room):
    open_features(room)
    room.controller.classify()
    run = room.session.state.run
    room.controller.classify()
    assert room.session.state.run is run
    assert len(room.jobs.waiting) == 1


def test_an_answer_replaces_the_run_and_is_shown(room):
    subject = open_features(room)
    room.heavy.events = [Started(6, "instances"), Fallback("The CPU is used.")]
    room.controller.classify()
    assert room.last_used.classifier == "malignancy"
    room.jobs.run()
    state = room.session.state
    assert state.run is None
    assert state.shown_answer.prediction is room.heavy.answer
    assert state.shown_answer.layout is subject.layout
    assert state.shown_answer.inputs == inputs_now(subject, card())


def test_what_a_prediction_fell_back_on_is_a_remark_of_its_answer(room):
    open_features(room)
    facts = {**room.heavy.answer.provenance, "fallbacks": ("The CPU is used.",)}
    room.heavy.answer = replace(room.heavy.answer, provenance=facts)
    room.controller.classify()
    room.jobs.run()
    assert room.session.state.shown_answer.remarks == ("The CPU is used.",)


def test_progress_and_first_values_are_seen_while_it_runs(room):
    open_features(room)
    room.controller.classify()
    number = room.session.state.run.number
    job = room.jobs.current(CLASSIFY_JOB)
    job.event_happened.emit(Started(6, "instances"))
    job.event_happened.emit(Advanced(2, 4.0, 1.0))
    job.event_happened.emit(Partial(np.array([1, 3]), {"attention": np.array([0.25, 0.75])}))
    job.event_happened.emit(Fallback("The CPU is used."))
    run = room.session.state.run
    assert (run.number, run.total, run.done, run.rate, run.eta) == (number, 6, 2, 4.0, 1.0)
    assert run.remarks == ("The CPU is used.",)
    nan = np.nan
    np.testing.assert_array_equal(run.columns["attention"], [nan, 0.25, nan, 0.75, nan, nan])


def test_values_before_there_is_a_layout_are_not_shown(room):
    open_slide(room)
    room.controller.classify()
    job = room.jobs.current(CLASSIFY_JOB)
    job.event_happened.emit(Partial(np.array([1]), {"attention": np.array([0.25])}))
    assert room.session.state.run.columns == {}


def test_a_slide_is_laid_out_by_the_grid_that_the_run_tells(room):
    subject = open_slide(room)
    tissue = mask()
    room.heavy.events = [Started(2, grid=GRID, tissue=tissue)]
    room.controller.classify()
    assert room.session.state.run.phase == "Looking for tissue…"
    assert room.session.state.run.inputs.tissue == UNDETECTED
    room.heavy.answer = prediction(card(), module.layout_of_grid(GRID))
    room.jobs.run()
    answer = room.session.state.shown_answer
    assert len(answer.layout) == 2
    kept = room.session.state.subject(subject.key).tissue
    assert kept.mask is tissue
    assert answer.inputs.tissue == kept.version, "it is not out of date at once"


def test_tissue_that_is_there_is_not_detected_again(room):
    subject = open_slide(room)
    tissue = mask()
    room.session.apply(actions.set_tissue, subject.key, tissue, painted=True)
    room.heavy.error = ClassifierError("enough")
    room.controller.classify()
    assert room.session.state.run.phase == "Reading the first tiles…"
    room.jobs.run()
    assert room.heavy.requests[0].mask is tissue


@pytest.mark.parametrize(
    ("choice", "wanted"), [(TissueChoice.WHOLE, None), (TissueChoice.DETECT, "auto")]
)
def test_the_tissue_that_was_chosen_is_asked_for(room, choice, wanted):
    open_slide(room)
    emit(room.view.tissue_chosen, choice)
    room.heavy.error = ClassifierError("enough")
    room.controller.classify()
    room.jobs.run()
    assert room.heavy.requests[0].mask == wanted


def test_painted_tissue_is_left_aside_where_it_is_to_be_detected(room):
    subject = open_slide(room)
    room.session.apply(actions.set_tissue, subject.key, mask(), painted=True)
    emit(room.view.tissue_chosen, TissueChoice.DETECT)
    room.heavy.error = ClassifierError("enough")
    room.controller.classify()
    room.jobs.run()
    assert room.heavy.requests[0].mask == "auto"


def test_tiles_are_encoded_first_where_the_user_looks(room):
    open_slide(room, mpp=0.5)
    room.heavy.error = ClassifierError("enough")
    room.controller.classify()
    room.jobs.run()
    assert room.heavy.requests[0].focus == (100, 200, 30, 40)


def test_choices_of_the_tab_are_what_is_asked_for(room):
    open_slide(room)
    emit(room.view.classifier_chosen, "grade")
    emit(room.view.tiles_chosen, 1)
    emit(room.view.device_chosen, "cpu")
    room.heavy.error = ClassifierError("enough")
    room.controller.classify()
    room.jobs.run()
    request = room.heavy.requests[0]
    assert (request.card.name, request.level, request.device) == ("grade", 1, "cpu")
    emit(room.view.tiles_chosen, BY_SCALE)
    assert room.session.state.current_subject.level is None


def test_a_failure_ends_the_run_with_a_notice(room):
    open_features(room)
    room.heavy.error = ClassifierError("The weights are gone.")
    room.controller.classify()
    room.jobs.run()
    assert room.session.state.run is None
    assert room.session.state.message == "", "it is said once"
    assert notices(room) == ["The weights are gone."]


def test_cancelling_is_seen_and_ends_the_run(room):
    open_features(room)
    room.controller.classify()
    emit(room.view.cancel_requested)
    assert room.session.state.run.cancelling
    assert room.jobs.current(CLASSIFY_JOB).token.cancelled
    room.jobs.run()
    assert room.session.state.run is None
    assert room.session.state.message == "Cancelled."
    assert notices(room) == []


def test_with_no_run_there_is_nothing_to_cancel(room):
    before = room.session.state
    emit(room.view.cancel_requested)
    assert room.session.state is before


def test_what_an_old_run_says_late_changes_nothing(room):
    subject = open_features(room)
    room.controller.classify()
    old = room.jobs.current(CLASSIFY_JOB)
    room.session.apply(actions.end_run, room.session.state.run.number)
    room.controller.classify()
    before = room.session.state
    old.event_happened.emit(Started(99))
    old.event_happened.emit(Advanced(9, 1.0, None))
    old.event_happened.emit(Partial(np.arange(6), {"attention": values(6)}))
    old.event_happened.emit(Fallback("late"))
    old.succeeded.emit(prediction(card(), subject.layout))
    old.cancelled.emit()
    after = room.session.state
    assert after.run is before.run
    assert after.answers == before.answers == ()
    assert after.message == ""


def test_the_work_of_a_subject_that_was_closed_is_cancelled(room):
    subject = open_features(room)
    room.controller.classify()
    room.controller.stop_without_subject()
    job = room.jobs.current(CLASSIFY_JOB)
    assert not job.token.cancelled, "its subject is still there"
    room.session.apply(actions.close_subject, subject.key)
    room.controller.stop_without_subject()
    assert job.token.cancelled


def test_about_shows_the_notes_of_the_classifier_by_its_name(room):
    emit(room.view.about_requested, "no-such-classifier")
    room.show_notes.assert_not_called()
    emit(room.view.about_requested, "grade")
    room.show_notes.assert_called_once_with("grade", CARDS[1].notes)
