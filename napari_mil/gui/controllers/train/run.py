"""Connects the buttons of the Train tab with the process that trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_mil.bags.layout import layout_of_grid
from napari_mil.errors import NapariMilError
from napari_mil.events import (
    Advanced,
    CancellationToken,
    EpochEnded,
    Fallback,
    Finished,
    Started,
    Watching,
)
from napari_mil.gui.jobs import Job, JobRunner, Tell
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.training import Phase, Result, Training, Watch
from napari_mil.gui.model.training_form import config_problem
from napari_mil.gui.views.train.train_tab import TrainTab
from napari_mil.inference.card import ClassifierCard, read_card
from napari_mil.inference.library import install_bundle
from napari_mil.settings import Settings
from napari_mil.training.layout import CLASSIFIER, EVALUATION, is_finished, is_unfinished
from napari_mil.training.process import ChildDefectError, TrainingRequest, work_beside

TRAIN_JOB = "train"
INSTALL_JOB = "install"
DEFAULT_FOLDS = 5


class RunController:
    """One run at a time, in a process of its own.

    Parameters
    ----------
    session
        Gets what the run tells.
    view
        The Train tab.
    jobs
        Runs the thread that speaks with the process.
    settings
        Folders and thread counts.
    free_folder
        Returns a folder that holds no run, this one or the next with a number.
    on_installed
        Called when the user has another classifier.
    """

    def __init__(
        self,
        session: Session,
        view: TrainTab,
        jobs: JobRunner,
        settings: Settings,
        free_folder: Any,
        on_installed: Any,
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._free_folder = free_folder
        self._on_installed = on_installed
        self._job: Job | None = None
        view.run.start_requested.connect(lambda: self.start(resume=False))
        view.run.resume_requested.connect(lambda: self.start(resume=True))
        view.run.pause_requested.connect(self.pause)
        view.run.go_on_requested.connect(self.go_on)
        view.run.cancel_requested.connect(self.cancel)
        view.run.evaluate_requested.connect(self.evaluate)
        view.run.setup_requested.connect(lambda: self._session.train(actions.set_up_again))

    @property
    def _training(self) -> Training:
        return self._session.state.training

    def start(self, *, resume: bool) -> None:
        """Train with what the tab shows, and judge it afterwards if that is wanted."""
        if self._waits_for_encoder():
            return
        training = self._training
        if training.cohort is None or training.out is None or self._jobs.is_running(TRAIN_JOB):
            return
        fields = dict(training.stored) if resume and training.stored else training.fields
        if not resume and not self._is_ready(fields):
            return
        out = training.out
        if not resume and (is_finished(out) or is_unfinished(out)):
            out = self._free_folder(out)
        self._begin(out, fields, resume=resume, folds=training.form.folds)

    def evaluate(self) -> None:
        """Judge the way in which a finished run was trained."""
        if self._waits_for_encoder():
            return
        training = self._training
        if training.out is None or training.cohort is None or self._jobs.is_running(TRAIN_JOB):
            return
        folds = training.form.folds or DEFAULT_FOLDS
        fields = dict(training.stored) or training.fields
        if self._has_enough_patients(folds):
            self._begin(training.out, fields, resume=True, folds=folds)

    def pause(self) -> None:
        """Let the run wait between two bags."""
        if self._job is not None:
            self._job.token.pause()
            self._session.train(actions.set_phase, Phase.PAUSED)

    def go_on(self) -> None:
        """Let the run go on."""
        if self._job is not None:
            self._job.token.resume()
            self._session.train(actions.set_phase, Phase.RUNNING)

    def cancel(self) -> None:
        """End the run; its last checkpoint is kept."""
        self._session.train(actions.set_phase, Phase.STOPPING)
        self._jobs.cancel(TRAIN_JOB)

    def let_go(self) -> None:
        """Listen to the run no more: the window closes."""
        self._job = None

    def _waits_for_encoder(self) -> bool:
        """Say that the encoder is being adapted, if it is: both would be slow."""
        adapting = self._session.state.adapting
        if not adapting.phase.is_busy:
            return False
        self._session.train(
            actions.say, "The encoder is being adapted; wait for it, or cancel it, then start."
        )
        return True

    def _is_ready(self, fields: Mapping[str, Any]) -> bool:
        """Check the set-up before a process starts; say what is wrong with it."""
        self._session.train(actions.complain)
        if self._training.message:
            return False
        problem = config_problem(fields)
        if problem:
            self._session.train(actions.say, problem)
            return False
        return self._has_enough_patients(self._training.form.folds)

    def _has_enough_patients(self, folds: int) -> bool:
        cohort = self._training.cohort
        assert cohort is not None
        grouped = cohort.with_patients(self._training.pattern)
        n = len(set(grouped.groups))
        if folds <= n:
            return True
        units = "patients" if grouped.patients_known else "bags"
        self._session.train(
            actions.say,
            f"{n} {units} cannot be put into {folds} folds; evaluate with fewer, or not at all.",
        )
        return False

    def _begin(self, out: Path, fields: Mapping[str, Any], *, resume: bool, folds: int) -> None:
        training = self._training
        cohort = training.cohort
        assert cohort is not None
        try:
            classes = cohort.classes
            if positive := fields.get("positive_class"):
                classes = cohort.with_positive(positive).classes
        except NapariMilError as error:
            self._session.train(actions.say, str(error))
            return
        judges = is_finished(out)
        watch = self._watch(out, classes, goes_on=resume)
        request = TrainingRequest(
            cohort,
            dict(fields),
            out,
            resume,
            None if watch is None else watch.path,
            folds=folds,
            settings=self._settings,
        )
        self._session.train(actions.start, out, watch, judges=judges, fields=dict(fields))
        if watch is not None:
            self._session.apply(session_actions.choose_kind, Kind.TRAINING)
        job = self._jobs.start(
            TRAIN_JOB, lambda tell, cancel: _train(request, tell, cancel), patient=True
        )
        self._job = job
        job.event_happened.connect(lambda event: self._on_event(job, event))
        job.succeeded.connect(lambda result: self._on_succeeded(job, Path(result.classifier)))
        job.failed.connect(lambda text, details: self._on_failed(job, text, details))
        job.cancelled.connect(lambda: self._on_cancelled(job))

    def _watch(self, out: Path, classes: tuple[str, ...], *, goes_on: bool) -> Watch | None:
        """Return the watch of the run; one that goes on keeps the epochs it has."""
        training = self._training
        if not training.of_slides or not training.watch_path:
            return None
        path = Path(training.watch_path)
        earlier = training.watch
        if goes_on and earlier is not None and (earlier.path, earlier.run) == (path, out.name):
            return earlier
        return Watch(path, out.name, classes)

    def _on_event(self, job: Job, event: Any) -> None:
        if job is not self._job:
            return
        if isinstance(event, Started):
            self._session.train(actions.count, event.what, 0, event.total)
        elif isinstance(event, Advanced):
            training = self._training
            self._session.train(actions.count, training.what, event.done, training.total, event.eta)
        elif isinstance(event, Fallback):
            self._session.train(actions.add_remark, event.message)
        elif isinstance(event, Watching):
            layout = None if event.grid is None else layout_of_grid(event.grid)
            self._session.train(actions.set_watch_layout, layout, event.part)
        elif isinstance(event, EpochEnded):
            self._session.train(actions.add_epoch, event)
        elif isinstance(event, Finished):
            # Of the training; an evaluation may follow.
            self._install(Path(event.result.classifier))

    def _install(self, bundle: Path) -> None:
        """Put a finished bundle among the user's classifiers, in a thread."""
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> ClassifierCard:
            return install_bundle(bundle, settings)

        job = self._jobs.start(INSTALL_JOB, work, patient=True)
        job.succeeded.connect(lambda card: self._on_bundle(bundle, card))
        job.failed.connect(
            lambda text, details: self._session.apply(session_actions.add_notice, text, details)
        )

    def _on_bundle(self, bundle: Path, card: ClassifierCard) -> None:
        training = self._training
        earlier = training.result
        # Another run may be set up by now.
        if training.phase.is_busy if earlier is None else earlier.folder == bundle:
            result = Result(card, bundle, card.name, self._is_evaluable(bundle))
            self._session.train(actions.set_result, result)
        self._on_installed()

    def _is_evaluable(self, bundle: Path) -> bool:
        return self._training.is_trainable and not (bundle.parent / EVALUATION).is_file()

    def _on_succeeded(self, job: Job, bundle: Path) -> None:
        if job is self._job:
            self._finish(bundle)

    def _finish(self, bundle: Path, message: str = "", *, cautions: bool = False) -> None:
        """Show the classifier; figures of an evaluation are in its card by now."""
        self._session.train(actions.end, Phase.DONE, message, cautions=cautions)
        try:
            card = read_card(bundle)
        except NapariMilError as error:
            self._session.train(actions.say, str(error))
            return
        earlier = self._training.result
        installed = "" if earlier is None else earlier.installed
        self._session.train(
            actions.set_result,
            Result(card, bundle, installed, self._is_evaluable(bundle)),
        )
        self._install(bundle)

    def _on_failed(self, job: Job, text: str, details: str) -> None:
        if job is not self._job:
            return
        self._after_the_end(text, cautions=True)
        self._session.apply(session_actions.add_notice, text, details)

    def _on_cancelled(self, job: Job) -> None:
        if job is not self._job:
            return
        out = self._training.out
        message = "Cancelled."
        if out is not None and is_finished(out):
            message = (
                "The evaluation was cancelled; the classifier is there. Evaluate goes on with it."
            )
        elif self._training.rows:
            message = "Cancelled; the last epoch's checkpoint is kept, Resume goes on from it."
        self._after_the_end(message, cautions=False)

    def _after_the_end(self, message: str, *, cautions: bool) -> None:
        """Show the classifier if there is one, otherwise what can be done."""
        out = self._training.out
        if out is not None and is_finished(out):
            self._finish(out / CLASSIFIER, message, cautions=cautions)
            return
        phase = Phase.INTERRUPTED if out is not None and is_unfinished(out) else Phase.IDLE
        self._session.train(actions.end, phase, message, cautions=cautions)


def _train(request: TrainingRequest, tell: Tell, cancel: CancellationToken) -> Any:
    try:
        return work_beside(request, tell, cancel)
    except ChildDefectError as error:
        raise RuntimeError(str(error)) from None
