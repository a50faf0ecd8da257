"""Leads from a finished run to the Classify tab and to its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import reason_not_to_fit
from napari_mil.gui.model.session import Session
from napari_mil.gui.views.train.result_view import ResultView
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.library import install_bundle
from napari_mil.settings import Settings

USE_JOB = "use"


class ResultController:
    """Installs the classifier of an earlier run when it is used, and chooses it."""

    def __init__(
        self,
        session: Session,
        view: ResultView,
        jobs: JobRunner,
        settings: Settings,
        *,
        open_paths: Callable[[Sequence[Path]], None],
        show_notes: Callable[[str, str], None],
        show_classifier: Callable[[str], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._open_paths = open_paths
        self._show_notes = show_notes
        self._show_classifier = show_classifier
        view.use_requested.connect(self.use)
        view.about_requested.connect(self._on_about)

    def use(self) -> None:
        """Choose the classifier in the Classify tab, with something open that it takes."""
        result = self._session.state.training.result
        if result is None:
            return
        if result.installed:
            self._use(result.card)
            return
        bundle = result.folder
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> ClassifierCard:
            return install_bundle(bundle, settings)

        job = self._jobs.start(USE_JOB, work)
        job.succeeded.connect(self._use)
        job.failed.connect(
            lambda text, details: self._session.apply(actions.add_notice, text, details)
        )

    def _use(self, card: ClassifierCard) -> None:
        self._show_classifier(card.name)
        state = self._session.state
        if any(not reason_not_to_fit(card, subject) for subject in state.subjects):
            fitting = next(s for s in state.subjects if not reason_not_to_fit(card, s))
            current = state.current_subject
            if current is None or reason_not_to_fit(card, current):
                self._session.apply(actions.choose_subject, fitting.key)
                self._show_classifier(card.name)
            return
        cohort = state.training.cohort
        if cohort is not None and cohort.bags:
            self._open_paths([cohort.bags[0].path])

    def _on_about(self) -> None:
        result = self._session.state.training.result
        if result is not None:
            self._show_notes(result.card.name, result.card.notes)
