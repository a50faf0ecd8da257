"""Connects the Inspect tab and the canvas with display, selection, trees and masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.gui.closeups import read_closeup
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Answer, Inquiry
from napari_mil.gui.model.display import EVIDENCE, Kind, Look, Role
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Closeup, Session, SessionState
from napari_mil.gui.model.snapshots.inspect import can_be_asked
from napari_mil.gui.model.snapshots.tree import reason_against_tree
from napari_mil.gui.model.what_if import Removed, WhatIf
from napari_mil.gui.opening import WORK
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.settings import Settings

INSPECT_JOB = "inspect"
WHAT_IF_JOB = "what if"
CLOSEUP_JOB = "closeup"


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
        view.shares.share_chosen.connect(
            lambda kind, share: apply(actions.choose_share, kind, share)
        )
        view.shares.published_requested.connect(self._mask_published_shares)
        view.opacity_chosen.connect(self._on_opacity)
        view.visibility_chosen.connect(self._on_visibility)
        view.window_chosen.connect(lambda low, high: apply(actions.set_window, low, high))
        view.window_reset.connect(lambda: apply(actions.reset_window))
        view.papers_chosen.connect(lambda shown: apply(actions.show_as_in_papers, shown))
        view.group_switched.connect(lambda name: apply(actions.switch_group, name))
        view.cancel_requested.connect(self.cancel)
        view.step_requested.connect(self.step)
        view.clear_requested.connect(lambda: apply(actions.clear_selection))
        view.instance.instance_chosen.connect(self.go_to)
        view.evidence.ask_requested.connect(self.ask)
        view.evidence.sufficient_requested.connect(self.select_sufficient)
        view.evidence.drop_requested.connect(self.drop_selected)
        view.evidence.keep_requested.connect(self.keep_selected)
        view.evidence.undo_requested.connect(lambda: self._change(WhatIf.undo))
        view.evidence.redo_requested.connect(lambda: self._change(WhatIf.redo))
        self._asked_without: tuple[int, str, Removed] | None = None
        book.clicked.connect(self._on_click)
        book.added.connect(self._on_added)
        book.boxed.connect(self._on_boxed)
        session.changed.connect(self._on_changed)

    def cancel(self) -> None:
        """Stop working on a question."""
        self._jobs.cancel(INSPECT_JOB)

    def step(self, by: int) -> None:
        """Select the next instance by rank, and bring it into view."""
        self._session.apply(actions.step_selection, by)
        self.show_selected()

    def go_to(self, instance: int) -> None:
        """Select an instance, and bring it into view."""
        self._session.apply(actions.select, (instance,))
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

    def _mask_published_shares(self) -> None:
        mining = self._session.state.display.mining
        self._session.apply(actions.choose_strategy, mining.strategy)

    def _on_visibility(self, visible: bool) -> None:
        hidden = self._session.state.display.look(Role.OVERLAY).visible is False
        if hidden == visible:
            self._session.apply(actions.toggle_overlay)

    def _instance_under(self, world: tuple[float, ...]) -> int | None:
        """Return the instance of the shown subject under a place of the canvas."""
        state = self._session.state
        subject = state.current_subject
        if subject is None or state.layout is None:
            return None
        return subject.placement.instance_under(state.layout, world)

    def _on_click(self, world: tuple[float, ...]) -> None:
        """Select the instance under a click; beside the instances nothing is selected."""
        instance = self._instance_under(world)
        if instance is None:
            self._session.apply(actions.clear_selection)
            return
        self._session.apply(actions.select, (instance,))
        self._show_inspect()

    def _on_added(self, world: tuple[float, ...]) -> None:
        """Let the instance under a click join the selection, or leave it."""
        instance = self._instance_under(world)
        if instance is not None:
            self._session.apply(actions.toggle_selected, instance)
            self._show_inspect()

    def _on_boxed(self, start: tuple[float, ...], end: tuple[float, ...]) -> None:
        """Select the instances whose centres lie in a box."""
        state = self._session.state
        subject = state.current_subject
        layout = state.layout
        if subject is None or layout is None:
            return
        centres = subject.placement.centres(layout, np.arange(len(layout)))
        corners = np.array([start[-2:], end[-2:]])
        within = ((centres >= corners.min(0)) & (centres <= corners.max(0))).all(1)
        self._session.apply(actions.select, np.flatnonzero(within).tolist())

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        self._ask_for_what_is_missing(after)
        self._answer_without(after)
        if before.selection != after.selection and after.selection is not None:
            self._read_closeup(after)

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
            if inquiry.mining is None:
                return heavy.gather(answer, settings, cancel)
            return heavy.ask_masks(answer, inquiry.mining, settings, cancel)

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
        elif inquiry.mining is None:
            self._session.apply(actions.add_evidence, *where, result)
        else:
            self._session.apply(actions.add_masks, *where, inquiry.mining, result)
        self._end(inquiry, failed=False)

    def _on_failed(self, inquiry: Inquiry, text: str, details: str) -> None:
        self._end(inquiry, failed=True)
        self._session.apply(actions.add_notice, text, details)

    def _end(self, inquiry: Inquiry, *, failed: bool) -> None:
        if self._session.state.inquiry == inquiry:
            self._session.apply(actions.end_inquiry, failed=failed)

    def _answer_without(self, state: SessionState) -> None:
        """Answer for the bag without what was taken out: at once where sums tell it."""
        answer = state.shown_answer
        if answer is None or answer.evidence is None:
            return
        removed = answer.what_if.removed
        if not removed or answer.what_if.probabilities is not None:
            return
        where = (answer.subject, answer.classifier, removed)
        parts = answer.evidence.parts
        if parts.is_exact_at_once:
            answered = parts.probabilities_without(np.array(removed))
            self._session.apply(actions.set_what_if_answer, *where, answered)
        elif self._asked_without != where:
            self._asked_without = where
            job = self._jobs.start(
                WHAT_IF_JOB, lambda tell, cancel: parts.probabilities_without(np.array(removed))
            )
            job.succeeded.connect(
                lambda answered: self._session.apply(actions.set_what_if_answer, *where, answered)
            )
            job.ended.connect(self._forget_question)
            job.failed.connect(
                lambda text, details: self._session.apply(actions.add_notice, text, details)
            )

    def _forget_question(self) -> None:
        self._asked_without = None

    def _change(self, change: Callable[[WhatIf], WhatIf]) -> None:
        self._session.apply(actions.change_what_if, change)

    def drop_selected(self) -> None:
        """Take the selected instances out."""
        self._with_selected(WhatIf.drop)

    def keep_selected(self) -> None:
        """Take everything but the selected instances out."""
        self._with_selected(WhatIf.keep_only)

    def _with_selected(self, change: Callable[[WhatIf, tuple[int, ...], int], WhatIf]) -> None:
        state = self._session.state
        selection = state.selection
        answer = state.shown_answer
        if selection is None or answer is None or selection.subject != answer.subject:
            return
        n = len(answer.layout)
        self._change(lambda what_if: change(what_if, selection.instances, n))

    def ask(self) -> None:
        """Ask what every instance counts for, and show it."""
        self._session.apply(actions.choose_kind, Kind.CONTRIBUTION)

    def select_sufficient(self) -> None:
        """Select the fewest instances that give the answer."""
        answer = self._session.state.shown_answer
        if answer is not None and answer.evidence is not None:
            # The first is the one that counts most, and the one that is shown by itself.
            instances = answer.evidence.sufficient[::-1]
            self._session.apply(actions.select, tuple(int(i) for i in instances))

    def _read_closeup(self, state: SessionState) -> None:
        subject = state.current_subject
        layout = state.layout
        selection = state.selection
        if subject is None or layout is None or selection is None:
            return
        instance = selection.instance
        answer = state.shown_answer
        bag = None if answer is None else answer.prediction.features
        features = None if bag is None else bag.features

        def work(tell: Tell, cancel: CancellationToken) -> Closeup:
            closeup = read_closeup(subject, layout, instance, features)
            return replace(closeup, classifier="" if answer is None else answer.classifier)

        job = self._jobs.start(CLOSEUP_JOB, work)
        job.succeeded.connect(lambda closeup: self._session.apply(actions.set_closeup, closeup))


def missing_inquiry(state: SessionState) -> Inquiry | None:
    """Return the question that has to be answered before the display can be shown."""
    return _missing_for_display(state) or _missing_for_panel(state)


def _missing_for_panel(state: SessionState) -> Inquiry | None:
    """Return the tree that its panel waits for; one that came to nothing is not asked for again."""
    answer = state.shown_answer
    if Panel.TREE not in state.panels or answer is None or reason_against_tree(state):
        return None
    if state.linkage in answer.trees or state.linkage in answer.ungrown:
        return None
    return Inquiry(answer.subject, answer.classifier, linkage=state.linkage)


def _missing_for_display(state: SessionState) -> Inquiry | None:
    answer = state.shown_answer
    if answer is None or (state.lacks_groups and state.display.kind not in EVIDENCE):
        return None
    where = (answer.subject, answer.classifier)
    if state.display.kind is Kind.CLUSTERS and state.linkage not in answer.trees:
        return Inquiry(*where, linkage=state.linkage)
    if state.display.kind is Kind.MASKS and state.display.mining not in answer.masks:
        return Inquiry(*where, mining=state.display.mining)
    what_if = answer.what_if
    is_open = bool(what_if.removed) and what_if.probabilities is None
    wants_evidence = state.display.kind in EVIDENCE or is_open
    if wants_evidence and answer.evidence is None and can_be_asked(answer):
        return Inquiry(*where)
    return None
