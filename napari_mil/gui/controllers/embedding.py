"""Connects the embedding with selection, canvas and the job that lays instances out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.layer_making import SELECTION_COLOUR, opaque_colours
from napari_mil.gui.model import actions
from napari_mil.gui.model import embedding as embedding_actions
from napari_mil.gui.model.answers import order_by
from napari_mil.gui.model.embedding import Wanted
from napari_mil.gui.model.hovering import instance_words
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.embedding import (
    EmbeddingSnapshot,
    embedding_snapshot,
    missing_projection,
)
from napari_mil.gui.views.embedding_view import EmbeddingView
from napari_mil.inference.projections import Method, Projection, project

PROJECT_JOB = "embedding"


class EmbeddingController:
    """Computes the layout that the embedding lacks, and selects what a person draws around."""

    panel = Panel.EMBEDDING

    def __init__(self, session: Session, jobs: JobRunner, go_to: Callable[[int], None]) -> None:
        self._session = session
        self._jobs = jobs
        self._go_to = go_to
        self.view: EmbeddingView | None = None
        self._shown: EmbeddingSnapshot | None = None

    def make_view(self) -> EmbeddingView:
        """Make the view, connected."""
        view = EmbeddingView(opaque_colours, SELECTION_COLOUR)
        view.method_chosen.connect(
            lambda method: self._session.embed(embedding_actions.choose_method, Method(method))
        )
        view.cancel_requested.connect(self.cancel)
        view.canvas.lassoed.connect(self.select_inside)
        view.canvas.clicked.connect(self.select_one)
        view.canvas.opened.connect(self._go_to)
        view.canvas.hovered.connect(self._on_hovered)
        self.view = view
        self._shown = None
        return view

    def forget_view(self) -> None:
        """Let go of the view, which is gone; nothing more is computed for it."""
        self.view = None
        self.cancel()

    def cancel(self) -> None:
        """Stop laying out."""
        self._jobs.cancel(PROJECT_JOB)

    def render(self, state: SessionState) -> None:
        """Show a state, and compute what it lacks."""
        wanted = missing_projection(state)
        if wanted is not None and wanted != state.embedding.working:
            self._start(state, wanted)
            return
        snapshot = embedding_snapshot(state)
        if self.view is not None and snapshot != self._shown:
            self._shown = snapshot
            self.view.render(snapshot)

    def _start(self, state: SessionState, wanted: Wanted) -> None:
        answer = state.shown_answer
        assert answer is not None
        bag = answer.prediction.features
        self._session.embed(embedding_actions.begin, wanted)

        def work(tell: Tell, cancel: CancellationToken) -> Projection:
            return project(bag.features, wanted.method, cancel)

        job = self._jobs.start(PROJECT_JOB, work)
        job.succeeded.connect(lambda projection: self._on_projected(wanted, bag, projection))
        job.failed.connect(lambda text, details: self._on_failed(wanted, text, details))
        # PCA is cancelled by something else alone, and wanted again when it is seen again.
        failed = wanted.method is Method.UMAP
        job.cancelled.connect(
            lambda: self._session.embed(embedding_actions.end, wanted, failed=failed)
        )

    def _on_projected(self, wanted: Wanted, bag: Any, projection: Projection) -> None:
        with self._session.together():
            self._session.apply(
                actions.add_projection, wanted.subject, wanted.classifier, bag, projection
            )
            self._session.embed(embedding_actions.end, wanted)

    def _on_failed(self, wanted: Wanted, text: str, details: str) -> None:
        self._session.embed(embedding_actions.end, wanted, failed=True)
        self._session.apply(actions.add_notice, text, details)

    def select_inside(self, inside: np.ndarray, adds: bool) -> None:
        """Select the instances inside a line; the one of the highest value is shown by itself."""
        values = self._session.state.values
        if values is not None and len(inside):
            ranked = inside[order_by(values[inside])]
            unranked = np.setdiff1d(inside, ranked)
            inside = np.concatenate([unranked, ranked[::-1]])
        self._select(tuple(inside.tolist()), adds=adds)

    def select_one(self, instance: int, adds: bool) -> None:
        """Select an instance; beside the instances nothing is selected."""
        self._select(() if instance < 0 else (instance,), adds=adds)

    def _select(self, instances: tuple[int, ...], *, adds: bool) -> None:
        selection = self._session.state.selection
        if adds and selection is not None and selection.subject == self._session.state.current:
            chosen = set(instances)
            kept = tuple(each for each in selection.instances if each not in chosen)
            instances = (*kept, *instances)
        self._session.apply(actions.select, instances)

    def _on_hovered(self, instance: int) -> None:
        if self.view is None:
            return
        state = self._session.state
        subject = state.current_subject
        if instance < 0 or subject is None:
            self.view.show_words("")
            return
        name = f"{subject.noun} {instance}"
        if subject.images is not None:
            name = subject.images.names[instance]
        words = instance_words(state, instance)
        self.view.show_words(f"{name} · {words}" if words else name)
