"""Figures are computed once for what is compared; picture and canvas follow each other."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.gui.controllers import compare as module
from napari_mil.gui.controllers.compare import FIGURES_JOB, CompareController
from napari_mil.gui.model import actions
from napari_mil.gui.model.compared import compared
from napari_mil.gui.model.comparing import CompareView
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.compare import compare_snapshot
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.model.view import View
from tests.gui.model.test_compared import region, two
from tests.gui.training import FakeJobs, mock_book

SEEN = View(Place(0, 0, 1000, 500), 0.5)


@pytest.fixture
def room(qapp):
    made = SimpleNamespace(session=Session(two()), jobs=FakeJobs(), book=mock_book())
    made.book.camera.view = SEEN
    made.controller = CompareController(made.session, made.jobs, made.book)
    made.view = made.controller.make_view()
    made.view.picture.resize(200, 200)
    made.controller.render(made.session.state)
    yield made
    made.controller.forget_view()
    made.view.deleteLater()


def test_figures_are_asked_for_once_and_kept(room):
    room.controller.render(room.session.state)
    assert [job.kind for job in room.jobs.waiting] == [FIGURES_JOB]
    room.jobs.run()
    assert not compare_snapshot(room.session.state).is_measuring
    room.controller.render(room.session.state)
    assert room.jobs.waiting == []


def test_another_map_asks_anew(room):
    room.jobs.run()
    room.view.second_column_chosen.emit("attention")
    assert compare_snapshot(room.session.state).is_measuring
    room.controller.render(room.session.state)
    room.jobs.run()
    assert not compare_snapshot(room.session.state).is_measuring


def test_choosing_the_shown_map_chooses_it_for_the_canvas_too(room):
    room.view.first_column_chosen.emit("attention")
    assert room.session.state.column.kind is Kind.ATTENTION


def test_choosing_what_the_canvas_shows_makes_it_visible(room):
    room.session.apply(actions.set_look, Role.OVERLAY, Look(visible=False))
    room.view.view_chosen.emit(CompareView.DIFFERENCE)
    state = room.session.state
    assert state.comparing.view is CompareView.DIFFERENCE
    assert state.display.look(Role.OVERLAY).visible


def test_swapped_answers_keep_their_maps(room):
    room.view.first_column_chosen.emit("attention")
    room.view.second_column_chosen.emit("score_tumour")
    room.view.swap_requested.emit()
    both = compared(room.session.state)
    assert (both.first.name, both.first.column.key) == ("grade", "score_tumour")
    assert (both.second.name, both.second.column.key) == ("malignancy", "attention")


def test_the_curtain_comes_to_the_middle_of_the_view(room):
    room.view.curtain_fetched.emit()
    # The middle is 500 of 1500 pixels.
    assert room.session.state.comparing.curtain == pytest.approx(1 / 3)


def test_without_a_shapes_layer_it_says_what_to_do(room):
    room.book.chosen_shapes.return_value = None
    room.view.shapes_requested.emit()
    assert "Choose the shapes layer" in room.session.state.notices[-1].text


def test_shapes_without_an_area_are_refused(room, monkeypatch):
    room.book.chosen_shapes.return_value = SimpleNamespace(name="Lines")
    monkeypatch.setattr(module, "regions_of_shapes", lambda layer, slide, name: [])
    room.view.shapes_requested.emit()
    assert "No shape in Lines has an area" in room.session.state.notices[-1].text
    assert room.session.state.comparing.drawn is None


def test_drawn_shapes_are_what_the_maps_are_compared_with(room, monkeypatch):
    room.book.chosen_shapes.return_value = SimpleNamespace(name="Shapes")
    monkeypatch.setattr(module, "regions_of_shapes", lambda layer, slide, name: [region(name)])
    room.view.shapes_requested.emit()
    room.controller.render(room.session.state)
    room.jobs.run()
    room.controller.render(room.session.state)
    assert "AUC" in [row[0] for row in room.view.table.texts()]
    assert room.view.choices.reference_box.key == "Shapes"


def test_the_picture_shows_what_the_canvas_shows(room):
    room.controller.draw()
    assert room.controller._place == Place(0, -250, 1000, 1000)


def test_a_drag_in_the_picture_moves_the_canvas_by_as_much(room):
    room.controller.draw()
    room.view.picture.dragged.emit(0.1, -0.2)
    (point,) = room.book.camera.move_to.call_args.args
    assert point == pytest.approx((400, 450))


def test_the_wheel_over_the_picture_zooms_the_canvas(room):
    room.view.picture.zoomed.emit(2.0)
    assert room.book.camera.zoom_to.call_args.args == (1.0,)


def test_a_click_in_the_picture_selects_the_tile_there(room):
    room.controller.draw()
    room.view.picture.pointed.emit(0.75, 0.5)
    assert room.session.state.selection.instances == (1,)
    room.view.picture.pointed.emit(0.75, 0.01)
    assert room.session.state.selection is None


def test_nothing_is_drawn_for_a_panel_that_is_gone(room):
    room.controller.forget_view()
    room.book.camera.view = MagicMock(side_effect=AssertionError)
    room.controller.render(room.session.state)
    room.controller.draw()
    assert room.controller._place is None


def test_pixels_that_changed_in_their_array_are_read_again(room):
    room.controller._sharp = module._Sharp(
        room.session.state.current_subject.pixels,
        module.Backdrop(np.zeros((1, 1, 3), np.uint8), Place(0, 0, 1, 1)),
    )
    room.controller._on_redrawn()
    assert room.controller._sharp is None
