"""Connects the Train tab with the process that trains, the curves, the watched slide and the classifier that comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from napari_mil.errors import NapariMilError
from napari_mil.events import (
    Advanced,
    CancellationToken,
    EpochEnded,
    Event,
    Fallback,
    Finished,
    OnEvent,
    Started,
    Watching,
)
from napari_mil.gui.controllers.history import TrainingHistory
from napari_mil.gui.controllers.watched import WatchedSlide
from napari_mil.gui.jobs import Job, JobRunner
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.mining import MINED, STRATEGIES, STRATEGY_TEXTS, TWO_STREAMS
from napari_mil.gui.state import OpenSlide, WindowState
from napari_mil.gui.views.train_tab import (
    FRESH,
    IDLE,
    INTERRUPTED,
    PAUSED,
    RUNNING,
    STOPPING,
    TrainTab,
)
from napari_mil.inference.card import FEATURES as INSTANCES_ARE_FEATURES
from napari_mil.inference.card import IMAGES as INSTANCES_ARE_IMAGES
from napari_mil.inference.card import TILES, ClassifierCard, find_card, install, list_classifiers
from napari_mil.settings import Settings
from napari_mil.training.cohort import FEATURES as FEATURE_FILES
from napari_mil.training.cohort import IMAGES, SLIDES, Cohort, scan_annotated_folder
from napari_mil.training.layout import (
    CLASSIFIER,
    CONFIG,
    EVALUATION,
    begun_with,
    is_finished,
    is_unfinished,
)
from napari_mil.training.process import ChildDefectError, TrainingRequest, train_beside
from napari_mil.training.recipes import RECIPES, recipe_of

TRAIN_JOB, SCAN_JOB = "train", "scan"
ENCODERS = (
    ("", "by the bags (texture)"),
    ("texture", "texture"),
    ("lenet5", "LeNet-5, trained with it"),
    ("nucleus-net", "nucleus network, trained with it"),
    ("resnet18", "ResNet-18, trained with it"),
)
"""torch need not be loaded to know; a test compares them with the registries."""
PLAIN = ("plain", "none")
DEFAULT_FOLDS = 5
FOLDS = (
    ("0", "no"),
    ("5", "afterwards, 5 folds by patient"),
    ("10", "afterwards, 10 folds by patient"),
)
LONGEST_LIST = 400
"""Slides offered to watch."""


class TrainingController:
    """One run at a time, in a process of its own."""

    def __init__(
        self,
        state: WindowState,
        view: TrainTab,
        book: LayerBook,
        jobs: JobRunner,
        notify: Callable[[str], None],
        show_notes: Callable[[str, str], None],
        open_slides: Callable[[list[Path]], None],
        use_classifier: Callable[[str], None],
        settings: Settings,
    ) -> None:
        self._state, self._view, self._book, self._jobs, self._notify, self._settings = (
            state,
            view,
            book,
            jobs,
            notify,
            settings,
        )
        self._show_notes, self._open_slides, self._use_classifier = (
            show_notes,
            open_slides,
            use_classifier,
        )
        self.cohort: Cohort | None = None
        self._out: Path | None = None
        self._job: Job | None = None
        self._total, self._what = 0, ""
        self._remarks: list[str] = []
        self._out_chosen = False
        self._stored: dict[str, Any] = {}
        self._result: ClassifierCard | None = None
        self._installed = ""
        self.history = TrainingHistory(book.viewer, self._on_epoch)
        self._scan: Job | None = None
        self.watched = WatchedSlide(view, book)
        view.set_encoders(ENCODERS, "")
        view.set_choices(view.aggregator_box, [(name, name) for name in RECIPES], "gated-abmil")
        view.set_choices(view.folds_box, FOLDS, "0")
        self._offer_strategies()
        self._offer_starts()
        view.path_dropped.connect(lambda path: self.take(Path(path)))
        view.details_requested.connect(self._show_details)
        view.method_changed.connect(self._on_method)
        view.start_requested.connect(lambda: self.start(resume=False))
        view.resume_requested.connect(lambda: self.start(resume=True))
        view.pause_requested.connect(self.pause)
        view.go_on_requested.connect(self.go_on)
        view.cancel_requested.connect(self.cancel)
        view.epoch_chosen.connect(self._on_epoch)
        view.evaluate_requested.connect(
            lambda: self.start(resume=True, folds=self._view.folds or DEFAULT_FOLDS)
        )
        view.use_requested.connect(lambda: self._use_classifier(self._installed))
        view.about_requested.connect(self._on_about)
        view.curves_requested.connect(self.history.toggle)
        view.watch_changed.connect(self._open_watched)
        state.slides_changed.connect(self._offer_slides)
        state.slides_changed.connect(self.watched.look_again)
        state.classifiers_changed.connect(self._offer_starts)

    def disconnect(self) -> None:
        """Stop drawing; jobs are ended by their runner."""
        self.let_go()
        self.history.close()

    def let_go(self) -> None:
        """Draw nothing any more: the window closes, and what runs is cancelled by its runner."""
        self.history.stop()
        self.watched.close()
        if self._job is not None and self._jobs.is_running(TRAIN_JOB):
            self._job = None
            self._offer_resuming()

    def take(self, path: Path) -> None:
        """Open a folder for what it is: an earlier run or annotated bags."""
        if (path / CONFIG).is_file():
            self.open_run(path)
        else:
            self.look_at(path)

    def look_at(
        self,
        path: Path,
        then: Callable[[], None] = lambda: None,
        otherwise: Callable[[str], None] | None = None,
    ) -> None:
        """See what an annotated folder or a table holds.

        Parameters
        ----------
        path
            The folder or table.
        then
            What to do once its bags are shown.
        otherwise
            What to do with the sentence that says why there is nothing to train on; by default it is said.
        """

        def work(on_event: OnEvent, cancel: CancellationToken) -> Cohort:
            def on_bag(done: int, total: int) -> None:
                cancel.raise_if_cancelled()
                on_event(Started(total, "bags") if done == 0 else Advanced(done, 0.0, None))

            return scan_annotated_folder(path, on_bag)

        self._view.set_looking(f"Looking at {path.name}…")
        total = [0]

        def on_event(event: Event) -> None:
            if job is not self._scan:
                return
            if isinstance(event, Started):
                total[0] = event.total
            if isinstance(event, Advanced):
                self._view.set_looking(f"Looking at {path.name}: bag {event.done} of {total[0]}…")

        def on_failed(sentence: str, details: str) -> None:
            if job is not self._scan:
                return
            self._view.stop_looking()
            if otherwise is not None:
                otherwise(sentence)
            else:
                self._view.set_message(sentence + (f"\n\n{details}" if details else ""))

        job = self._scan = self._jobs.start(SCAN_JOB, work)
        job.event_happened.connect(on_event)
        job.succeeded.connect(
            lambda cohort: self._on_cohort(cohort, then, otherwise) if job is self._scan else None
        )
        job.failed.connect(on_failed)
        job.cancelled.connect(lambda: self._view.stop_looking() if job is self._scan else None)

    def open_run(self, folder: Path) -> None:
        """Show an earlier run: its settings, its curves, and whether it can go on."""
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            source = Path(config["cohort"])
        except (OSError, ValueError, KeyError, TypeError):
            self._view.set_message(
                f"{folder.name} holds no training run (no readable {CONFIG}); choose the folder that a run was saved in."
            )
            return

        def show() -> None:
            self._view.set_fields(without_recipe(config))
            self._stored, self._out, self._out_chosen = config, folder, True
            self._view.set_out(str(folder))
            self._offer_resuming()
            self.history.read(folder)
            if is_finished(folder):
                self._show_classifier(folder / CLASSIFIER)

        def show_alone(sentence: str) -> None:
            """Its bags may be gone; what came out is still there."""
            self.cohort, self._out, self._stored = None, folder, {}
            self._view.set_empty()
            self.watched.begin(None, "", ())
            self.history.read(folder)
            if is_finished(folder):
                self._show_classifier(folder / CLASSIFIER)
                self._view.set_message(
                    f"Its bags cannot be trained on any more: {sentence}", caution=False
                )
            else:
                self._view.set_message(
                    f"{sentence} Put the bags back and open the run again; or choose where they are by Folder…, then this run by Change…."
                )

        self.look_at(source, show, show_alone)

    def choose_out(self, folder: Path) -> None:
        """Put the run elsewhere: into the folder if it is empty or holds a run, otherwise into one of its own below it."""
        if self.cohort is None:
            return
        if is_unfinished(folder) and not begun_with(folder, self.cohort):
            self._view.set_message(
                f"The run in {folder.name} was begun with other bags than those of {self.cohort.root.name}; choose their folder first."
            )
            return
        taken = folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file()
        self._out, self._out_chosen = free_folder(folder / self._name()) if taken else folder, True
        self._stored = {}
        if is_unfinished(self._out):
            with suppress(OSError, ValueError):  # the run itself says what is wrong
                self._stored = json.loads((self._out / CONFIG).read_text(encoding="utf-8"))
                self._view.set_fields(without_recipe(self._stored))
        self._view.set_out(str(self._out))
        self._offer_resuming()

    def start(self, *, resume: bool, folds: int | None = None) -> None:
        """Train with what the tab shows; judge it afterwards, in so many folds or in as many as the tab shows."""
        if self.cohort is None or self._out is None or self._jobs.is_running(TRAIN_JOB):
            return
        if not resume and self._view.complain():
            return
        folds = self._view.folds if folds is None else folds
        if folds > len(set(self.cohort.groups)):
            self._view.set_message(
                f"{len(set(self.cohort.groups))} patients cannot be put into {folds} folds; evaluate with fewer, or not at all."
            )
            return
        if not resume and (is_finished(self._out) or is_unfinished(self._out)):
            self._out = free_folder(self._out)
            self._view.set_out(str(self._out))
        # A run that goes on keeps every setting it was begun with, also those that the form does not show.
        fields = dict(self._stored) if resume else self._view.fields
        self._stored = fields
        try:
            classes = self._class_order(fields)
        except NapariMilError as error:
            self._view.set_message(str(error))
            return
        watched = self._slide_to_watch()
        self.watched.begin(
            watched.slide if watched else None, self._out.name, classes, goes_on=resume
        )
        if watched is None and self._view.watched and self.cohort.kinds == (SLIDES,):
            self._view.set_watched("It could not be opened, and is not watched.", {})
        self._remarks, self._result = [], None
        if not is_finished(self._out):  # or it is only judged
            self.history.begin()
        request = TrainingRequest(
            self.cohort,
            fields,
            self._out,
            resume,
            watched.slide.path if watched else None,
            folds=folds,
            settings=self._settings,
        )

        def work(on_event: OnEvent, cancel: CancellationToken) -> Any:
            try:
                return train_beside(request, on_event, cancel)
            except ChildDefectError as error:
                raise RuntimeError(str(error)) from None

        self._view.set_state(RUNNING, "Starting…")
        job = self._job = self._jobs.start(TRAIN_JOB, work)
        job.event_happened.connect(lambda event: self._on_event(job, event))
        job.succeeded.connect(lambda result: self._on_succeeded(job, result))
        job.failed.connect(lambda sentence, details: self._on_failed(job, sentence, details))
        job.cancelled.connect(lambda: self._on_cancelled(job))

    def pause(self) -> None:
        """Let the run wait between two bags."""
        if self._job is not None:
            self._job.token.pause()
            self._view.set_state(PAUSED, self._view.progress_text.text())

    def go_on(self) -> None:
        """Let the run go on."""
        if self._job is not None:
            self._job.token.resume()
            self._view.set_state(RUNNING, self._view.progress_text.text())

    def cancel(self) -> None:
        """End the run, whose last checkpoint is kept, or the look at a folder."""
        if self._jobs.is_running(SCAN_JOB):
            self._jobs.cancel(SCAN_JOB)
            return
        self._view.set_state(STOPPING, self._view.progress_text.text())
        self._jobs.cancel(TRAIN_JOB)

    def _on_cohort(
        self, cohort: Cohort, then: Callable[[], None], otherwise: Callable[[str], None] | None
    ) -> None:
        self._view.stop_looking()
        try:
            cohort.check()
            trouble = ""
        except NapariMilError as error:
            trouble = str(error)
            if otherwise is not None:
                otherwise(trouble)
                return
        if self.cohort is None or cohort.source != self.cohort.source:
            self._view.forget_edits()
        self.cohort = cohort
        self.watched.begin(None, "", ())
        self.history.forget()  # to make the curves is a tenth of a second, while nothing runs
        patients = f" · {cohort.n_patients} patients" if cohort.n_patients != len(cohort) else ""
        skipped = f" · {len(cohort.skipped)} skipped" if cohort.skipped else ""
        known = [bag.n for bag in cohort.bags if bag.n is not None]
        instances = f" · {sum(known)} instances" if known else ""
        annotated = sum(bool(bag.annotations) for bag in cohort.bags)
        classes = " · ".join(f"{name} {number}" for name, number in cohort.counts.items()) + (
            f" · {annotated} annotated" if annotated else ""
        )
        self._view.set_cohort(
            f"{cohort.root.name}: {len(cohort)} bags{patients}{instances}{skipped}",
            f"{', '.join(cohort.kinds)} · {classes}" if cohort.bags else "",
            remark_on(cohort),
            bool(cohort.skipped or cohort.warnings),
            cohort.classes if len(cohort.classes) == 2 and not cohort.multi_label else (),
            cohort.without_scale,
            cohort.kinds == (SLIDES,),
        )
        if trouble:
            self._view.set_message(trouble)
            return
        self._view.set_choices(
            self._view.region_box, [(name, name) for name in cohort.classes], cohort.classes[-1]
        )
        self._out_chosen, self._stored, self._remarks = False, {}, []
        self._offer_slides()
        self._offer_starts()
        self._view.set_trainable()
        self._on_method()
        if self._view.problem:
            self._view.complain()
        then()

    def _on_method(self) -> None:
        """Show what the chosen method was published with."""
        start = self._start_card()
        why = "" if start is None else f"As in {start.name}, whose weights are the start."
        self._view.set_start(None if start is None else str(start.aggregator["name"]), why)
        kinds = () if self.cohort is None else self.cohort.kinds
        in_files = "The files hold features already." if kinds == (FEATURE_FILES,) else ""
        encoder = None if start is None or start.encoder is None else start.encoder["name"]
        settled = (
            [("", f"{encoder}, of {start.name}" if start is not None else "in the files")]
            if why or in_files
            else ENCODERS
        )
        self._view.set_encoders(settled, why or in_files)
        self._view.advanced.set_tiles(
            why or in_files,
            in_files or ("Whole images are the instances." if kinds == (IMAGES,) else ""),
        )
        self._offer_strategies()
        fields = self._view.fields
        recipe = recipe_of(fields["aggregator"], fields.get("strategy", "plain"))
        self._view.set_recipe(f"Recipe: {recipe.source}.", recipe.epochs, recipe.learning_rate)
        masked = STRATEGIES.get(fields.get("strategy", "plain"), ())
        self._view.advanced.set_method(
            kinds=masked, two_streams=fields["aggregator"] in TWO_STREAMS and not masked
        )
        if self.cohort is not None and not self._out_chosen:
            self._out = free_folder(self._settings.user_folder / "runs" / self._name())
            self._view.set_out(str(self._out))

    def _name(self) -> str:
        """Return what a run of the shown method on this cohort is called, and its classifier after it."""
        assert self.cohort is not None
        fields = self._view.fields
        strategy = fields.get("strategy", "plain")
        return "-".join(
            [
                self.cohort.root.name,
                fields["aggregator"],
                *([strategy] if strategy != "plain" else []),
            ]
        )

    def _offer_strategies(self) -> None:
        mined = self._view.aggregator_box.currentData() in MINED
        self._view.set_choices(
            self._view.strategy_box,
            (PLAIN, *STRATEGY_TEXTS) if mined else (PLAIN,),
            self._view.strategy_box.currentData() or PLAIN[0],
        )
        self._view.strategy_box.setEnabled(mined)
        self._view.strategy_box.setToolTip(
            "" if mined else "Masked mining needs attention MIL, DSMIL or TransMIL."
        )

    def _offer_starts(self) -> None:
        """Offer the classifiers that take such instances."""
        kinds = () if self.cohort is None else self.cohort.kinds
        takes = {SLIDES: (TILES,), IMAGES: (INSTANCES_ARE_IMAGES,)}.get(
            kinds[0] if kinds else "", (TILES, INSTANCES_ARE_IMAGES, INSTANCES_ARE_FEATURES)
        )
        names = [
            name
            for name, card in list_classifiers(self._settings).items()
            if card.instances in takes
        ]
        current = self._view.start_box.currentData()
        self._view.set_choices(
            self._view.start_box,
            [(FRESH, "fresh weights"), *((name, name) for name in names)],
            current,
        )

    def _start_card(self) -> ClassifierCard | None:
        name = self._view.start_box.currentData()
        if not name:
            return None
        try:
            return find_card(name, self._settings)
        except NapariMilError:
            return None  # the run that names it says so

    def _offer_slides(self) -> None:
        """Offer to watch the slides that are open, then those of the cohort."""
        chosen = self._view.watched
        choices: dict[str, str] = {
            str(entry.slide.path): entry.layer_name for entry in self._state.slides
        }
        if self.cohort is not None and self.cohort.kinds == (SLIDES,):
            for bag in self.cohort.bags[:LONGEST_LIST]:
                choices.setdefault(str(bag.path), f"{bag.path.name} ({', '.join(bag.labels)})")
        self._view.set_choices(
            self._view.watch_box,
            [("", "none"), *choices.items()],
            chosen if chosen in choices else "",
        )

    def _open_watched(self) -> None:
        """Open the slide that was chosen to be watched, so that it is there before training begins."""
        path = self._view.watched
        if path and self._open(path) is None:
            self._open_slides([Path(path)])

    def _slide_to_watch(self) -> OpenSlide | None:
        """Return the slide to watch as an open layer; one that was closed meanwhile is opened again."""
        if self.cohort is None or self.cohort.kinds != (SLIDES,) or not self._view.watched:
            return None
        self._open_watched()
        return self._open(self._view.watched)

    def _open(self, path: str) -> OpenSlide | None:
        return next((entry for entry in self._state.slides if str(entry.slide.path) == path), None)

    def _class_order(self, fields: dict[str, Any]) -> tuple[str, ...]:
        assert self.cohort is not None
        positive = fields.get("positive_class")
        return self.cohort.with_positive(positive).classes if positive else self.cohort.classes

    def _offer_resuming(self) -> None:
        self._view.set_state(
            INTERRUPTED if self._out is not None and is_unfinished(self._out) else IDLE
        )

    def _on_event(self, job: Job, event: Event) -> None:
        if job is not self._job:
            return
        if isinstance(event, Started):
            self._total, self._what = event.total, event.what
            if event.what == "epochs":
                self.history.epochs = event.total
                self._view.set_progress(0, event.total, f"Epoch 1 of {event.total}…")
            else:
                self._show_progress(0, "…")
        elif isinstance(event, Advanced):
            self._show_progress(event.done, _left(event.eta))
        elif isinstance(event, Fallback):
            self._remarks.append(event.message)
            more = f"{len(self._remarks) - 3} more in Details…\n" if len(self._remarks) > 3 else ""
            self._view.set_message(more + "\n".join(self._remarks[-3:]), caution=False)
            self._view.details_button.show()
        elif isinstance(event, Watching):
            self.watched.watch(event.grid, event.part)
        elif isinstance(event, EpochEnded):
            self._on_epoch_ended(event)
        elif isinstance(event, Finished):  # of the training; an evaluation may follow
            self._install(Path(event.result.classifier))

    def _show_progress(self, done: int, more: str) -> None:
        """Say how far bags or folds are."""
        verb = "Evaluating" if self._what == "folds" else "Encoding"
        self._view.set_progress(
            done,
            self._total,
            f"{verb}: {self._what.rstrip('s')} {min(done + 1, self._total)} of {self._total}{more}",
        )

    def _on_epoch_ended(self, event: EpochEnded) -> None:
        if event.watched is not None:
            self.watched.add(event.epoch, event.watched)
        self.history.add(event.figures, self.watched.shown)
        seconds = [float(row.get("seconds") or 0.0) for row in self.history.rows[-10:]]
        left = sum(seconds) / len(seconds) * (self.history.epochs - event.epoch)
        shown = (
            [f"loss {event.figures['loss']:.3g}"] if event.figures.get("loss") is not None else []
        )
        if event.figures.get("validation_auc") is not None:
            shown.append(f"validation AUC {event.figures['validation_auc']:.2f}")
        epochs = self.history.epochs
        self._view.set_progress(
            event.epoch,
            epochs,
            " · ".join([f"Epoch {event.epoch} of {epochs}", *shown]) + _left(left),
        )

    def _on_succeeded(self, job: Job, result: Any) -> None:
        if job is not self._job:
            return
        self.history.draw()
        self._show_classifier(Path(result.classifier))

    def _install(self, folder: Path) -> bool:
        """Put a finished bundle among the user's classifiers; say whether that went well."""
        try:
            self._installed = install(folder, self._settings)
            self._result = find_card(self._installed, self._settings)
        except (NapariMilError, OSError) as error:
            self._notify(str(error))
            return False
        self._state.classifiers_changed.emit()
        return True

    def _show_classifier(self, folder: Path) -> None:
        """Say what a finished bundle is worth."""
        if not self._install(folder) or self._result is None:
            return
        card, training = self._result, self._result.training
        facts = [
            f"epoch {training.get('epoch kept')} of {training.get('epochs trained')}",
            str(card.evaluation.get("headline", "")),
        ]
        refused = "" if card.instances == TILES else f"It takes {card.takes}, not slides."
        trainable = self.cohort is not None
        evaluable = trainable and not (folder.parent / EVALUATION).is_file()
        self._view.show_result(
            self._installed, " · ".join(filter(None, facts)), refused, evaluable, another=trainable
        )

    def _on_failed(self, job: Job, sentence: str, details: str) -> None:
        if job is not self._job:
            return
        self._after_the_end()
        self._view.set_message(sentence + (f"\n\n{details}" if details else ""))
        self._notify(sentence)

    def _on_cancelled(self, job: Job) -> None:
        if job is not self._job:
            return
        self._after_the_end()
        if self._result is not None:
            self._view.set_message(
                "The evaluation was cancelled; the classifier is there. Evaluate goes on with it.",
                caution=False,
            )
        else:
            self._view.set_message(
                "Cancelled; the last epoch's checkpoint is kept, Resume goes on from it."
                if self.history.rows
                else "Cancelled.",
                caution=False,
            )

    def _after_the_end(self) -> None:
        """Show the classifier if there is one, otherwise what can be done."""
        if self._out is not None and is_finished(self._out):
            self._show_classifier(self._out / CLASSIFIER)
        else:
            self._offer_resuming()

    def _on_about(self) -> None:
        if self._result is not None:
            self._show_notes(self._installed, self._result.notes)

    def _show_details(self) -> None:
        if self.cohort is None:
            return
        lines = [f"# {self.cohort.root.name}", ""]
        for title, entries in (
            ("Skipped", self.cohort.skipped),
            ("Used, but odd", self.cohort.warnings),
        ):
            if entries:
                lines += [
                    f"## {title}",
                    "",
                    *(f"- **{path.name}**: {what}" for path, what in entries),
                    "",
                ]
        if self._remarks:
            lines += ["## Said by the run", "", *(f"- {remark}" for remark in self._remarks)]
        self._show_notes(self.cohort.root.name, "\n".join(lines))

    def _on_epoch(self, epoch: int) -> None:
        self.watched.show(epoch)
        self.history.set_cursor(self.watched.shown or epoch)


