"""Connects the button that adapts the encoder with the process that does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from napari_mil.encoders.adapted_cards import own_encoders, own_encoders_folder
from napari_mil.encoders.catalogue import list_encoders
from napari_mil.errors import NapariMilError
from napari_mil.events import Advanced, CancellationToken, EpochEnded, Fallback, Started
from napari_mil.gui.jobs import Job, JobRunner, Tell
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import adapting as actions
from napari_mil.gui.model.adapting import Adapting
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.training import Phase
from napari_mil.gui.views.train.adapt_view import AdaptView
from napari_mil.networks.cards import BACKBONES
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.pretraining.layout import SLIDES, is_pretraining
from napari_mil.training.pretraining.sources import with_pixels
from napari_mil.training.process import ChildDefectError, PretrainingRequest, work_beside

ADAPT_JOB = "adapt"
TAKEN_FIELDS = ("tile_px", "mpp", "mask", "slide_mpp")
"""Fields of the form of a training that decide tiles."""
NOT_PROBED = "Too little could be held out to tell whether that helped."


class AdaptController:
    """Adapts the encoder to the slides of the Train tab, in a process of its own.

    Parameters
    ----------
    session
        Gets what the run tells.
    view
        The button.
    jobs
        Runs the thread that speaks with the process.
    settings
        Folders and thread counts.
    """

    def __init__(
        self, session: Session, view: AdaptView, jobs: JobRunner, settings: Settings
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._job: Job | None = None
        view.start_requested.connect(lambda: self.start(resume=False))
        view.resume_requested.connect(lambda: self.start(resume=True))
        view.cancel_requested.connect(self.cancel)
        session.changed.connect(self._on_changed)
        self.list_encoders()

    @property
    def _adapting(self) -> Adapting:
        return self._session.state.adapting

    def list_encoders(self) -> None:
        """List the user's adapted encoders."""
        self._session.adapt(actions.set_encoders, list(own_encoders()))

    def start(self, *, resume: bool) -> None:
        """Adapt the encoder to the slides that were found, or go on with it."""
        training = self._session.state.training
        if training.cohort is None or training.phase.is_busy or self._jobs.is_running(ADAPT_JOB):
            return
        complaint, _ = training.problem
        if complaint:
            self._session.adapt(actions.end, self._adapting.phase, complaint, cautions=True)
            return
        name = self._adapting.name if resume else free_name(training.cohort.root.name)
        fields = {name: each for name, each in training.fields.items() if name in TAKEN_FIELDS}
        request = PretrainingRequest(
            training.cohort,
            # A run that goes on keeps its own settings.
            {} if resume else fields,
            own_encoders_folder() / name,
            resume,
            self._settings,
        )
        self._session.adapt(actions.begin, name)
        job = self._jobs.start(
            ADAPT_JOB, lambda tell, cancel: _adapt(request, tell, cancel), patient=True
        )
        self._job = job
        job.event_happened.connect(lambda event: self._on_event(job, event))
        job.succeeded.connect(lambda result: self._on_succeeded(job, result))
        job.failed.connect(lambda text, details: self._on_failed(job, text, details))
        job.cancelled.connect(lambda: self._on_cancelled(job))

    def cancel(self) -> None:
        """End the run; its last checkpoint is kept."""
        self._session.adapt(actions.stop)
        self._jobs.cancel(ADAPT_JOB)

    def let_go(self) -> None:
        """Listen to the run no more: the window closes."""
        self._job = None

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        """Offer to go on with the run of slides that are looked at anew."""
        cohort = after.training.cohort
        if cohort is before.training.cohort or after.adapting.phase.is_busy:
            return
        unfinished = None if cohort is None else unfinished_run(cohort)
        self._session.adapt(actions.set_unfinished, "" if unfinished is None else unfinished.name)

    def _on_event(self, job: Job, event: Any) -> None:
        if job is not self._job:
            return
        if isinstance(event, Started):
            self._session.adapt(actions.count, event.what, 0, event.total)
        elif isinstance(event, Advanced):
            now = self._adapting
            self._session.adapt(actions.count, now.what, event.done, now.total, event.eta)
        elif isinstance(event, Fallback):
            self._session.adapt(actions.add_remark, event.message)
        elif isinstance(event, EpochEnded):
            self._session.adapt(actions.add_epoch, event.epoch, event.figures.get("loss"))

    def _on_succeeded(self, job: Job, result: Any) -> None:
        if job is not self._job:
            return
        found = [figure.sentence(result.base, result.held_out) for figure in result.probes]
        name = self._adapting.name
        words = [f"{name} can be chosen as the encoder.", *(found or [NOT_PROBED])]
        harmed = bool(result.probes) and result.probes[0].verdict == "worse"
        self._session.adapt(actions.end, Phase.DONE, " ".join(words), cautions=harmed)
        self.list_encoders()

    def _on_failed(self, job: Job, text: str, details: str) -> None:
        if job is self._job:
            self._session.adapt(actions.end, self._phase_after(), text, cautions=True)
            self._session.apply(session_actions.add_notice, text, details)

    def _on_cancelled(self, job: Job) -> None:
        if job is self._job:
            phase = self._phase_after()
            kept = " What was learned so far is kept." if phase is Phase.INTERRUPTED else ""
            self._session.adapt(actions.end, phase, f"Cancelled.{kept}")

    def _phase_after(self) -> Phase:
        """Return what the button stands for after a run that came to nothing."""
        folder = own_encoders_folder() / self._adapting.name
        return Phase.INTERRUPTED if is_pretraining(folder) else Phase.IDLE


def free_name(root: str) -> str:
    """Return a name for an encoder that nothing else has: this one, or the next with a number."""
    taken: Mapping[str, Any] = {**list_encoders(), **BACKBONES}
    for k in count(1):
        name = root if k == 1 else f"{root}-{k}"
        if name not in taken and not (own_encoders_folder() / name).exists():
            return name
    raise AssertionError("unreachable: there is always a next name")


def unfinished_run(cohort: Cohort) -> Path | None:
    """Return the folder of a run that was begun with these slides and has not finished."""
    root = own_encoders_folder()
    try:
        contents = sorted(bag.content for bag in with_pixels(cohort).bags)
    except NapariMilError:
        # Features alone: nothing is adapted to them.
        return None
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if is_pretraining(folder):
            try:
                if json.loads((folder / SLIDES).read_text(encoding="utf-8")) == contents:
                    return folder
            except (OSError, ValueError):
                continue
    return None


def _adapt(request: PretrainingRequest, tell: Tell, cancel: CancellationToken) -> Any:
    try:
        return work_beside(request, tell, cancel)
    except ChildDefectError as error:
        raise RuntimeError(str(error)) from None
