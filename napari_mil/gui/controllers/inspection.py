"""Connects the Inspect tab and the canvas with display, selection, trees and masks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Answer, Inquiry
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.session import Picture, Session, SessionState
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.opening import WORK
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.settings import Settings

INSPECT_JOB = "inspect"
PICTURE_JOB = "picture"


class InspectionController:
    """Answers questions about the shown answer, one at a time, and follows the selection."""

    def __init__(
        self,
        session: Session,
        view: InspectTab,
        book: LayerBook,
        jobs: JobRunner,
        settings: Settings,
        show_inspect: Callable[[], None],
    ) -> None:
        self._session = session
        self._book = book
        self._jobs = jobs
        self._settings = settings
        self._show_inspect = show_inspect
        apply = session.apply
        view.kind_chosen.connect(lambda kind: apply(actions.choose_kind, Kind(kind)))
        view.name_chosen.connect(lambda name: apply(actions.choose_name, name))
        view.scale_chosen.connect(lambda scale: apply(actions.choose_scale, scale))
        view.clusters_chosen.connect(lambda n: apply(actions.choose_clusters, n_clusters=n))
        view.linkage_chosen.connect(lambda linkage: apply(actions.choose_clusters, linkage=linkage))
        view.strategy_chosen.connect(lambda name: apply(actions.choose_strategy, name))
        view.opacity_chosen.connect(self._on_opacity)
        view.visibility_chosen.connect(self._on_visibility)
        view.cancel_requested.connect(self.cancel)
        view.step_requested.connect(self.step)
        view.clear_requested.connect(lambda: apply(actions.clear_selection))
        book.clicked.connect(self._on_click)
        session.changed.connect(self._on_changed)

    def cancel(self) -> None:
        """Stop working on a question."""
        self._jobs.cancel(INSPECT_JOB)

    def step(self, by: int) -> None:
        """Select the next instance by rank, and bring it into view."""
        self._session.apply(actions.step_selection, by)
        self.show_selected()

    def show_selected(self) -> None:
        """Move the view to the selected instance, if it is outside."""
        state = self._session.state
        subject = state.current_subject
        layout = state.layout
        selection = state.selection
        if subject is None or layout is None or selection is None:
            return
        centre = subject.placement.centres(layout, np.array([selection.instance]))[0]
        self._book.camera.look_at((float(centre[0]), float(centre[1])))

    def _on_opacity(self, opacity: float) -> None:
        self._session.apply(actions.set_look, Role.OVERLAY, Look(opacity=opacity))

    def _on_visibility(self, visible: bool) -> None:
        hidden = self._session.state.display.look(Role.OVERLAY).visible is False
        if hidden == visible:
            self._session.apply(actions.toggle_overlay)

    def _on_click(self, world: tuple[float, ...]) -> None:
        """Select the instance under a click; beside the instances nothing is selected."""
        state = self._session.state
        subject = state.current_subject
        layout = state.layout
        if subject is None or layout is None:
            return
        instance = subject.placement.instance_under(layout, world)
        if instance is None:
            self._session.apply(actions.clear_selection)
            return
        self._session.apply(actions.select, (instance,))
        self._show_inspect()

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        self._ask_for_what_is_missing(after)
        if before.selection != after.selection and after.selection is not None:
            self._read_picture(after)

    def _ask_for_what_is_missing(self, state: SessionState) -> None:
        """Grow the tree or ask for the masks that the display wants and the answer lacks."""
        inquiry = missing_inquiry(state)
        if inquiry is None:
            if state.inquiry is None and self._jobs.is_running(INSPECT_JOB):
                self._jobs.cancel(INSPECT_JOB)
            return
        if state.inquiry == inquiry:
            return
        answer = state.shown_answer
        assert answer is not None
        self._session.apply(actions.start_inquiry, inquiry)
        self._start(inquiry, answer)

    def _start(self, inquiry: Inquiry, answer: Answer) -> None:
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> Any:
            heavy = import_module(WORK)
            if inquiry.linkage is not None:
                return heavy.grow_tree(answer, inquiry.linkage, settings, cancel)
            return heavy.ask_masks(answer, inquiry.strategy, settings, cancel)

        job = self._jobs.start(INSPECT_JOB, work)
        job.succeeded.connect(lambda result: self._on_succeeded(inquiry, result))
        job.failed.connect(lambda text, details: self._on_failed(inquiry, text, details))
        job.cancelled.connect(lambda: self._end(inquiry, failed=True))

    def _on_succeeded(self, inquiry: Inquiry, result: Any) -> None:
        if self._session.state.inquiry != inquiry:
            return
        where = (inquiry.subject, inquiry.classifier)
        if inquiry.linkage is not None:
            self._session.apply(actions.add_tree, *where, inquiry.linkage, result)
        else:
            self._session.apply(actions.add_masks, *where, inquiry.strategy or "", result)
        self._end(inquiry, failed=False)

    def _on_failed(self, inquiry: Inquiry, text: str, details: str) -> None:
        self._end(inquiry, failed=True)
        self._session.apply(actions.add_notice, text, details)

    def _end(self, inquiry: Inquiry, *, failed: bool) -> None:
        if self._session.state.inquiry == inquiry:
            self._session.apply(actions.end_inquiry, failed=failed)

    def _read_picture(self, state: SessionState) -> None:
        subject = state.current_subject
        layout = state.layout
        selection = state.selection
        if subject is None or layout is None or selection is None:
            return
        key = subject.key
        instance = selection.instance
        corner = layout.coords[instance]
        size = layout.size0

        def work(tell: Tell, cancel: CancellationToken) -> Picture | None:
            pixels = instance_pixels(subject, instance, corner, size)
            return None if pixels is None else Picture(key, instance, pixels)

        job = self._jobs.start(PICTURE_JOB, work)
        job.succeeded.connect(
            lambda picture: (
                self._session.apply(actions.set_picture, picture) if picture is not None else None
            )
        )


def missing_inquiry(state: SessionState) -> Inquiry | None:
    """Return the question that has to be answered before the display can be shown."""
    answer = state.shown_answer
    if answer is None or state.lacks_groups:
        return None
    where = (answer.subject, answer.classifier)
    if state.display.kind is Kind.CLUSTERS and state.linkage not in answer.trees:
        return Inquiry(*where, linkage=state.linkage)
    if state.display.kind is Kind.MASKS and state.display.strategy not in answer.masks:
        return Inquiry(*where, strategy=state.display.strategy)
    return None


def instance_pixels(
    subject: Subject, instance: int, corner: np.ndarray, size0: tuple[float, float]
) -> np.ndarray | None:
    """Read an instance at full resolution: uint8 (H, W, 3), or None where there are no pixels."""
    if subject.images is not None:
        return subject.images.read(instance)
    if subject.slide is None:
        return None
    width, height = (max(1, round(side)) for side in size0)
    x, y = (float(value) for value in corner)
    return subject.slide.read_region((x, y), 0, (width, height))
