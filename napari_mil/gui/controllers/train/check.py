"""Looks ahead of a run: what it would stumble over, and what its regions teach."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.training import Check, Training
from napari_mil.gui.views.train.setup_view import SetupView
from napari_mil.settings import Settings
from napari_mil.training.config import make_config

CHECK_JOB = "check"
DRY_RUN = "napari_mil.training.dry_run"
"""Brings torch, which loads beside the window."""


class CheckController:
    """Checks when it is asked to, and by itself where there are annotated regions."""

    def __init__(
        self, session: Session, view: SetupView, jobs: JobRunner, settings: Settings
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        view.check_requested.connect(self.toggle)
        session.changed.connect(self._on_changed)

    @property
    def _training(self) -> Training:
        return self._session.state.training

    def toggle(self) -> None:
        """Look ahead, or stop looking."""
        if self._jobs.is_running(CHECK_JOB):
            self._jobs.cancel(CHECK_JOB)
        elif self._training.problem[0]:
            self._session.train(actions.complain)
        else:
            self.check()

    def check(self) -> None:
        """Look ahead of a run with the settings that are entered."""
        training = self._training
        cohort = training.cohort
        if cohort is None:
            return
        try:
            config = make_config(**{**training.fields, "cohort": str(cohort.source)})
        except NapariMilError as error:
            self._session.train(actions.say, str(error))
            return

        def work(tell: Tell, cancel: CancellationToken) -> Check:
            dry_run = import_module(DRY_RUN)
            found = dry_run.rehearse(cohort, config, settings=self._settings, cancel=cancel)
            return Check(training.fields, lines_of(found), bool(found.refusals))

        self._session.train(actions.begin_check)
        job = self._jobs.start(CHECK_JOB, work)
        job.succeeded.connect(lambda check: self._session.train(actions.set_check, check))
        job.failed.connect(self._on_failed)
        job.cancelled.connect(lambda: self._on_cancelled(job))

    def _on_failed(self, text: str, details: str) -> None:
        self._session.train(actions.set_check, None)
        self._session.train(actions.say, "\n\n".join(filter(None, (text, details))))

    def _on_cancelled(self, job: Any) -> None:
        # Another check may be under way by now.
        if self._jobs.current(CHECK_JOB) in (None, job):
            self._session.train(actions.set_check, None)

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        """Check a new cohort that has regions, and another mapping of their names."""
        now = after.training
        if not now.is_annotated or not now.is_trainable or now.phase.is_busy or now.problem[0]:
            return
        is_new = before.training.cohort is not now.cohort
        if is_new or before.training.form.region_classes != now.form.region_classes:
            self.check()


def lines_of(found: Any) -> tuple[str, ...]:
    """Return the sentences of a dry run: refusals, what regions teach, time, then the rest."""
    labels = import_module("napari_mil.training.regions.targets")
    findings = (f"{finding.path.name}: {finding.text}" for finding in found.findings)
    words = () if found.time is None else (_sentence(found.time.words),)
    return (*found.refusals, *labels.taught_words(found.taught), *words, *findings)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
