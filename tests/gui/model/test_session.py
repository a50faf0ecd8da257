"""The session tells every change once, in order."""

import pytest

from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.training import want
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade")


def answered_slide(*cards, layout=None, critical=False):
    """Return a state with one slide that every one of some classifiers has answered about."""
    slide = build.slide_subject()
    state = build.state_of(slide)
    answers = [build.answer(slide, card, layout=layout, critical=critical) for card in cards]
    return build.answered(state, *answers)


def test_listeners_hear_the_state_before_and_after():
    session = Session()
    heard = []
    session.changed.connect(lambda *states: heard.append(states))
    before = session.state
    session.apply(actions.choose_device, "cpu")
    assert heard == [(before, session.state)]


def test_an_action_that_changes_nothing_is_not_told():
    session = Session()
    session.changed.connect(lambda *_: pytest.fail("told"))
    session.apply(actions.clear_selection)
    session.train(lambda training: training)


def test_actions_of_a_listener_are_told_after_the_one_it_heard_of():
    session = Session()
    heard = []

    def listen(before, after):
        heard.append((before.device, after.device))
        if after.device == "cpu":
            session.apply(actions.choose_device, "cuda")

    session.changed.connect(listen)
    session.apply(actions.choose_device, "cpu")
    assert heard == [("auto", "cpu"), ("cpu", "cuda")]


def test_a_change_of_the_training_is_told_as_one_of_the_state():
    session = Session()
    heard = []
    session.changed.connect(lambda _, after: heard.append(after.training.wanted))
    session.train(want)
    assert heard == [True]
