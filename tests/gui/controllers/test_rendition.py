"""A slide is shown in the rendition that was chosen last."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil import open_slide
from napari_mil.errors import NapariMilError
from napari_mil.gui.controllers import rendition as module
from napari_mil.gui.controllers.rendition import RenditionController, render_pixels
from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import Pixels
from napari_mil.gui.views.slide.slide_tab import SlideTab
from napari_mil.slides.rendition import Rendition
from tests.gui.model.builders import slide_subject, state_of
from tests.gui.training import FakeJobs, emit

FIRST = Rendition(uses_profile=True)
SECOND = Rendition()


@pytest.fixture
def room(monkeypatch):
    """Return a room whose renditions are plain arrays, numbered by a twin each."""
    made = SimpleNamespace(twins=[], jobs=FakeJobs(), view=MagicMock(spec=SlideTab))
    made.session = Session(state_of(slide_subject()))

    def render(slide, rendition, report):
        twin = SimpleNamespace(close=MagicMock(), rendition=rendition)
        made.twins.append(twin)
        return Pixels(np.zeros((3, 4, 3), np.uint8), slide=twin)

    monkeypatch.setattr(module, "render_pixels", render)
    made.controller = RenditionController(made.session, made.view, made.jobs, MagicMock())
    return made


def test_the_choice_is_shown_at_once_and_the_pixels_follow(room):
    emit(room.view.rendition_chosen, 1, FIRST)
    subject = room.session.state.current_subject
    assert subject.rendition is FIRST
    assert subject.pixels.slide is None
    room.jobs.run()
    assert room.session.state.current_subject.pixels.slide is room.twins[0]


def test_pixels_of_an_earlier_choice_are_closed_and_not_shown(room):
    emit(room.view.rendition_chosen, 1, FIRST)
    earlier = room.jobs.current(f"{module.RENDITION_JOB} 1")
    emit(room.view.rendition_chosen, 1, SECOND)
    room.jobs.run()
    shown = room.session.state.current_subject.pixels.slide
    assert shown.rendition is SECOND
    assert earlier.token.cancelled
    for twin in room.twins:
        assert twin.close.called is (twin is not shown)


def test_a_rendition_that_fails_leaves_what_was_shown(room, monkeypatch):
    def fail(slide, rendition, report):
        raise NapariMilError("It has a profile that cannot be used.")

    monkeypatch.setattr(module, "render_pixels", fail)
    before = room.session.state.current_subject
    emit(room.view.rendition_chosen, 1, FIRST)
    room.jobs.run()
    after = room.session.state.current_subject
    assert (after.rendition, after.pixels) == (before.rendition, before.pixels)
    assert [notice.text for notice in room.session.state.notices] == [
        "It has a profile that cannot be used."
    ]


def test_pixels_of_a_rendition_are_those_of_its_twin(slide_path):
    with open_slide(slide_path) as slide:
        pixels = render_pixels(slide, SECOND, MagicMock())
        assert pixels.slide is not slide
        assert np.array_equal(pixels.data[-1], np.asarray(slide.levels[-1]))
        pixels.slide.close()
        assert slide.read_region((0, 0), 0, (5, 5)).shape == (5, 5, 3)


def test_nothing_is_rendered_without_a_slide(room):
    state = room.session.state
    subject = replace(state.current_subject, slide=None)
    room.session.apply(lambda state: replace(state, subjects=(subject,)))
    emit(room.view.rendition_chosen, 1, FIRST)
    assert room.jobs.waiting == []


def test_a_choice_that_is_told_late_is_of_the_slide_it_was_made_for(room):
    room.session.apply(actions.add_subject, slide_subject(2, "b.svs"))
    emit(room.view.rendition_chosen, 1, FIRST)
    room.jobs.run()
    assert room.session.state.current == 2
    assert room.session.state.subject(1).rendition is FIRST
    assert room.session.state.subject(2).rendition is None
