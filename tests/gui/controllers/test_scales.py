"""A scale that a person enters is used, remembered and forgotten."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui.controllers.scales import ScaleController
from napari_mil.gui.model.scales import EnteredScale, ScaleScope
from napari_mil.gui.model.session import Session
from napari_mil.gui.remembered_scales import RememberedScales
from napari_mil.gui.views.slide.scale_card import ScaleCard
from napari_mil.settings import Settings
from napari_mil.slides.scanner import Scanner
from tests.gui.model.builders import (
    FakeSlide,
    answer,
    answered,
    card,
    images_subject,
    mask,
    slide_subject,
    state_of,
)
from tests.gui.training import emit


@dataclass(frozen=True, eq=False)
class Slide(FakeSlide):
    """A slide that takes scales."""

    fingerprint: str = "slide-1"
    closed: list = field(default_factory=list)

    def with_mpp(self, mpp):
        if mpp is None:
            return replace(self, scale=Slide().scale)
        if mpp < 0.01:
            raise NapariMilError("That is no scale.")
        return self.at(mpp)


def subject_of():
    return slide_subject(slide=Slide(Path("slides/a.svs"), scanner=Scanner("S1", "20", "0.5")))


@pytest.fixture
def enter(tmp_path):
    def enter_with(*subjects, state=None):
        session = Session(state_of(*subjects) if state is None else state)
        settings = replace(Settings(), user_folder=tmp_path / "user")
        view = MagicMock(spec=ScaleCard)
        controller = ScaleController(session, view, settings)
        scales = RememberedScales(settings)
        return SimpleNamespace(
            session=session, view=view, settings=settings, scales=scales, controller=controller
        )

    return enter_with


def shown(room):
    return room.session.state.current_subject


def test_a_changed_scale_keeps_tissue_and_answers(enter):
    subject = subject_of().with_tissue(mask(), painted=False)
    state = answered(state_of(subject), answer(subject, card()))
    room = enter(state=state)
    emit(room.view.mpp_entered, 0.25, ScaleScope.FILE)
    assert shown(room).slide.mpp == 0.25
    assert shown(room).tissue is subject.tissue
    assert room.session.state.answers == state.answers
    assert room.session.state.shown_answer is state.answers[0]


@pytest.mark.parametrize("scope", ScaleScope)
def test_a_scale_is_remembered_for_the_file_or_the_scanner(enter, scope):
    room = enter(subject_of())
    emit(room.view.mpp_entered, 0.25, scope)
    assert shown(room).entered is scope
    assert room.scales.find(shown(room).slide) == EnteredScale(0.25, scope)


def test_the_scale_of_the_file_comes_back_and_is_all_that_is_known(enter):
    room = enter(subject_of())
    emit(room.view.mpp_entered, 0.25, ScaleScope.SCANNER)
    emit(room.view.own_scale_requested)
    assert shown(room).slide.mpp == 0.5
    assert shown(room).entered is None
    assert room.scales.find(shown(room).slide) is None


def test_a_scale_that_cannot_be_is_a_notice(enter):
    room = enter(subject_of())
    emit(room.view.mpp_entered, 0.001, ScaleScope.FILE)
    assert [notice.text for notice in room.session.state.notices] == ["That is no scale."]
    assert shown(room).slide.mpp == 0.5


def test_a_scale_that_cannot_be_remembered_is_used_and_said(enter):
    room = enter(subject_of())
    room.settings.user_folder.write_text("a file where the folder should be")
    emit(room.view.mpp_entered, 0.25, ScaleScope.FILE)
    assert shown(room).slide.mpp == 0.25
    (notice,) = room.session.state.notices
    assert "used now and not remembered" in notice.text


def test_images_have_no_scale(enter):
    room = enter(images_subject())
    before = room.session.state
    emit(room.view.mpp_entered, 0.25, ScaleScope.FILE)
    assert room.session.state is before
