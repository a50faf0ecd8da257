"""Figures of an evaluation, and scores of a classifier on a labelled folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_mil.errors import NapariMilError
from napari_mil.events import Advanced, CancellationToken, Started
from napari_mil.gui.jobs import Job, JobRunner, Tell
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import judging as actions
from napari_mil.gui.model.judging import Judgement
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.judging import judged_card
from napari_mil.gui.model.words import count
from napari_mil.gui.views.train.judging_view import JudgingView
from napari_mil.settings import Settings
from napari_mil.training.layout import PREDICTIONS
from napari_mil.training.process import (
    ChildDefectError,
    ScoredCohort,
    ScoreRequest,
    work_beside,
)
from napari_mil.training.regions.classes import parse_mapping

SCORE_JOB = "score"
READ_JOB = "read figures"
SCORES = "scores"
"""Folder of scores below the user's folder."""


class JudgingController:
    """Shows the figures of the run that is shown, and scores cohorts in a process of its own.

    Parameters
    ----------
    session
        Gets the figures and what a score tells.
    view
        The card of figures.
    jobs
        Runs the threads that read figures and speak with the process.
    settings
        Folders and thread counts.
    open_paths
        Opens bags.
    """

    def __init__(
        self,
        session: Session,
        view: JudgingView,
        jobs: JobRunner,
        settings: Settings,
        open_paths: Callable[[Sequence[Path]], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._open_paths = open_paths
        view.cancel_requested.connect(lambda: jobs.cancel(SCORE_JOB))
        view.mapping_written.connect(lambda text: session.judge(actions.write_mapping, text))
        view.plot_chosen.connect(lambda plot: session.judge(actions.choose_plot, plot))
        view.cell_chosen.connect(
            lambda row, column: session.judge(actions.choose_cell, row, column)
        )
        view.bag_opened.connect(self.open_bag)
        session.changed.connect(self._on_changed)

    def score(self, source: Path) -> None:
        """Score the classifier of the run, or the chosen one, on a labelled folder or table."""
        state = self._session.state
        card = judged_card(state)
        if card is None or self._jobs.is_running(SCORE_JOB):
            return
        try:
            mapping = parse_mapping(state.judging.mapping, "Classes")
        except NapariMilError as error:
            self._session.judge(actions.end_scoring, str(error))
            return
        name = source.stem if source.is_file() else source.name
        request = ScoreRequest(
            source,
            card,
            self._settings.user_folder / SCORES / f"{name}-by-{card.name}",
            mapping,
            state.device,
            self._settings,
        )
        self._session.judge(actions.start_scoring, name)
        job = self._jobs.start(
            SCORE_JOB, lambda tell, cancel: _score(request, tell, cancel), patient=True
        )
        job.event_happened.connect(self._on_event)
        job.succeeded.connect(self._on_scored)
        job.failed.connect(self._on_failed)
        job.cancelled.connect(self._on_cancelled)

    def show(self, folder: Path, root: Path | None, message: str = "") -> None:
        """Read the figures in a folder in a thread, and show them."""

        def work(tell: Tell, cancel: CancellationToken) -> Judgement:
            # These bring scipy's statistics.
            from napari_mil.training.evaluation.curves import curves_of
            from napari_mil.training.evaluation.stored import read_figures

            stored = read_figures(folder)
            return Judgement(folder, root, stored, curves_of(stored.answers))

        job = self._jobs.start(READ_JOB, work)
        job.succeeded.connect(lambda judgement: self._on_read(job, judgement, message))
        job.failed.connect(lambda text, details: self._session.judge(actions.end_scoring, text))

    def open_bag(self, number: int) -> None:
        """Open a bag of the figures."""
        judgement = self._session.state.judging.judgement
        path = None if judgement is None else judgement.path_of(number)
        if path is None:
            self._session.judge(
                actions.end_scoring, "Where the bags lie is not known; choose their folder first."
            )
        else:
            self._open_paths([path])

    def _on_read(self, job: Job, judgement: Judgement, message: str) -> None:
        self._session.judge(actions.show, judgement)
        if message:
            self._session.judge(actions.end_scoring, message)

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        """Show the figures of the run whose classifier is shown, once there are some."""
        result = after.training.result
        if result is before.training.result:
            return
        shown = after.judging.judgement
        if result is None:
            earlier = before.training.result
            if shown is not None and earlier is not None and shown.folder == earlier.folder.parent:
                self._session.judge(actions.show, None)
            return
        folder = result.folder.parent
        cohort = after.training.cohort
        if (folder / PREDICTIONS).is_file():
            self.show(folder, None if cohort is None else cohort.root)

    def _on_event(self, event: Any) -> None:
        judging = self._session.state.judging
        if isinstance(event, Started):
            self._session.judge(actions.count, event.what, 0, event.total)
        elif isinstance(event, Advanced):
            self._session.judge(actions.count, judging.what, event.done, judging.total, event.eta)

    def _on_scored(self, scored: ScoredCohort) -> None:
        self._session.judge(actions.end_scoring)
        message = ""
        if scored.n_failed:
            failed = count(scored.n_failed, "bag")
            message = f"{failed} could not be classified; they stand in {scored.folder.name}."
        self.show(scored.folder, scored.root, message)

    def _on_failed(self, text: str, details: str) -> None:
        self._session.judge(actions.end_scoring, text)
        if details:
            self._session.apply(session_actions.add_notice, text, details)

    def _on_cancelled(self) -> None:
        self._session.judge(
            actions.end_scoring,
            "Cancelled; the answers so far are kept, scoring the folder again goes on from them.",
            cautions=False,
        )


def _score(request: ScoreRequest, tell: Tell, cancel: CancellationToken) -> ScoredCohort:
    try:
        return work_beside(request, tell, cancel)
    except ChildDefectError as error:
        raise RuntimeError(str(error)) from None