def remark_on(cohort: Cohort) -> str:
    """Return one line about what was skipped or is odd; all of it stands in the details."""
    parts = []
    if cohort.skipped:
        parts.append(
            f"Skipped: {cohort.skipped[0][0].name}"
            + (f" and {len(cohort.skipped) - 1} more" if len(cohort.skipped) > 1 else "")
            + "."
        )
    twins = sum("same content" in what for _, what in cohort.warnings)
    conflicts = sum(what.startswith("Patient") for _, what in cohort.warnings)
    others = len(cohort.warnings) - twins - conflicts
    said = (
        [f"{twins} copies of other bags"] * bool(twins)
        + [f"{conflicts} patients with several labels"] * bool(conflicts)
        + [f"{others} other notes"] * bool(others)
    )
    return " ".join([*parts, *([f"Odd: {', '.join(said)}."] if said else [])])


def free_folder(folder: Path) -> Path:
    """Return a folder that holds no run: this one, or the next with a number."""
    return next(
        path
        for k in count(1)
        if not (path := folder if k == 1 else folder.with_name(f"{folder.name}-{k}")).exists()
    )


def without_recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's configuration says otherwise than its recipe."""
    recipe = recipe_of(config.get("aggregator", "gated-abmil"), config.get("strategy", "plain"))
    return {
        name: value
        for name, value in config.items()
        if not hasattr(recipe, name) or getattr(recipe, name) != value
    }


def _left(seconds: float | None) -> str:
    if seconds is None or seconds < 1:
        return ""
    return f" · {seconds:.0f} s left" if seconds < 90 else f" · {seconds / 60:.0f} min left"
