"""A stored answer joins what it is about, once that is open; nothing is classified."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_mil.errors import ClassifierError
from napari_mil.gui.controllers import stored_answers as module
from napari_mil.gui.controllers.inspection import missing_inquiry
from napari_mil.gui.controllers.stored_answers import StoredAnswersController, StoredPlace
from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import stale_reasons
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.what_if import WhatIf
from napari_mil.inference.card import FEATURES
from napari_mil.inference.what_if_file import WHAT_IF_FILE, write_what_if
from napari_mil.settings import Settings
from tests.gui.model import builders as build
from tests.gui.training import FakeJobs

CARD = build.card(instances=FEATURES)
PATH = Path("features/a.h5")


@pytest.fixture
def room(monkeypatch, tmp_path):
    made = SimpleNamespace(
        session=Session(),
        jobs=FakeJobs(),
        opened=[],
        folder=tmp_path / "a",
        subject=build.features_subject(),
        fingerprint="own",
        error=None,
    )
    made.session.apply(actions.set_cards, (CARD, build.card("grade", instances=FEATURES)))

    def fingerprint_of(card, settings):
        if made.error is not None:
            raise made.error
        return made.fingerprint

    heavy = SimpleNamespace(fingerprint_of=fingerprint_of)
    monkeypatch.setattr(module, "import_module", lambda name: heavy)
    made.controller = StoredAnswersController(
        made.session, made.jobs, Settings(), made.opened.extend
    )
    save(made)
    return made


def save(room, **changes):
    prediction = build.prediction(CARD, room.subject.layout)
    facts = {"name": CARD.name, "fingerprint": "own"}
    replace(prediction, classifier=facts, **changes).save(room.folder)


def open_now(room, *, outdated=(), is_open=False):
    if is_open:
        room.session.apply(actions.add_subject, room.subject)
    room.controller.open(StoredPlace(PATH, room.folder, outdated))
    room.jobs.run()
    if not is_open:
        room.session.apply(actions.add_subject, room.subject)
    return room.session.state.shown_answer


@pytest.mark.parametrize("is_open", [False, True])
def test_the_answer_is_shown_once_its_subject_is_open(room, is_open):
    answer = open_now(room, is_open=is_open)
    assert room.opened == [PATH]
    assert answer.prediction.features is room.subject.bag
    assert answer.card is room.session.state.cards[0]
    assert room.session.state.classifier == CARD.name
    assert stale_reasons(room.session.state, answer) == ()


def test_what_is_other_on_disk_makes_it_stale(room):
    answer = open_now(room, outdated=("the content is another",))
    assert stale_reasons(room.session.state, answer) == ("the content is another",)


def test_an_answer_of_a_classifier_that_was_replaced_is_shown_and_stale(room):
    room.fingerprint = "another"
    answer = open_now(room)
    assert answer.card is not room.session.state.cards[0]
    assert stale_reasons(room.session.state, answer) == ("the classifier was replaced",)


def test_a_classifier_that_cannot_be_read_does_not_hide_the_answer(room):
    room.error = ClassifierError("Damaged.")
    assert open_now(room) is not None


def test_an_answer_that_knows_more_by_now_is_kept(room):
    first = open_now(room)
    room.session.apply(
        actions.change_what_if, lambda what_if: what_if.drop((0,), len(first.layout))
    )
    dropped = room.session.state.shown_answer
    assert open_now(room, is_open=True) is dropped


def test_an_answer_that_was_cut_short_is_said_and_its_slide_opens(room):
    file = room.folder / "prediction.json"
    file.write_bytes(file.read_bytes()[:50])
    assert open_now(room) is None
    assert room.opened == [PATH]
    (notice,) = room.session.state.notices
    assert "holds no complete prediction" in notice.text


def test_an_answer_about_other_instances_is_said(room):
    room.subject = build.features_subject(n=3)
    assert open_now(room) is None
    (notice,) = room.session.state.notices
    assert "has other instances now" in notice.text


def test_what_is_taken_out_is_kept_beside_the_answer_and_comes_back(room):
    answer = open_now(room)
    apply = room.session.apply
    apply(actions.change_what_if, lambda what_if: what_if.drop((1, 2), len(answer.layout)))
    path = room.folder / WHAT_IF_FILE
    assert not path.exists(), "not answered for yet"
    answered = np.array([0.25, 0.75], np.float32)
    apply(actions.set_what_if_answer, answer.subject, answer.classifier, (1, 2), answered)
    assert path.is_file()
    again = open_again(room)
    assert again.what_if.removed == (1, 2)
    assert again.what_if.probabilities.tolist() == [0.25, 0.75]
    assert missing_inquiry(room.session.state) is None, "nothing is computed"
    apply(actions.change_what_if, WhatIf.undo)
    assert not path.exists()


def test_what_was_taken_out_of_an_earlier_answer_is_not_that_of_a_new_one(room):
    answer = open_now(room)
    n = len(answer.layout)
    write_what_if(room.folder, answer.prediction, (0,), np.array([0.5, 0.5]))
    save(room, logits=np.ones(1, np.float32))
    assert open_again(room).what_if.removed == ()
    assert n == len(room.session.state.shown_answer.layout)


def open_again(room):
    """Close what is open, and open the stored answer anew."""
    room.session.apply(actions.close_subject, room.subject.key)
    return open_now(room)
