"""Shapes drawn over a slide become regions of a class, in a file beside it."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.annotations import read_annotations
from napari_mil.gui.controllers.train.regions import RegionsController
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.subjects import Pixels, Subject, SubjectKind
from napari_mil.gui.views.train.regions_view import RegionsView
from tests.gui.training import emit, slides

CORNERS = np.array([[10, 20], [10, 120], [70, 120], [70, 20]]) - 0.5
"""(y, x) of a rectangle whose edges lie between pixels."""


class Shapes:
    """A layer with shapes in micrometres."""

    def __init__(self, name, mpp):
        self.name = name
        self.data = []
        self.shape_type = []
        self._mpp = mpp

    def add(self, vertices, kind):
        self.data.append(np.asarray(vertices) * self._mpp)
        self.shape_type.append(kind)

    def data_to_world(self, vertex):
        return tuple(vertex)


@pytest.fixture
def room(tmp_path, noise, paint):
    """A painted slide that is open, with a chosen layer of shapes over it."""
    slide = paint(noise, mpp=0.5, name="region.tiff")
    session = Session()
    session.train(actions.set_cohort, slides(tmp_path), "", "")
    made = SimpleNamespace(
        session=session,
        view=MagicMock(spec=RegionsView),
        book=MagicMock(spec=LayerBook),
        slide=slide,
        layer=Shapes("drawn", slide.mpp),
        kept=slide.path.with_name("region.regions.geojson"),
    )
    made.book.chosen_shapes.return_value = made.layer
    made.controller = RegionsController(session, made.view, made.book)
    return made


def open_it(room):
    subject = Subject(
        1, "region", SubjectKind.SLIDE, room.slide.path, Pixels(np.zeros((2, 2, 3))), room.slide
    )
    room.session.apply(session_actions.add_subject, subject)


def notices(room):
    return [notice.text for notice in room.session.state.notices]


def test_shapes_become_regions_to_the_pixel(room):
    open_it(room)
    room.layer.add(CORNERS, "rectangle")
    room.layer.add([[100, 100], [130, 130], [100, 160], [70, 130]], "ellipse")
    room.layer.add([[0, 0], [10, 10]], "line")
    emit(room.view.class_chosen, "left")
    emit(room.view.keep_requested)
    found = read_annotations(room.kept).regions
    assert [region.name for region in found] == ["left", "left"]
    assert found[0].area.bounds == pytest.approx((20, 10, 120, 70))
    radius = np.hypot(30, 30) / 2
    assert found[1].area.area == pytest.approx(np.pi * radius**2, rel=0.01)
    assert found[1].area.centroid.coords[0] == pytest.approx((130.5, 100.5), abs=0.1)
    run = train_snapshot(room.session.state).run
    assert run.message.startswith("2 regions of the layer drawn kept as left in region.regions")
    assert not run.cautions


def test_regions_replace_their_earlier_selves_and_no_others(room):
    open_it(room)
    other = room.slide.path.with_suffix(".geojson")
    other.write_text('{"type": "FeatureCollection", "features": []}')
    room.layer.add(CORNERS, "rectangle")
    emit(room.view.class_chosen, "left")
    emit(room.view.keep_requested)
    second = Shapes("second", room.slide.mpp)
    second.add(CORNERS + 200, "polygon")
    room.book.chosen_shapes.return_value = second
    emit(room.view.keep_requested)
    room.book.chosen_shapes.return_value = room.layer
    emit(room.view.class_chosen, "right")
    emit(room.view.keep_requested)
    found = [(region.name, region.drawn_in) for region in read_annotations(room.kept).regions]
    assert sorted(found) == [("left", "second"), ("right", "drawn")], (
        "not the same region in two classes"
    )
    assert other.read_text() == '{"type": "FeatureCollection", "features": []}'


def test_shapes_that_were_all_removed_take_their_regions_with_them(room):
    open_it(room)
    room.layer.add(CORNERS, "rectangle")
    emit(room.view.keep_requested)
    room.layer.data = []
    room.layer.shape_type = []
    emit(room.view.keep_requested)
    assert read_annotations(room.kept).regions == ()


def test_shapes_without_an_area_are_no_regions(room):
    open_it(room)
    room.layer.name = "a line"
    room.layer.add([[0, 0], [10, 10]], "line")
    emit(room.view.keep_requested)
    assert "No shape in a line has an area" in notices(room)[0]
    assert not room.kept.exists()


def test_without_an_open_slide_or_a_chosen_layer_it_says_what_to_do(room):
    emit(room.view.keep_requested)
    assert "over an open slide" in notices(room)[0]
    open_it(room)
    room.book.chosen_shapes.return_value = None
    room.session.apply(session_actions.close_notice, room.session.state.notices[0].key)
    emit(room.view.keep_requested)
    assert "Choose the shapes layer" in notices(room)[0]


def test_the_card_says_over_which_slide_and_offers_the_classes(room):
    shown = train_snapshot(room.session.state).regions
    assert shown.visible
    assert [entry.key for entry in shown.classes.entries] == ["left", "right"]
    assert "an open slide" in shown.line
    open_it(room)
    assert "drawn over region," in train_snapshot(room.session.state).regions.line
