"""Looks at annotated folders and earlier runs, and keeps the form of a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from napari_mil.errors import NapariMilError
from napari_mil.events import Advanced, CancellationToken, Started
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.train import BUSY, details_text
from napari_mil.gui.model.training import Result, Training
from napari_mil.gui.model.training_form import PLAIN, Form, form_of
from napari_mil.gui.views.train.train_tab import TrainTab
from napari_mil.inference.card import ClassifierCard, read_card
from napari_mil.inference.library import find_card
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.patients import suggest_pattern
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.layout import (
    CLASSIFIER,
    CONFIG,
    EVALUATION,
    HISTORY,
    begun_with,
    is_finished,
    is_unfinished,
)
from napari_mil.training.watch_record import WatchRecord, read_record

SCAN_JOB = "scan"
RECORD_JOB = "watched epochs"
RUNS = "runs"
"""Folder of runs below the user's folder."""


class SetupController:
    """What is trained on, how, and in which folder."""

    def __init__(
        self,
        session: Session,
        view: TrainTab,
        jobs: JobRunner,
        settings: Settings,
        show_notes: Callable[[str, str], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._show_notes = show_notes
        view.path_dropped.connect(lambda path: self.take(Path(path)))
        view.found.pattern_accepted.connect(self._use_pattern)
        view.found.details_requested.connect(self._show_details)
        view.found.cancel_requested.connect(lambda: jobs.cancel(SCAN_JOB))
        view.run.details_requested.connect(self._show_details)
        view.setup.form_changed.connect(self.set_form)
        view.setup.start_chosen.connect(self.start_from)

    @property
    def _training(self) -> Training:
        return self._session.state.training

    def take(self, path: Path) -> None:
        """Open a folder for what it is: an earlier run or annotated bags."""
        if (path / CONFIG).is_file():
            self.open_run(path)
        else:
            self.look_at(path)

    def look_at(self, path: Path) -> None:
        """See what an annotated folder or a table holds."""
        if self._refuses():
            return
        self._scan(path, self._on_cohort, lambda text: self._session.train(actions.say, text))

    def open_run(self, folder: Path) -> None:
        """Show an earlier run: its settings, its curves, and whether it can go on."""
        if self._refuses():
            return
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            source = Path(config["cohort"])
        except (OSError, ValueError, KeyError, TypeError):
            self._session.train(
                actions.say,
                f"{folder.name} holds no training run (no readable {CONFIG}); "
                "choose the folder that a run was saved in.",
            )
            return

        def show(cohort: Cohort) -> None:
            self._on_cohort(cohort)
            if not self._training.trouble:
                self._show_run(folder, config)

        self._scan(source, show, lambda text: self._show_run_alone(folder, text))

    def set_form(self, form: Form) -> None:
        """Take what a person entered; the run is called after its method."""
        self._session.train(actions.set_form, form)
        self._name_out()

    def start_from(self, name: str) -> None:
        """Start from a classifier, or fresh where there is none of that name."""
        self._session.train(actions.set_start, name, self._card(name))
        self._name_out()

    def choose_out(self, folder: Path) -> None:
        """Put the run elsewhere.

        An empty folder or one with a run is taken itself; in another one the run gets a folder of
        its own.
        """
        training = self._training
        if training.cohort is None:
            return
        if is_unfinished(folder) and not begun_with(folder, training.cohort):
            self._session.train(
                actions.say,
                f"The run in {folder.name} was begun with other bags than those of "
                f"{training.cohort.root.name}; choose their folder first.",
            )
            return
        is_taken = folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file()
        out = free_folder(folder / self._name()) if is_taken else folder
        stored: Mapping[str, Any] = {}
        if is_unfinished(out):
            stored = _read_config(out)
            if stored:
                self._show_config(stored)
        self._session.train(
            actions.set_out, out, chosen=True, unfinished=is_unfinished(out), stored=stored
        )

    def _refuses(self) -> bool:
        """Say that a run is under way, if one is: it would go on unseen."""
        busy = self._training.phase.is_busy
        if busy:
            self._session.apply(session_actions.add_notice, BUSY)
        return busy

    def _scan(
        self,
        path: Path,
        on_cohort: Callable[[Cohort], None],
        on_refused: Callable[[str], None],
    ) -> None:
        def work(tell: Tell, cancel: CancellationToken) -> Cohort:
            def on_bag(done: int, total: int) -> None:
                cancel.raise_if_cancelled()
                tell(Started(total, "bags") if done == 0 else Advanced(done, 0.0, None))

            return scan_annotated_folder(path, on_bag)

        self._session.train(actions.look_at, f"Looking at {path.name}…")
        total = 0
        job = self._jobs.start(SCAN_JOB, work)

        def on_event(event: Any) -> None:
            nonlocal total
            if isinstance(event, Started):
                total = event.total
            elif isinstance(event, Advanced):
                words = f"Looking at {path.name}: bag {event.done} of {total}…"
                self._session.train(actions.look_at, words)

        def on_failed(text: str, details: str) -> None:
            self._session.train(actions.look_at, "")
            on_refused("\n\n".join(filter(None, (text, details))))

        job.event_happened.connect(on_event)
        job.succeeded.connect(on_cohort)
        job.failed.connect(on_failed)
        job.cancelled.connect(lambda: self._on_cancelled(job))

    def _on_cancelled(self, job: Any) -> None:
        # Another folder may be looked at by now.
        if not self._jobs.is_running(SCAN_JOB) or self._jobs.current(SCAN_JOB) is job:
            self._session.train(actions.look_at, "")

    def _on_cohort(self, cohort: Cohort) -> None:
        trouble = ""
        try:
            cohort.check()
        except NapariMilError as error:
            trouble = str(error)
        pattern = "" if trouble else suggest_pattern(cohort) or ""
        self._session.train(actions.set_cohort, cohort, trouble, pattern)
        self._name_out()
        if not trouble and self._training.problem[0]:
            self._session.train(actions.complain)

    def _show_run(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._show_config(config)
        self._session.train(
            actions.set_out,
            folder,
            chosen=True,
            unfinished=is_unfinished(folder),
            stored=config,
        )
        self._session.train(actions.open_run, read_history(folder), self._result_in(folder))
        self._read_record(folder)

    def _read_record(self, folder: Path) -> None:
        """Read the epochs of the watched slide, if the run kept any."""

        def work(tell: Tell, cancel: CancellationToken) -> WatchRecord | None:
            return read_record(folder)

        def show(record: WatchRecord | None) -> None:
            if record is not None and record.epochs:
                self._session.train(actions.set_record, folder, record)

        job = self._jobs.start(RECORD_JOB, work)
        job.succeeded.connect(show)

    def _show_run_alone(self, folder: Path, text: str) -> None:
        """Show what came of a run whose bags are gone."""
        result = self._result_in(folder)
        message = f"Its bags cannot be trained on any more: {text}"
        if result is None:
            message = (
                f"{text} Put the bags back and open the run again; or choose where they are by "
                "Folder…, then this run by Change…."
            )
        self._session.train(actions.forget_cohort, message)
        self._session.train(actions.set_out, folder, chosen=True, unfinished=False)
        self._session.train(actions.open_run, read_history(folder), result)

    def _show_config(self, config: Mapping[str, Any]) -> None:
        form = form_of(config)
        card = self._card(form.start_from)
        self._session.train(actions.set_form, form)
        if card is not None:
            self._session.train(actions.set_start, form.start_from, card)

    def _result_in(self, folder: Path) -> Result | None:
        """Return the classifier in a run folder; it is installed when it is used."""
        if not is_finished(folder):
            return None
        bundle = folder / CLASSIFIER
        try:
            card = read_card(bundle)
        except NapariMilError as error:
            self._session.apply(session_actions.add_notice, str(error))
            return None
        evaluable = self._training.is_trainable and not (folder / EVALUATION).is_file()
        return Result(card, bundle, evaluable=evaluable)

    def _card(self, name: str) -> ClassifierCard | None:
        if not name:
            return None
        try:
            return find_card(name, self._settings)
        except NapariMilError:
            # The run that names it says so.
            return None

    def _use_pattern(self, pattern: str) -> None:
        form = self._training.form
        self.set_form(Form(**{**vars(form), "patient_pattern": pattern}))

    def _name_out(self) -> None:
        training = self._training
        if training.is_trainable and not training.out_chosen:
            out = free_folder(self._settings.user_folder / RUNS / self._name())
            self._session.train(actions.set_out, out, chosen=False, unfinished=False)

    def _name(self) -> str:
        """Return what a run is called, and its classifier after it."""
        training = self._training
        assert training.cohort is not None
        form = training.form
        parts = [training.cohort.root.name, form.aggregator]
        if form.strategy != PLAIN:
            parts.append(form.strategy)
        return "-".join(parts)

    def _show_details(self) -> None:
        training = self._training
        if training.cohort is not None:
            self._show_notes(training.cohort.root.name, details_text(training))


def free_folder(folder: Path) -> Path:
    """Return a folder that holds no run: this one, or the next with a number."""
    for k in count(1):
        path = folder if k == 1 else folder.with_name(f"{folder.name}-{k}")
        if not path.exists():
            return path
    raise AssertionError("unreachable: there is always a next name")


def read_history(folder: Path) -> tuple[Mapping[str, float | None], ...]:
    """Return the figures of an earlier run; none where there are none."""
    try:
        with (folder / HISTORY).open(newline="") as file:
            return tuple(
                {name: float(value) if value else None for name, value in row.items()}
                for row in csv.DictReader(file)
            )
    except (OSError, ValueError):
        return ()


def _read_config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The run itself says what is wrong.
        return {}
    return config if isinstance(config, dict) else {}
