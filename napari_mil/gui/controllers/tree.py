"""Connects the tree panel with display, selection, canvas and the pictures at its leaves."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_mil.gui.instance_pictures import Thumbnails
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.model import actions
from napari_mil.gui.model import tree as tree_actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.tree import TreeSnapshot, tree_snapshot
from napari_mil.gui.model.tree import Replay

if TYPE_CHECKING:
    from napari_mil.gui.views.tree_view import TreeView

VIEW = "napari_mil.gui.views.tree_view"
READ_JOB = "tree pictures"
STEP_MS = 120
"""Time between two steps of the replay: the slide is drawn anew with each."""
STEPS = 150
"""Steps of a whole replay at most: it takes 18 s."""


class TreeController:
    """Cuts and replays the tree of the shown answer."""

    panel = Panel.TREE

    def __init__(
        self,
        session: Session,
        jobs: JobRunner,
        show_selected: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:
        self._session = session
        self._show_selected = show_selected
        self.view: TreeView | None = None
        self._shown: TreeSnapshot | None = None
        self._thumbnails = Thumbnails(
            jobs,
            READ_JOB,
            self._on_read,
            lambda text, details: session.apply(actions.add_notice, text, details),
        )
        self._timer = QTimer(parent)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self.step)

    def make_view(self) -> TreeView:
        """Make the view, connected."""
        # pyqtgraph takes a fifth of a second to load.
        view: TreeView = import_module(VIEW).TreeView()
        view.linkage_chosen.connect(self._on_linkage)
        view.clusters_chosen.connect(self._on_clusters)
        view.collapse_chosen.connect(
            lambda collapsed: self._change(tree_actions.collapse, collapsed)
        )
        view.colouring_chosen.connect(self._on_colouring)
        view.merged_chosen.connect(self.show_merges)
        view.play_requested.connect(self.play)
        view.pause_requested.connect(lambda: self._change(tree_actions.pause))
        view.cut_requested.connect(lambda: self._change(tree_actions.end_replay))
        view.ask_requested.connect(lambda: self._session.apply(actions.ask_for_tree))
        view.plot.branch_selected.connect(self._on_branch)
        view.plot.branch_opened.connect(self._on_opened)
        view.plot.pictures_wanted.connect(self._on_pictures)
        self.view = view
        self._shown = None
        return view

    def forget_view(self) -> None:
        """Let go of the view, which is gone."""
        self.view = None
        self._timer.stop()
        self._thumbnails.cancel()
        self._change(tree_actions.end_replay)

    def render(self, state: SessionState) -> None:
        """Show a state, and replay merges where it says so."""
        snapshot = tree_snapshot(state)
        if self.view is None or snapshot == self._shown:
            return
        self._shown = snapshot
        self.view.render(snapshot)
        if snapshot.playing and not self._timer.isActive():
            self._timer.start()
        elif not snapshot.playing:
            self._timer.stop()

    def step(self) -> None:
        """Replay some more merges, and stop at the last one."""
        state = self._session.state
        snapshot = tree_snapshot(state)
        if snapshot.merged is None or not snapshot.playing:
            self._timer.stop()
            return
        merged = snapshot.merged + max(1, snapshot.n_merges // STEPS)
        if merged >= snapshot.n_merges:
            self.show_merges(snapshot.n_merges)
        else:
            self._replay(tree_actions.play, merged)

    def play(self) -> None:
        """Replay the merges from where they are, from the first one after the last."""
        snapshot = tree_snapshot(self._session.state)
        at_end = snapshot.merged is None or snapshot.merged >= snapshot.n_merges
        with self._session.together():
            self._colour_slide()
            self._replay(tree_actions.play, 0 if at_end else snapshot.merged or 0)

    def show_merges(self, merged: int) -> None:
        """Show the tree and the slide after some merges."""
        with self._session.together():
            self._colour_slide()
            self._replay(tree_actions.show_merges, merged)

    def _replay(
        self,
        action: Callable[[tree_actions.TreePanel, Replay], tree_actions.TreePanel],
        merged: int,
    ) -> None:
        state = self._session.state
        answer = state.shown_answer
        if answer is not None:
            replay = Replay(answer.subject, answer.classifier, state.linkage, merged)
            self._change(action, replay)

    def _change(self, action: Callable[..., tree_actions.TreePanel], *arguments: object) -> None:
        self._session.apply(actions.change_tree, lambda panel: action(panel, *arguments))

    def _colour_slide(self) -> None:
        if self._session.state.display.kind is not Kind.CLUSTERS:
            self._session.apply(actions.choose_kind, Kind.CLUSTERS)

    def _on_linkage(self, linkage: Linkage) -> None:
        self._session.apply(actions.choose_clusters, linkage=linkage)

    def _on_clusters(self, n_clusters: int) -> None:
        with self._session.together():
            self._change(tree_actions.end_replay)
            self._session.apply(actions.choose_clusters, n_clusters=n_clusters)

    def _on_colouring(self, colours: bool) -> None:
        if colours:
            self._colour_slide()
        else:
            self._session.apply(actions.show_first_map)

    def _on_branch(self, instances: np.ndarray, instance: int) -> None:
        """Select the instances of a branch; the one that was pointed at is shown by itself."""
        others = instances[instances != instance].tolist()
        self._session.apply(actions.select, (*others, instance))

    def _on_opened(self, instances: np.ndarray, instance: int) -> None:
        self._on_branch(instances, instance)
        self._show_selected()

    def _on_pictures(self, instances: tuple[int, ...]) -> None:
        state = self._session.state
        subject = state.current_subject
        if subject is not None and state.layout is not None:
            self._thumbnails.request(subject, state.layout, instances)

    def _on_read(self, instance: int, pixels: np.ndarray) -> None:
        if self.view is not None:
            self.view.plot.show_pixels(instance, pixels)
