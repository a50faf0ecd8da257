"""Opens slides and bags with the answers that are on disk; nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from napari_mil.errors import NapariMilError, OutputError
from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.stored import StoredAnswer, answer_of, card_of
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.model.what_if import WhatIf
from napari_mil.gui.opening import WORK
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.prediction import Prediction
from napari_mil.inference.stored_results import with_kept_features
from napari_mil.inference.what_if_file import read_what_if, write_what_if
from napari_mil.settings import Settings

READ_JOB = "stored answer"


@dataclass(frozen=True)
class StoredPlace:
    """A slide or bag and the folder of its answer."""

    path: Path
    """Slide or bag."""
    folder: Path
    """Folder with ``prediction.json``."""
    outdated: tuple[str, ...] = ()
    """What is other than when the answer was made, as clauses."""


class StoredAnswersController:
    """Reads an answer in a thread, opens what it is about, and joins them.

    Parameters
    ----------
    session
        Gets the answer once its subject is open.
    jobs
        Runs the reading in a thread.
    settings
        Folder of the cache, whose features are attached where they are there.
    open_paths
        Opens slides and bags.
    """

    def __init__(
        self,
        session: Session,
        jobs: JobRunner,
        settings: Settings,
        open_paths: Callable[[Sequence[Path]], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._open_paths = open_paths
        self._waiting: dict[Path, StoredAnswer] = {}
        session.changed.connect(self._on_changed)

    def open(self, place: StoredPlace) -> None:
        """Open a slide or bag and show its stored answer."""
        cards = self._session.state.cards
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> StoredAnswer:
            prediction = with_kept_features(Prediction.load(place.folder), settings)
            card = _card_behind(prediction, cards, settings) or card_of(prediction)
            removed = read_what_if(place.folder, prediction)
            return StoredAnswer(prediction, card, place.folder, removed, place.outdated)

        job = self._jobs.start(READ_JOB, work)
        job.succeeded.connect(lambda stored: self._on_read(place, stored))
        job.failed.connect(lambda text, details: self._on_failed(place, text, details))

    def _on_read(self, place: StoredPlace, stored: StoredAnswer) -> None:
        # One that could not be opened before is not waited for any more.
        self._waiting = {place.path: stored}
        self._open_paths([place.path])
        self._join(self._session.state)

    def _on_failed(self, place: StoredPlace, text: str, details: str) -> None:
        self._session.apply(actions.add_notice, text, details)
        self._open_paths([place.path])

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        if self._waiting and before.subjects is not after.subjects:
            self._join(after)

        self._keep_what_ifs(before, after)

    def _keep_what_ifs(self, before: SessionState, after: SessionState) -> None:
        """Write what is taken out of answers on disk beside them, once it is answered for."""
        if before.answers is after.answers:
            return
        earlier = {
            (answer.subject, answer.classifier, answer.folder): answer.what_if
            for answer in before.answers
        }
        for answer in after.answers:
            what_if = answer.what_if
            was = earlier.get((answer.subject, answer.classifier, answer.folder))
            if answer.folder is None or was is None or what_if is was:
                continue
            if not what_if.removed or what_if.probabilities is not None:
                self._keep(answer.folder, answer.prediction, what_if)

    def _keep(self, folder: Path, prediction: Prediction, what_if: WhatIf) -> None:
        probabilities = what_if.probabilities
        if probabilities is None:
            probabilities = prediction.probabilities
        try:
            write_what_if(folder, prediction, what_if.removed, probabilities)
        except OutputError as error:
            self._session.apply(actions.add_notice, str(error))

    def _join(self, state: SessionState) -> None:
        for subject in state.subjects:
            stored = self._waiting.pop(subject.path, None)
            if stored is not None:
                self._show(subject, stored)

    def _show(self, subject: Subject, stored: StoredAnswer) -> None:
        state = self._session.state
        earlier = state.answer(subject.key, stored.card.name)
        if earlier is None or not _is_same(earlier.prediction, stored.prediction):
            try:
                answer = answer_of(subject, stored)
            except NapariMilError as error:
                self._session.apply(actions.add_notice, str(error))
                return
            self._session.apply(actions.add_answer, answer)
        self._session.apply(actions.choose_classifier, stored.card.name)


def _is_same(prediction: Prediction, stored: Prediction) -> bool:
    """Say whether an answer of this session is the one on disk; it may know more by now."""
    same_maker = prediction.classifier == stored.classifier
    return same_maker and np.array_equal(prediction.logits, stored.logits)


def _card_behind(
    prediction: Prediction, cards: Sequence[ClassifierCard], settings: Settings
) -> ClassifierCard | None:
    """Return the card of the very classifier that answered, or None where it is not at hand."""
    name = prediction.classifier.get("name")
    fingerprint = prediction.classifier.get("fingerprint")
    for card in cards:
        if card.name == name:
            try:
                own = import_module(WORK).fingerprint_of(card, settings)
            except NapariMilError:
                return None
            return card if own == fingerprint else None
    return None
