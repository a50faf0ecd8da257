"""The navigator moves the camera, and follows it."""

from unittest.mock import MagicMock

from napari_mil.gui.controllers.navigation import NavigationController
from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.model.view import View
from napari_mil.gui.views.slide.navigator import Navigator
from tests.gui.model.builders import slide_subject, state_of
from tests.gui.training import emit, mock_book


def enter(*subjects):
    room = MagicMock()
    room.session = Session(state_of(*subjects))
    room.view = MagicMock(spec=Navigator)
    room.book = mock_book()
    room.book.camera.view = View(Place(0, 0, 400, 300), 1.0)
    room.controller = NavigationController(room.session, room.view, room.book)
    return room


def test_a_point_of_the_picture_becomes_the_middle_of_the_view(qapp):
    room = enter(slide_subject())
    emit(room.view.pointed, 0.25, 0.5)
    room.book.camera.move_to.assert_called_once_with((1000.0, 1500.0))


def test_a_magnification_becomes_a_zoom_at_the_scale_of_the_slide(qapp):
    room = enter(slide_subject(mpp=0.25))
    emit(room.view.magnification_chosen, 20.0)
    room.book.camera.zoom_to.assert_called_once_with(0.5)


def test_without_scale_no_magnification_is_taken(qapp):
    room = enter(slide_subject(mpp=None))
    emit(room.view.magnification_chosen, 20.0)
    room.book.camera.zoom_to.assert_not_called()


def test_many_moves_of_the_camera_are_shown_once(qtbot):
    room = enter(slide_subject())
    for _ in range(50):
        emit(room.book.camera.moved)
    room.view.render.assert_not_called()
    qtbot.waitUntil(lambda: room.view.render.called)
    room.view.render.assert_called_once()
    assert room.view.render.call_args.args[0].view == Place(0, 0, 0.1, 0.1)


def test_another_subject_is_shown(qtbot):
    room = enter(slide_subject(1, "a.svs"), slide_subject(2, "b.svs", mpp=None))
    room.session.apply(actions.choose_subject, 1)
    qtbot.waitUntil(lambda: room.view.render.called)
    assert not room.view.render.call_args.args[0].presets[0].reason


def test_pixels_that_came_later_are_drawn_anew(qapp):
    room = enter(slide_subject())
    emit(room.book.redrawn)
    assert room.view.render.call_args.args[1] is True
