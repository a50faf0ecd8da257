"""Adapting the encoder from the window: begun, told about, cancelled, gone on with."""

import json
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from napari_mil.encoders import adapted_cards
from napari_mil.errors import CancelledError, TrainingError
from napari_mil.events import Advanced, EpochEnded, Fallback, Started
from napari_mil.gui.controllers.train import adapt as module
from napari_mil.gui.controllers.train.adapt import ADAPT_JOB, AdaptController, free_name
from napari_mil.gui.controllers.train.run import RunController
from napari_mil.gui.controllers.train.setup import free_folder
from napari_mil.gui.model import training as training_actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.training import Phase
from napari_mil.gui.model.training_form import Form
from napari_mil.settings import Settings
from napari_mil.training.process import ChildDefectError
from tests.adapted import FIGURE, write_adapted
from tests.gui.training import FakeJobs, emit, slides


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return the folder of the user's encoders."""
    folder = tmp_path / "own"
    for place in (adapted_cards, module):
        monkeypatch.setattr(place, "own_encoders_folder", lambda: folder)
    return folder


class Child:
    """Stands for the process: tells events, then leaves an encoder or a checkpoint."""

    def __init__(self):
        self.requests = []
        self.events = []
        self.error = None
        self.probes = (FIGURE,)

    def adapt(self, request, tell, token):
        self.requests.append(request)
        for event in self.events:
            tell(event)
        request.out.mkdir(parents=True, exist_ok=True)
        if self.error is not None or token.cancelled:
            contents = sorted(bag.content for bag in request.cohort.bags)
            (request.out / "slides.json").write_text(json.dumps(contents))
            (request.out / "pretraining.json").touch()
            (request.out / "checkpoint.pt").touch()
            raise self.error or CancelledError("Cancelled.")
        write_adapted(request.out / "encoder")
        return SimpleNamespace(
            probes=self.probes, base="efficientnet-lite0", held_out="2 held-out slides"
        )


@pytest.fixture
def room(tmp_path, monkeypatch, own):
    session = Session()
    made = SimpleNamespace(session=session, view=MagicMock(), jobs=FakeJobs(), child=Child())
    monkeypatch.setattr(module, "work_beside", made.child.adapt)
    made.controller = AdaptController(session, made.view, made.jobs, Settings())

    def take(cohort):
        session.train(training_actions.set_cohort, cohort, "", "")

    made.take = take
    take(slides(tmp_path / "breast"))
    return made


@pytest.fixture
def adapting(room):
    return lambda: room.session.state.adapting


def press(room):
    emit(room.view.start_requested)


def test_the_encoder_is_made_in_the_users_folder_and_can_be_chosen(room, adapting, own):
    press(room)
    assert adapting().phase is Phase.RUNNING
    room.jobs.run()
    (request,) = room.child.requests
    assert (request.out, request.resume) == (own / "breast", False)
    assert request.cohort is room.session.state.training.cohort
    assert adapting().phase is Phase.DONE
    assert adapting().encoders == ("breast",)
    assert adapting().message.startswith("breast can be chosen as the encoder. On 2 held-out")
    assert "adapting helped" in adapting().message
    assert not adapting().cautions
    press(room)
    room.jobs.run()
    assert adapting().encoders == ("breast", "breast-2")


def test_an_encoder_that_got_worse_is_a_caution(room, adapting):
    room.child.probes = (replace(FIGURE, low=-0.2, high=-0.1),)
    press(room)
    room.jobs.run()
    assert "stay with efficientnet-lite0" in adapting().message
    assert adapting().cautions


def test_that_nothing_could_be_probed_is_said(room, adapting):
    room.child.probes = ()
    press(room)
    room.jobs.run()
    assert "Too little could be held out" in adapting().message


def test_the_tiles_are_those_of_the_form(room, tmp_path):
    room.take(slides(tmp_path / "unscaled", mpp=None))
    form = Form(slide_mpp="0.25", learning_rate="0.1").with_advanced("tile_px", "96")
    room.session.train(training_actions.set_form, form)
    press(room)
    room.jobs.run()
    assert room.child.requests[0].config == {"tile_px": 96, "slide_mpp": 0.25}


def test_a_missing_scale_is_asked_for_before_anything_starts(room, adapting, tmp_path):
    room.take(slides(tmp_path / "unscaled", mpp=None))
    press(room)
    assert "enter their µm per pixel" in adapting().message
    assert adapting().cautions
    assert not room.jobs.is_running(ADAPT_JOB)


def test_progress_and_remarks_are_told(room, adapting):
    room.child.events = [
        Started(3, "slides"),
        Advanced(2, 1.0, 4.0),
        Fallback("One slide is left out."),
        Started(10, "epochs"),
        EpochEnded(1, {"loss": 2.5}),
    ]
    seen = []
    room.session.changed.connect(lambda _, after: seen.append(after.adapting))
    press(room)
    room.jobs.run()
    assert ("slides", 2, 3) in [(each.what, each.done, each.total) for each in seen]
    assert ("epochs", 1, 10) in [(each.what, each.done, each.total) for each in seen]
    assert adapting().remarks == ("One slide is left out.",)
    assert adapting().loss == 2.5


def test_a_cancelled_run_is_gone_on_with_also_later(room, adapting, tmp_path):
    press(room)
    emit(room.view.cancel_requested)
    assert adapting().phase is Phase.STOPPING
    room.child.error = CancelledError("Cancelled.")
    room.jobs.waiting[0].token = type(room.jobs.waiting[0].token)()
    room.jobs.run()
    assert adapting().phase is Phase.INTERRUPTED
    assert adapting().message == "Cancelled. What was learned so far is kept."
    room.take(slides(tmp_path / "other", n=5))
    assert adapting().phase is Phase.IDLE
    room.take(slides(tmp_path / "breast"))
    assert (adapting().phase, adapting().name) == (Phase.INTERRUPTED, "breast")
    room.child.error = None
    emit(room.view.resume_requested)
    room.jobs.run()
    assert room.child.requests[-1].resume
    assert room.child.requests[-1].config == {}
    assert adapting().phase is Phase.DONE


@pytest.mark.parametrize("error", [TrainingError("The disk is full."), ChildDefectError("trace")])
def test_a_failure_is_said_and_can_be_gone_on_from(room, adapting, error):
    room.child.error = error
    press(room)
    room.jobs.run()
    assert adapting().phase is Phase.INTERRUPTED
    assert adapting().cautions
    assert room.session.state.notices


def test_training_and_adapting_wait_for_each_other(room, adapting, tmp_path):
    run_view = MagicMock()
    RunController(room.session, run_view, room.jobs, Settings(), free_folder, MagicMock())
    room.session.train(training_actions.set_out, tmp_path / "run", chosen=True, unfinished=False)
    press(room)
    emit(run_view.run.start_requested)
    assert "encoder is being adapted" in room.session.state.training.message
    assert [job.kind for job in room.jobs.waiting] == [ADAPT_JOB]
    room.jobs.run()
    room.session.train(training_actions.set_phase, Phase.RUNNING)
    press(room)
    assert not room.jobs.waiting


def test_names_are_taken_once(own):
    assert free_name("breast") == "breast"
    assert free_name("texture") == "texture-2"
    assert free_name("resnet18") == "resnet18-2"
    (own / "breast").mkdir(parents=True)
    assert free_name("breast") == "breast-2"
