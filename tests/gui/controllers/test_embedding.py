"""The layout is computed once, in a job; a line around points selects their instances."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui.controllers import embedding as module
from napari_mil.gui.controllers.embedding import PROJECT_JOB, EmbeddingController
from napari_mil.gui.model import actions
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session
from napari_mil.inference.projections import Method, Projection
from tests.gui.model.builders import answer, answered, card, features_subject, state_of
from tests.gui.training import FakeJobs


@pytest.fixture
def room(qtbot, monkeypatch):
    subject = features_subject()
    state = answered(state_of(subject), answer(subject, card()))
    made = SimpleNamespace(
        session=Session(replace(state, panels=frozenset({Panel.EMBEDDING}))),
        jobs=FakeJobs(),
        go_to=MagicMock(),
        asked=[],
        error=None,
    )

    def project(features, method, cancel):
        cancel.raise_if_cancelled()
        made.asked.append(method)
        if made.error is not None:
            raise made.error
        return Projection(method, np.arange(12, dtype=np.float32).reshape(6, 2), (0.9, 0.1))

    monkeypatch.setattr(module, "project", project)
    made.controller = EmbeddingController(made.session, made.jobs, made.go_to)
    made.view = made.controller.make_view()
    qtbot.addWidget(made.view)
    made.session.changed.connect(lambda before, after: made.controller.render(after))
    made.controller.render(made.session.state)
    return made


def chosen(room):
    selection = room.session.state.selection
    return () if selection is None else selection.instances


def test_a_layout_is_computed_once_and_kept(room):
    assert room.session.state.embedding.working is not None
    room.jobs.run()
    assert room.session.state.embedding.working is None
    assert set(room.session.state.shown_answer.projections) == {Method.PCA}
    room.session.apply(actions.select, (2,))
    assert room.asked == [Method.PCA]
    assert room.jobs.waiting == []
    assert not room.view.canvas.isHidden()


def test_umap_that_is_cancelled_gives_pca_back(room):
    room.jobs.run()
    room.view.method_chosen.emit("umap")
    assert not room.view.cancel_button.isHidden()
    room.view.cancel_requested.emit()
    room.jobs.run()
    assert room.session.state.embedding.method is Method.PCA
    assert room.view.cancel_button.isHidden()
    assert room.asked == [Method.PCA]
    room.view.method_chosen.emit("umap")
    room.jobs.run()
    assert set(room.session.state.shown_answer.projections) == set(Method)


def test_a_layout_that_fails_is_a_notice_and_is_not_tried_again(room):
    room.error = NapariMilError("UMAP came to nothing.")
    room.jobs.run()
    assert [notice.text for notice in room.session.state.notices] == ["UMAP came to nothing."]
    assert room.asked == [Method.PCA]
    assert not room.view.reason.isHidden()


def test_a_closed_panel_computes_nothing_more_and_an_open_one_does_again(room):
    job = room.jobs.current(PROJECT_JOB)
    room.session.apply(actions.set_panel_shown, Panel.EMBEDDING, shown=False)
    room.controller.forget_view()
    assert job.token.cancelled
    room.jobs.run()
    assert room.session.state.embedding.working is None
    room.session.apply(actions.set_panel_shown, Panel.EMBEDDING, shown=True)
    room.controller.render(room.session.state)
    room.jobs.run()
    assert room.asked == [Method.PCA]


def test_the_highest_of_what_is_inside_is_shown_by_itself(room):
    room.jobs.run()
    room.controller.select_inside(np.array([0, 3, 5]), False)
    values = room.session.state.values
    assert set(chosen(room)) == {0, 3, 5}
    assert chosen(room)[-1] == max((0, 3, 5), key=lambda instance: values[instance])


def test_what_is_inside_replaces_what_is_selected_or_is_added(room):
    room.jobs.run()
    room.controller.select_one(1, False)
    room.controller.select_inside(np.array([0, 3]), True)
    assert set(chosen(room)) == {0, 1, 3}
    room.controller.select_one(0, True)
    assert set(chosen(room)) == {0, 1, 3}
    assert chosen(room)[-1] == 0
    room.controller.select_inside(np.array([2]), False)
    assert chosen(room) == (2,)
    room.controller.select_one(-1, False)
    assert chosen(room) == ()


def test_the_instance_under_the_mouse_is_described(room):
    room.jobs.run()
    room.controller.select_one(1, False)
    note = room.view.words.text()
    room.view.canvas.hovered.emit(3)
    assert room.view.words.text().startswith("instance 3 · score: tumour ")
    room.view.canvas.hovered.emit(-1)
    assert room.view.words.text() == note
    room.view.canvas.opened.emit(4)
    room.go_to.assert_called_once_with(4)
