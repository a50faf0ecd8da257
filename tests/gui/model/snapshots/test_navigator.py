"""What the navigator shows."""

import pytest

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.navigator import (
    magnification_words,
    navigator_snapshot,
    point_at,
)
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.model.view import View
from tests.gui.model import builders as build

VIEW = View(Place(1000, 750, 2000, 1500), 0.25)


def snapshot(subject, view=VIEW):
    return navigator_snapshot(build.state_of(subject), view)


def test_with_nothing_open_nothing_is_shown():
    assert navigator_snapshot(SessionState(), None).pixels is None


def test_the_part_in_view_is_told_in_shares_of_the_whole():
    subject = build.slide_subject()
    shown = snapshot(subject)
    assert shown.view == Place(0.25, 0.25, 0.5, 0.5)
    assert shown.pixels is subject.pixels.data
    assert shown.shape == 0.75


def test_the_magnification_is_read_out_where_the_scale_is_known():
    assert snapshot(build.slide_subject()).readout == "5× · 2 µm per screen pixel"
    assert snapshot(build.slide_subject(mpp=None)).readout == "25 % of level 0"


def test_presets_need_a_scale_and_say_so():
    known = snapshot(build.slide_subject()).presets
    assert [preset.text for preset in known] == ["1.25×", "2.5×", "5×", "10×", "20×", "40×"]
    assert not any(preset.reason for preset in known)
    unknown = snapshot(build.slide_subject(mpp=None)).presets
    assert all("µm per pixel" in preset.reason for preset in unknown)


def test_images_and_features_have_no_magnification_of_an_objective():
    assert snapshot(build.images_subject()).presets == ()
    assert snapshot(build.features_subject()).presets == ()


def test_features_off_their_slide_are_shown_where_their_coordinates_lie():
    subject = build.features_subject()
    place = Place(0, 0, 300, 200)
    shown = snapshot(subject, View(place, 1.0))
    assert shown.view == Place(0, 0, 1, 1)


def test_a_point_of_the_picture_is_a_point_of_the_slide():
    assert point_at(build.slide_subject(), 0.25, 0.5) == (1000, 1500)


@pytest.mark.parametrize(
    ("magnification", "words"), [(40, "40×"), (1.25, "1.25×"), (0.0341, "0.0341×"), (256, "256×")]
)
def test_magnifications_are_written_as_on_an_objective(magnification, words):
    assert magnification_words(magnification) == words
