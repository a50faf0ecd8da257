"""Subjects are chosen, rescaled and closed; a removed layer is taken for what it means."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui.controllers import subjects as module
from napari_mil.gui.controllers.subjects import SubjectsController
from napari_mil.gui.model import actions
from napari_mil.gui.model.display import Look, Role
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import AnnotationLayer, TissueChoice
from napari_mil.gui.reader import SLIDE_KEY
from napari_mil.gui.views.slide.slide_tab import SlideTab
from tests.gui.model.builders import (
    FakeSlide,
    answer,
    answered,
    card,
    features_subject,
    images_subject,
    mask,
    slide_subject,
    state_of,
)
from tests.gui.training import FakeJobs, emit, mock_book


@dataclass(frozen=True, eq=False)
class Slide(FakeSlide):
    """A slide that knows whether it was closed."""

    closed: list = field(default_factory=list)
    warnings: tuple = ()

    def with_mpp(self, mpp):
        if mpp < 0.01:
            raise NapariMilError("That is no scale.")
        return self.at(mpp)

    def close(self):
        self.closed.append(True)


def subject_of(key=1, name="a.svs"):
    return slide_subject(key, name, slide=Slide(Path("slides") / name, closed=[]))


def enter(*subjects, state=None, layers=()):
    session = Session(state_of(*subjects) if state is None else state)
    made = SimpleNamespace(
        session=session,
        view=MagicMock(spec=SlideTab),
        book=mock_book(),
        jobs=FakeJobs(),
    )
    made.book.slide_layers.return_value = list(layers)
    made.controller = SubjectsController(session, made.view, made.book, made.jobs)
    return made


def names(room):
    return [subject.name for subject in room.session.state.subjects]


def current(room):
    return room.session.state.current_subject


def notices(room):
    return [notice.text for notice in room.session.state.notices]


def removed(role, *key):
    return SimpleNamespace(role=role, key=key)


def test_another_subject_is_chosen_in_the_tab_and_renamed_in_the_layer_list():
    room = enter(subject_of(1, "a.svs"), subject_of(2, "b.svs"))
    emit(room.view.subject_chosen, 1)
    assert current(room).name == "a.svs"
    emit(room.book.subject_renamed, "2", "biopsy")
    assert names(room) == ["a.svs", "biopsy"]


def test_the_shown_subject_is_closed_in_the_tab_and_any_in_the_layer_list():
    room = enter(*(subject_of(k, f"{k}.svs") for k in (1, 2, 3)))
    emit(room.view.close_requested)
    assert names(room) == ["1.svs", "2.svs"]
    emit(room.book.subject_closed, "1")
    assert names(room) == ["2.svs"]
    emit(room.view.close_requested)
    emit(room.view.close_requested)
    assert names(room) == []


def test_slides_that_no_subject_has_are_closed():
    kept = subject_of(1, "a.svs")
    gone = subject_of(2, "b.svs")
    room = enter(kept, gone)
    emit(room.view.close_requested)
    assert gone.slide.closed == [True]
    assert kept.slide.closed == []


def test_a_twin_that_is_shown_no_more_is_closed():
    subject = subject_of()
    twin = Slide()
    room = enter(subject)
    shown = replace(subject.pixels, slide=twin)
    room.session.apply(actions.set_pixels, subject.key, shown)
    assert twin.closed == []
    room.session.apply(actions.set_pixels, subject.key, subject.pixels)
    assert twin.closed == [True]
    assert subject.slide.closed == []


def test_a_slide_that_another_subject_has_too_stays_open():
    slide = subject_of()
    room = enter(slide, features_subject(2, slide=slide.slide))
    emit(room.view.close_requested)
    assert slide.slide.closed == []
    emit(room.view.close_requested)
    assert slide.slide.closed == [True]


def test_an_image_of_the_list_is_selected_and_looked_at():
    subject = images_subject(n=5)
    room = enter(subject)
    emit(room.view.instance_chosen, 3)
    assert room.session.state.selection.instances == (3,)
    centre = subject.placement.centres(subject.layout, np.array([3]))[0]
    room.book.camera.look_at.assert_called_once_with(tuple(centre))


def test_tissue_is_found_in_a_thread_and_kept(monkeypatch):
    found = mask()
    monkeypatch.setattr(module, "tissue_mask", lambda slide, cancel: found)
    room = enter(subject_of())
    emit(room.view.tissue_requested)
    assert room.session.state.detecting == 1
    room.jobs.run()
    assert room.session.state.detecting is None
    assert current(room).tissue.mask is found
    assert not current(room).tissue.painted


def test_tissue_belongs_to_the_slide_that_was_shown_when_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(module, "tissue_mask", lambda slide, cancel: mask())
    room = enter(subject_of(1, "a.svs"), subject_of(2, "b.svs"))
    emit(room.view.tissue_requested)
    emit(room.view.subject_chosen, 1)
    room.jobs.run()
    assert room.session.state.subject(1).tissue is None
    assert room.session.state.subject(2).tissue is not None


def test_tissue_that_cannot_be_found_is_a_notice(monkeypatch):
    monkeypatch.setattr(module, "tissue_mask", MagicMock(side_effect=NapariMilError("Unreadable.")))
    room = enter(subject_of())
    emit(room.view.tissue_requested)
    room.jobs.run()
    assert notices(room) == ["Unreadable."]
    assert room.session.state.detecting is None


def test_tissue_of_images_is_not_looked_for():
    room = enter(images_subject())
    emit(room.view.tissue_requested)
    assert room.jobs.waiting == []
    assert room.session.state.detecting is None


def test_what_is_painted_is_kept_at_the_resolution_of_the_tissue():
    room = enter(subject_of().with_tissue(mask(), painted=False))
    painted = np.ones((3, 4), bool)
    emit(room.book.tissue_painted, painted)
    tissue = current(room).tissue
    assert tissue.painted
    assert tissue.mask.mask is painted
    assert tissue.mask.downsample == mask().downsample


def test_paint_without_tissue_is_nothing():
    room = enter(subject_of())
    before = room.session.state
    emit(room.book.tissue_painted, np.ones((3, 4), bool))
    assert room.session.state is before


def test_removed_tissue_is_detected_by_the_next_run():
    room = enter(subject_of().with_tissue(mask(), painted=True))
    assert current(room).tissue_choice is TissueChoice.LAYER
    emit(room.book.layer_removed, removed(Role.TISSUE, "tissue", "1"))
    assert current(room).tissue is None
    assert current(room).tissue_choice is TissueChoice.DETECT


def test_removed_annotations_are_forgotten_and_others_stay():
    room = enter(subject_of())
    for name in ("a.geojson", "b.xml"):
        layer = AnnotationLayer(name, np.empty((0, 2, 2)), (), 0)
        room.session.apply(actions.add_annotations, 1, layer)
    emit(room.book.layer_removed, removed(Role.ANNOTATIONS, "annotations", "a.geojson"))
    assert [layer.name for layer in current(room).annotations] == ["b.xml"]


def test_a_removed_selection_selects_nothing():
    room = enter(images_subject())
    room.session.apply(actions.select, (2,))
    emit(room.book.layer_removed, removed(Role.SELECTION, "selection"))
    assert room.session.state.selection is None


@pytest.mark.parametrize("role", [Role.OVERLAY, Role.GROUPS, Role.MARKS])
def test_a_removed_map_is_hidden_and_its_answer_stays(role):
    subject = subject_of()
    room = enter(state=answered(state_of(subject), answer(subject, card())))
    emit(room.book.layer_removed, removed(role, str(role)))
    assert room.session.state.display.look(Role.OVERLAY).visible is False
    assert room.session.state.shown_answer is not None


def test_with_nothing_open_a_removed_layer_means_nothing():
    room = enter()
    before = room.session.state
    emit(room.book.layer_removed, removed(Role.OVERLAY, "overlay"))
    assert room.session.state is before


def test_a_look_that_was_changed_on_the_canvas_is_kept():
    room = enter(subject_of())
    emit(room.book.look_changed, Role.OVERLAY, Look(opacity=0.25))
    assert room.session.state.display.look(Role.OVERLAY).opacity == 0.25


def layer_with(slide, name="opened elsewhere"):
    data = np.zeros((3, 4, 3), np.uint8)
    return SimpleNamespace(name=name, data=data, multiscale=False, metadata={SLIDE_KEY: slide})


def test_slides_that_another_reader_opened_are_taken_over_with_their_layer():
    before = layer_with(Slide(warnings=(SimpleNamespace(text="Odd."),)), "before")
    room = enter(layers=[before])
    later = layer_with(Slide(), "later")
    emit(room.book.slide_layer_added, later)
    assert names(room) == ["before", "later"]
    assert room.session.state.subject(1).remarks == ("Odd.",)
    keys = [call.args for call in room.book.adopt.call_args_list]
    assert keys == [(("subject", "1"), before), (("subject", "2"), later)]


def test_the_place_of_a_subject_is_in_level_0_pixels_with_their_size():
    room = enter(subject_of())
    place = room.book.camera.set_place.call_args.args[0]
    found, placement = place(1)
    assert (found.x, found.y, found.width, found.height) == (0, 0, 4000, 3000)
    assert placement.mpp == 0.5
    assert place(99) is None
