"""The camera looks at one subject at a time and keeps a view for each."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_mil.gui.camera import SubjectCamera
from napari_mil.gui.model.placement import Placement
from napari_mil.gui.model.subjects import Place

SLIDE = Place(0, 0, 4000, 3000)


@pytest.fixture
def viewer():
    made = ViewerModel()
    made.canvas.size = (600, 800)
    return made


def camera_of(viewer, **where):
    """Return a camera of slides named a, b, … with keys 0, 1, …, at their scales."""
    camera = SubjectCamera(viewer)
    camera.set_place(lambda key: where["places"].get(key))
    return camera


def test_a_new_subject_is_fitted_with_a_margin(viewer):
    camera = camera_of(viewer, places={1: (SLIDE, Placement(0.5))})
    assert camera.show(1)
    view = camera.view
    assert view.place.centre == pytest.approx(SLIDE.centre)
    assert view.place.width == pytest.approx(4000 / 0.95)
    assert view.zoom == pytest.approx(0.95 * 800 / 4000)


def test_pixels_that_are_no_squares_are_fitted_by_their_height(viewer):
    camera = camera_of(viewer, places={1: (SLIDE, Placement(0.5, aspect=4.0))})
    camera.show(1)
    assert camera.view.place.height == pytest.approx(3000 / 0.95)


def test_a_subject_is_found_as_it_was_left(viewer):
    places = {1: (SLIDE, Placement(0.5)), 2: (SLIDE, Placement())}
    camera = camera_of(viewer, places=places)
    camera.show(1)
    camera.zoom_to(2.0)
    camera.move_to((1000, 500))
    left = camera.view
    camera.show(2)
    assert camera.view != left
    camera.show(1)
    assert camera.view == left


def test_another_scale_keeps_the_same_part_in_view(viewer):
    places = {1: (SLIDE, Placement(0.5))}
    camera = camera_of(viewer, places=places)
    camera.show(1)
    camera.move_to((1000, 500))
    before = camera.view.place
    places[1] = (SLIDE, Placement(0.25))
    assert not camera.show(1)
    after = camera.view.place
    # Half a pixel: the centre of pixel 0 is the origin at every scale.
    assert after.centre == pytest.approx(before.centre, abs=0.5)
    assert after.width == pytest.approx(before.width)


def test_moves_and_zooms_are_told_once_each(viewer):
    camera = camera_of(viewer, places={1: (SLIDE, Placement(0.5))})
    camera.show(1)
    told = []
    camera.moved.connect(lambda: told.append(True))
    camera.move_to((10, 20))
    assert len(told) == 1
    camera.zoom_to(1.0)
    assert len(told) == 2
    camera.disconnect()
    camera.zoom_to(2.0)
    assert len(told) == 2


def test_a_point_in_view_does_not_move_the_camera(viewer):
    camera = camera_of(viewer, places={1: (SLIDE, Placement(0.5))})
    camera.show(1)
    before = camera.centre()
    camera.look_at((before[0] + 1, before[1]))
    assert camera.centre() == before
    camera.look_at((before[0] + 10_000, before[1]))
    assert camera.centre() != before


def test_with_nothing_open_there_is_no_view(viewer):
    camera = camera_of(viewer, places={})
    camera.show(None)
    camera.fit()
    camera.move_to((0, 0))
    assert camera.view is None
    assert np.allclose(camera.centre(), viewer.scene.camera.center[1:])
