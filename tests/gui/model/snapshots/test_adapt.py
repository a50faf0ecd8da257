"""What the button that adapts the encoder shows, in every state."""

from dataclasses import replace

import pytest

from napari_mil.gui.model.adapting import Adapting
from napari_mil.gui.model.snapshots.adapt import (
    ABOUT,
    BUTTONS,
    ONLY_FEATURES,
    TRAINING_RUNS,
    adapt_snapshot,
)
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.training import Phase, Training
from napari_mil.training.cohorts.cohort import FEATURES
from tests.gui.model import builders as build


def state_of(adapting=None, **training):
    fields = {"cohort": build.cohort(), **training}
    state = replace(build.state_of(), training=Training(**fields))
    return replace(state, adapting=adapting or Adapting())


def test_without_slides_there_is_nothing_to_adapt_to():
    assert not adapt_snapshot(state_of(cohort=None)).visible
    assert not adapt_snapshot(state_of(trouble="one class only")).visible


def test_the_button_says_what_it_does():
    shown = adapt_snapshot(state_of())
    assert (shown.visible, shown.can_press, shown.tip) == (True, True, ABOUT)
    assert shown.button == "Adapt the encoder to these slides"


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.PAUSED])
def test_every_phase_has_its_words(phase):
    shown = adapt_snapshot(state_of(Adapting(phase=phase, name="mine")))
    assert shown.button == BUTTONS[phase]
    assert shown.can_press == (phase is not Phase.STOPPING)
    assert bool(shown.progress) == phase.is_busy


def test_a_button_that_cannot_be_pressed_says_why():
    features = adapt_snapshot(state_of(cohort=build.cohort(FEATURES)))
    assert (features.can_press, features.tip) == (False, ONLY_FEATURES)
    busy = adapt_snapshot(state_of(phase=Phase.RUNNING))
    assert not busy.visible
    assert (busy.can_press, busy.tip) == (False, TRAINING_RUNS)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Adapting mine…"),
        ({"what": "slides", "done": 2, "total": 9}, "Reading: slide 3 of 9…"),
        (
            {"what": "tiles", "done": 40, "total": 90, "eta": 30.0},
            "Reading: tile 41 of 90 · 30 s left",
        ),
        (
            {"what": "epochs", "done": 2, "total": 10, "loss": 3.456},
            "Learning: epoch 3 of 10 · loss 3.46",
        ),
    ],
)
def test_progress_says_what_and_how_far(fields, words):
    running = Adapting(phase=Phase.RUNNING, name="mine", **fields)
    assert adapt_snapshot(state_of(running)).progress == words


def test_remarks_stand_before_the_result():
    done = Adapting(phase=Phase.DONE, remarks=("a", "b", "c"), message="It helped.", cautions=False)
    assert adapt_snapshot(state_of(done)).message == "b\nc\nIt helped."


def test_adapted_encoders_can_be_chosen():
    shown = train_snapshot(state_of(Adapting(("mine",)))).setup.encoders
    texts = {entry.key: entry.text for entry in shown.entries}
    assert texts["mine"] == "mine, adapted"


def test_the_encoder_of_an_earlier_run_stays_chosen_though_it_is_not_listed():
    state = state_of()
    form = replace(state.training.form, encoder="/somewhere/mine")
    state = replace(state, training=replace(state.training, form=form))
    shown = train_snapshot(state).setup.encoders
    assert shown.current == "/somewhere/mine"
    assert shown.entries[-1].text == "mine"
