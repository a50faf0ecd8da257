"""From a finished run to the Classify tab and to the card."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.errors import ClassifierError
from napari_mil.gui.controllers.train.result import ResultController
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import Pixels, Subject, SubjectKind
from napari_mil.gui.model.training import Result
from napari_mil.gui.views.train.result_view import ResultView
from napari_mil.inference.card import IMAGES
from napari_mil.inference.library import find_card
from napari_mil.settings import Settings
from tests.gui.training import FakeJobs, emit, slides

CARD = find_card("breast-malignancy")


@pytest.fixture
def room(monkeypatch, tmp_path):
    session = Session()
    made = SimpleNamespace(
        session=session,
        view=MagicMock(spec=ResultView),
        jobs=FakeJobs(),
        open_paths=MagicMock(),
        show_notes=MagicMock(),
        show_classifier=MagicMock(),
        install=MagicMock(return_value=replace(CARD, name="learned")),
        slides=slides(tmp_path / "slides"),
    )
    monkeypatch.setattr("napari_mil.gui.controllers.train.result.install_bundle", made.install)
    made.controller = ResultController(
        session,
        made.view,
        made.jobs,
        Settings(),
        open_paths=made.open_paths,
        show_notes=made.show_notes,
        show_classifier=made.show_classifier,
    )
    session.train(actions.set_cohort, made.slides, "", "")
    return made


def come_to(room, card=CARD, installed="learned"):
    result = Result(replace(card, name=installed or card.name), Path("run"), installed)
    room.session.train(actions.set_result, result)


def open_subject(room, kind):
    key = room.session.state.next_key
    subject = Subject(key, f"subject {key}", kind, Path(f"{key}"), Pixels(np.zeros((2, 2, 3))))
    room.session.apply(session_actions.add_subject, subject)
    return key


def test_the_classifier_is_chosen_for_the_slide_that_is_shown(room):
    open_subject(room, SubjectKind.SLIDE)
    come_to(room)
    emit(room.view.use_requested)
    room.show_classifier.assert_called_once_with("learned")
    room.open_paths.assert_not_called()
    room.install.assert_not_called()


def test_a_subject_that_it_takes_is_shown_instead_of_one_that_it_does_not(room):
    images = open_subject(room, SubjectKind.IMAGES)
    open_subject(room, SubjectKind.SLIDE)
    come_to(room, replace(CARD, instances=IMAGES))
    emit(room.view.use_requested)
    assert room.session.state.current == images
    assert room.show_classifier.call_args.args == ("learned",)


def test_with_nothing_open_that_it_takes_the_first_bag_is_opened(room):
    come_to(room)
    emit(room.view.use_requested)
    room.open_paths.assert_called_once_with([room.slides.bags[0].path])


def test_the_classifier_of_an_earlier_run_is_installed_when_it_is_used(room):
    come_to(room, installed="")
    emit(room.view.use_requested)
    room.show_classifier.assert_not_called()
    room.jobs.run()
    assert room.install.call_args.args[0] == Path("run")
    room.show_classifier.assert_called_once_with("learned")


def test_a_classifier_that_cannot_be_installed_is_a_notice(room):
    room.install.side_effect = ClassifierError("The disk is full.")
    come_to(room, installed="")
    emit(room.view.use_requested)
    room.jobs.run()
    assert [notice.text for notice in room.session.state.notices] == ["The disk is full."]
    room.show_classifier.assert_not_called()


def test_about_shows_the_card_of_the_run(room):
    come_to(room)
    emit(room.view.about_requested)
    room.show_notes.assert_called_once_with("learned", replace(CARD, name="learned").notes)


def test_without_a_result_nothing_happens(room):
    emit(room.view.use_requested)
    emit(room.view.about_requested)
    room.show_notes.assert_not_called()
    room.show_classifier.assert_not_called()
