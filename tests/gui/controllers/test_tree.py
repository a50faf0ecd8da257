"""The tree panel cuts, replays and selects for every view, and reads pictures once."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.gui import instance_pictures as module
from napari_mil.gui.controllers.tree import READ_JOB, STEPS, TreeController
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session
from napari_mil.gui.views.tree_view import TreeView
from tests.gui.model.builders import answer, answered, card, images_subject, state_of, tree
from tests.gui.training import FakeJobs

N = 40


@pytest.fixture
def room(qtbot, monkeypatch):
    subject = images_subject(n=N)
    state = answered(state_of(subject), answer(subject, card()))
    state = actions.set_panel_shown(state, Panel.TREE, shown=True)
    made = SimpleNamespace(
        session=Session(actions.add_tree(state, 1, "malignancy", Linkage.WARD, tree(N))),
        jobs=FakeJobs(),
        show_selected=MagicMock(),
        read=[],
    )

    def read(subject, layout, instance):
        made.read.append(instance)
        return np.full((8, 8, 3), instance, np.uint8)

    monkeypatch.setattr(module, "instance_thumbnail", read)
    made.controller = TreeController(made.session, made.jobs, made.show_selected)
    made.view = made.controller.make_view()
    assert isinstance(made.view, TreeView)
    qtbot.addWidget(made.view)
    made.view.resize(900, 300)
    made.view.show()
    made.session.changed.connect(lambda before, after: made.controller.render(after))
    made.controller.render(made.session.state)
    yield made
    made.controller.forget_view()


def state_now(room):
    return room.session.state


def test_the_slider_cuts_for_every_view_and_the_box_colours_the_slide(room):
    room.view.cluster_slider.setValue(5)
    assert state_now(room).display.n_clusters == 5
    assert len(room.view.plot._drawing.clusters) == 5
    room.view.colour_box.click()
    assert state_now(room).display.kind is Kind.CLUSTERS
    room.view.colour_box.click()
    assert state_now(room).display.kind is None


def test_a_branch_selects_its_instances_and_the_pointed_one_is_shown_by_itself(room):
    room.view.plot.branch_selected.emit(np.array([4, 2, 9]), 2)
    assert state_now(room).selection.instances == (4, 9, 2)
    room.show_selected.assert_not_called()
    room.view.plot.branch_opened.emit(np.array([4, 2, 9]), 9)
    assert state_now(room).selection.instance == 9
    room.show_selected.assert_called_once()


def test_the_replay_goes_from_the_first_merge_to_the_last_and_stops(room):
    room.view.play_button.click()
    assert (state_now(room).merged, state_now(room).tree.playing) == (0, True)
    assert state_now(room).display.kind is Kind.CLUSTERS, "it is seen on the slide"
    assert room.view.play_button.text() == "Pause"
    seen = []
    while state_now(room).tree.playing:
        room.controller.step()
        seen.append(state_now(room).merged)
        assert len(seen) < 2 * STEPS
    assert seen == list(range(1, N))
    assert room.view.play_button.text() == "Replay"
    assert room.view.merge_slider.value() == N - 1
    room.view.play_button.click()
    assert state_now(room).merged == 0, "after the end it begins again"


def test_a_paused_replay_goes_on_where_it_is(room):
    room.view.merge_slider.setValue(11)
    assert (state_now(room).merged, state_now(room).tree.playing) == (11, False)
    room.view.play_button.click()
    room.controller.step()
    room.view.play_button.click()
    assert (state_now(room).merged, state_now(room).tree.playing) == (12, False)
    room.controller.step()
    assert state_now(room).merged == 12


def test_another_cut_ends_the_replay(room):
    room.view.merge_slider.setValue(11)
    room.view.plot.clusters_chosen.emit(6)
    assert state_now(room).merged is None
    assert state_now(room).display.n_clusters == 6


def test_pictures_of_the_leaves_in_view_are_read_once(room):
    room.jobs.run()
    pictured = room.view.plot._drawing.pictured
    assert sorted(room.read) == sorted(pictured.tolist())
    assert set(room.view.plot._pixels) == set(pictured.tolist())
    room.view.cluster_slider.setValue(9)
    room.jobs.run()
    assert len(room.read) == len(set(room.read))


def test_a_view_that_is_gone_reads_nothing_more_and_ends_the_replay(room):
    room.view.merge_slider.setValue(3)
    room.controller.forget_view()
    assert state_now(room).tree.replay is None
    job = room.jobs.current(READ_JOB)
    assert job is None or job.token.cancelled
