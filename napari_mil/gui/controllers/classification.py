"""Connects the Classify tab with the job that classifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from importlib import import_module
from typing import Any

import numpy as np

from napari_mil.bags import TileGrid
from napari_mil.bags.layout import layout_of_grid
from napari_mil.events import Advanced, CancellationToken, Fallback, Partial, Started
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Answer, Inputs, Run
from napari_mil.gui.model.inputs import UNDETECTED, inputs_now, reason_not_to_fit
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.classify import BY_SCALE, NOTHING_OPEN
from napari_mil.gui.model.subjects import Subject, SubjectKind, TissueChoice
from napari_mil.gui.opening import WORK
from napari_mil.gui.views.classify_tab import ClassifyTab
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.library import list_classifiers
from napari_mil.settings import Settings

CLASSIFY_JOB = "classify"


class ClassificationController:
    """Runs one classification at a time; what it tells becomes actions.

    Parameters
    ----------
    session
        Gets runs and answers.
    view
        The Classify tab.
    book
        Says where the user is looking.
    jobs
        Runs the work in a thread.
    show_notes
        Shows (title, Markdown) of a classifier's card.
    settings
        Folders and thread counts.
    last_used
        Remembers the classifier.
    """

    def __init__(
        self,
        session: Session,
        view: ClassifyTab,
        book: LayerBook,
        jobs: JobRunner,
        show_notes: Callable[[str, str], None],
        settings: Settings,
        last_used: LastUsed,
    ) -> None:
        self._session = session
        self._book = book
        self._jobs = jobs
        self._show_notes = show_notes
        self._settings = settings
        self._last_used = last_used
        view.classify_requested.connect(self.classify)
        view.cancel_requested.connect(self.cancel)
        view.subject_chosen.connect(lambda key: session.apply(actions.choose_subject, key))
        view.classifier_chosen.connect(lambda name: session.apply(actions.choose_classifier, name))
        view.tissue_chosen.connect(
            lambda choice: session.apply(actions.set_tissue_choice, TissueChoice(choice))
        )
        view.tiles_chosen.connect(self._on_tiles)
        view.device_chosen.connect(lambda device: session.apply(actions.choose_device, device))
        view.about_requested.connect(self._on_about)
        self.list_classifiers(last_used.classifier)

    def list_classifiers(self, preferred: str = "") -> None:
        """Offer the shipped classifiers and the user's own; the chosen one stays."""
        cards = list(list_classifiers(self._settings).values())
        gone = [card.name for card in self._session.state.cards if not _is_there(card)]
        self._session.apply(actions.set_cards, cards, preferred, gone)

    def classify(self) -> None:
        """Start a run with what the tab shows."""
        state = self._session.state
        subject = state.current_subject
        card = state.card
        if subject is None or card is None:
            self._session.apply(actions.add_notice, NOTHING_OPEN)
            return
        if state.run is not None or reason_not_to_fit(card, subject):
            return
        self._last_used.classifier = card.name
        inputs = inputs_now(subject, card)
        detects = inputs.tissue == UNDETECTED
        phase = "Looking for tissue…" if detects else "Reading the first tiles…"
        run = Run(state.next_key, subject.key, inputs, phase)
        self._session.apply(actions.start_run, run)
        work = self._work(subject, inputs)
        job = self._jobs.start(CLASSIFY_JOB, work)
        number = run.number
        job.event_happened.connect(lambda event: self._on_event(number, event))
        job.succeeded.connect(lambda prediction: self._on_succeeded(number, prediction))
        job.failed.connect(lambda text, details: self._on_failed(number, text, details))
        job.cancelled.connect(lambda: self._session.apply(actions.end_run, number, "Cancelled."))

    def cancel(self) -> None:
        """Ask the run to stop."""
        run = self._session.state.run
        if run is not None:
            self._session.apply(actions.update_run, run.number, cancelling=True)
            self._jobs.cancel(CLASSIFY_JOB)

    def stop_without_subject(self) -> None:
        """Cancel the work of a run whose subject was closed."""
        if self._session.state.run is None and self._jobs.is_running(CLASSIFY_JOB):
            self._jobs.cancel(CLASSIFY_JOB)

    def _work(self, subject: Subject, inputs: Inputs) -> Callable[[Tell, CancellationToken], Any]:
        """Collect on the event loop what the thread needs, and return what it does."""
        content: Any = subject.images or subject.bag
        if subject.kind is SubjectKind.SLIDE:
            content = subject.slide
        mask: Any = None
        if subject.kind is SubjectKind.SLIDE and subject.tissue_choice is not TissueChoice.WHOLE:
            # Tissue that was detected before need not be detected again.
            reuses = inputs.tissue != UNDETECTED and subject.tissue is not None
            mask = subject.tissue.mask if reuses and subject.tissue is not None else "auto"
        view = self._book.camera.view
        focus = None if view is None else astuple(view.place)
        device = self._session.state.device
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> Any:
            heavy = import_module(WORK)
            request = heavy.ClassifyWork(
                path=subject.path,
                content=content,
                card=inputs.classifier,
                mask=mask,
                level=inputs.level,
                device=device,
                focus=focus,
                settings=settings,
            )
            return heavy.classify_subject(request, tell, cancel)

        return work

    def _on_event(self, number: int, event: Any) -> None:
        run = self._session.state.run
        if run is None or run.number != number:
            return
        if isinstance(event, Started):
            self._on_started(run, event)
        elif isinstance(event, Advanced):
            self._session.apply(
                actions.update_run, number, done=event.done, rate=event.rate, eta=event.eta
            )
        elif isinstance(event, Partial) and run.layout is not None:
            columns = {
                name: _spread(len(run.layout), event.indices, values)
                for name, values in event.values.items()
            }
            self._session.apply(actions.update_run, number, columns=columns)
        elif isinstance(event, Fallback):
            self._session.apply(actions.add_run_remark, number, event.message)

    def _on_started(self, run: Run, event: Started) -> None:
        subject = self._session.state.subject(run.subject)
        layout = None if subject is None else subject.layout
        if isinstance(event.grid, TileGrid):
            layout = layout_of_grid(event.grid)
        self._session.apply(actions.update_run, run.number, layout=layout, total=event.total)
        if run.inputs.tissue == UNDETECTED and event.tissue is not None:
            self._session.apply(actions.keep_detected_tissue, run.number, event.tissue)

    def _on_succeeded(self, number: int, prediction: Any) -> None:
        run = self._session.state.run
        if run is None or run.number != number:
            return
        subject = self._session.state.subject(run.subject)
        layout = run.layout
        if layout is None and subject is not None:
            layout = subject.layout
        # A slide tells its grid, a bag has a layout of its own.
        assert layout is not None
        answer = Answer(
            subject=run.subject,
            inputs=run.inputs,
            layout=layout,
            prediction=prediction,
            columns=prediction.columns(),
            remarks=tuple(prediction.provenance["fallbacks"]),
        )
        self._session.apply(actions.finish_run, number, answer)

    def _on_failed(self, number: int, text: str, details: str) -> None:
        self._session.apply(actions.end_run, number)
        self._session.apply(actions.add_notice, text, details)

    def _on_tiles(self, key: Any) -> None:
        self._session.apply(actions.set_level, None if key == BY_SCALE else int(key))

    def _on_about(self, name: str) -> None:
        cards = self._session.state.cards
        card = next((card for card in cards if card.name == name), None)
        if card is not None:
            self._show_notes(name, card.notes)


def _spread(n: int, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    whole = np.full(n, np.nan, np.float32)
    whole[indices] = values
    return whole


def _is_there(card: ClassifierCard) -> bool:
    """Say whether the files of a classifier are there."""
    path = card.checkpoint or card.folder
    return path is not None and path.exists()
