"""State of the Train tab: what was found, what is set up, what runs, what came out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.errors import OptionError
from napari_mil.events import EpochEnded, Watched
from napari_mil.gui.model.training_form import (
    ABOVE_0,
    TILING,
    Form,
    advanced_fields,
    numbers_problem,
    read_number,
)
from napari_mil.inference.card import ClassifierCard
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES, Cohort
from napari_mil.training.regions.classes import RegionClasses, parse_mapping
from napari_mil.training.watch_record import WatchRecord

TOP_SHARE = 0.1
"""Share of tiles that are compared between epochs."""
RING_MB = 64
"""Memory for the watched epochs of one run: 1 000 epochs of 10 000 tiles."""
BAG_TERM = "loss: bag"
"""Loss of the bag alone, which can be compared with the validation loss."""


class Phase(StrEnum):
    """What the buttons of the Train tab stand for."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    INTERRUPTED = "interrupted"
    DONE = "done"

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way."""
        return self in (Phase.RUNNING, Phase.PAUSED, Phase.STOPPING)


def overlap_of_top(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of the top tenth of tiles that two sets of values (N,) have in common."""
    k = max(1, round(TOP_SHARE * len(first)))
    top_of_first = np.argsort(-first, kind="stable")[:k]
    top_of_second = np.argsort(-second, kind="stable")[:k]
    return len(np.intersect1d(top_of_first, top_of_second)) / k


def overlap_of_masks(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> float | None:
    """Return the share of the masked instances that were masked before, for whatever reason.

    None where nothing is masked, or it is not known what was. Masks are bool (N,) by kind.
    """
    if not before or not after:
        return None
    was = np.any(list(before.values()), axis=0)
    masked = np.any(list(after.values()), axis=0)
    n = int(masked.sum())
    return float((was & masked).sum() / n) if n else None


@dataclass(frozen=True, eq=False)
class Watch:
    """The bag that is watched while a model learns, with its overlay of every epoch."""

    path: Path
    run: str
    """Name of the run."""
    classes: tuple[str, ...]
    layout: Layout | None = None
    part: str = ""
    """``training``, ``validation`` or ``test``, or ``not in the cohort``."""
    epochs: tuple[tuple[int, Watched], ...] = ()
    """(epoch, what the model said), oldest first; the oldest go where memory ends."""
    shown: int | None = None
    """Epoch on the slide, counted from 1."""
    follows: bool = True
    """Whether the newest epoch is shown."""

    @property
    def watched(self) -> Watched | None:
        """What the model said in the epoch that is shown."""
        return next((watched for epoch, watched in self.epochs if epoch == self.shown), None)

    @property
    def top_overlap(self) -> float | None:
        """Share of the top tiles that were top tiles in the epoch before, too.

        None where there is no epoch before the shown one.
        """
        watched = self.watched
        before = self._before
        if watched is None or before is None:
            return None
        return overlap_of_top(before.values, watched.values)

    @property
    def mask_overlap(self) -> float | None:
        """Share of the masked tiles that were masked in the epoch before, too.

        None where there is no epoch before the shown one, or nothing is masked.
        """
        watched = self.watched
        before = self._before
        if watched is None or before is None:
            return None
        return overlap_of_masks(before.masks, watched.masks)

    @property
    def _before(self) -> Watched | None:
        """What the model said in the epoch before the shown one."""
        return next((seen for epoch, seen in self.epochs if epoch + 1 == self.shown), None)

    def with_epoch(self, epoch: int, watched: Watched) -> Watch:
        """Return the watch with one more epoch."""
        size = watched.values.nbytes + sum(mask.nbytes for mask in watched.masks.values())
        most = max(2, int(RING_MB * 1e6 // max(1, size)))
        epochs = (*self.epochs, (epoch, watched))[-most:]
        shown = epoch
        if not self.follows and self.shown is not None:
            shown = max(epochs[0][0], self.shown)
        return replace(self, epochs=epochs, shown=shown)

    def at(self, epoch: int) -> Watch:
        """Return the watch showing the nearest epoch; the last one follows the training."""
        if not self.epochs:
            return self
        known = [number for number, _ in self.epochs]
        shown = min(known, key=lambda number: abs(number - epoch))
        return replace(self, shown=shown, follows=shown == known[-1])


@dataclass(frozen=True, eq=False)
class Result:
    """The classifier that a run came to."""

    card: ClassifierCard
    folder: Path
    """Folder of its bundle in the run."""
    installed: str = ""
    """Name among the user's classifiers, once it is there."""
    evaluable: bool = False
    """Whether its way of training can be cross-validated, and has not been."""


@dataclass(frozen=True, eq=False)
class Check:
    """What a look ahead found of a run, for the settings it was made with."""

    fields: Mapping[str, Any]
    """Settings, as fields of a configuration."""
    lines: tuple[str, ...] = ()
    """Sentences, those for which the run would be refused first."""
    is_refused: bool = False
    is_running: bool = False


@dataclass(frozen=True, eq=False)
class Training:
    """Everything the Train tab shows follows from this."""

    wanted: bool = False
    """Whether the tab is shown although nothing is open."""
    looking: str = ""
    """What is said while a folder is looked at."""
    cohort: Cohort | None = None
    trouble: str = ""
    """Why the cohort cannot be trained on."""
    suggested_pattern: str = ""
    """Pattern on names that splits the bags evenly into patients."""
    form: Form = field(default_factory=Form)
    start: ClassifierCard | None = None
    """Classifier that is started from."""
    out: Path | None = None
    """Folder of the run."""
    out_chosen: bool = False
    """Whether a person chose it."""
    stored: Mapping[str, Any] = field(default_factory=dict)
    """Configuration of the run in that folder, also what the form does not show."""
    phase: Phase = Phase.IDLE
    what: str = ""
    """Units that are counted: bags, slides, epochs or folds."""
    done: int = 0
    total: int = 0
    eta: float | None = None
    starting: bool = False
    """Whether nothing has been counted yet."""
    rows: tuple[Mapping[str, float | None], ...] = ()
    """Figures of the epochs."""
    epochs: int = 0
    """Epochs at most."""
    remarks: tuple[str, ...] = ()
    message: str = ""
    cautions: bool = True
    """Whether the message says that something is wrong."""
    wrong_row: str = ""
    """Row below the fold that the message is about."""
    watch_path: str = ""
    """Bag to watch; empty for none."""
    watch: Watch | None = None
    cursor: int | None = None
    """Epoch that the curves mark."""
    result: Result | None = None
    region_class: str = ""
    """Class that drawn shapes become regions of."""
    check: Check | None = None
    """The last look ahead; None before the first."""

    @property
    def of_slides(self) -> bool:
        """Whether the bags of the cohort are slides."""
        return self.cohort is not None and self.cohort.kinds == (SLIDES,)

    @property
    def is_trainable(self) -> bool:
        """Whether there is a cohort that a run could begin with."""
        return self.cohort is not None and not self.trouble

    @property
    def settled(self) -> Mapping[str, str]:
        """Rows below the fold that cannot be changed, with the reason."""
        kinds = () if self.cohort is None else self.cohort.kinds
        if kinds == (FEATURES,):
            why = "The files hold features already."
            return dict.fromkeys((*TILING, "mask"), why)
        reasons: dict[str, str] = {}
        if self.start is not None:
            reasons = dict.fromkeys(TILING, self.start_reason)
        if kinds == (IMAGES,):
            reasons["mask"] = "Whole images are the instances."
        return reasons

    @property
    def start_reason(self) -> str:
        """Why the classifier to start from settles a choice, or nothing."""
        if self.start is None:
            return ""
        return f"As in {self.start.name}, whose weights are the start."

    @property
    def encoder_reason(self) -> str:
        """Why the encoder cannot be chosen, or nothing."""
        if self.cohort is not None and self.cohort.kinds == (FEATURES,):
            return "The files hold features already."
        return self.start_reason

    @property
    def fields(self) -> dict[str, Any]:
        """What a person set, as fields of a `TrainingConfig`."""
        form = self.form
        needs_scale = self.cohort is not None and self.cohort.without_scale > 0
        fields: dict[str, Any] = {
            "aggregator": form.aggregator,
            "strategy": form.strategy,
            "encoder": None if self.encoder_reason else form.encoder or None,
            "start_from": form.start_from or None,
            "positive_class": form.positive_class or None,
            "patient_pattern": form.patient_pattern or None,
            "epochs": form.epochs,
            "learning_rate": read_number(form.learning_rate, ABOVE_0),
            "slide_mpp": read_number(form.slide_mpp, ABOVE_0) if needs_scale else None,
            "region_classes": self._region_classes or None,
        }
        filled = {name: value for name, value in fields.items() if value is not None}
        return filled | advanced_fields(form, self.settled)

    @property
    def is_annotated(self) -> bool:
        """Whether any bag has files of regions."""
        return self.cohort is not None and any(bag.annotations for bag in self.cohort.bags)

    @property
    def _region_classes(self) -> dict[str, str]:
        """What was entered of names of regions; nothing where it cannot be understood."""
        try:
            return parse_mapping(self.form.region_classes)
        except OptionError:
            return {}

    @property
    def pattern(self) -> str | None:
        """Pattern of patients that was entered, if it can be understood."""
        text = self.form.patient_pattern
        try:
            understood = re.compile(text).groups <= 1
        except re.error:
            understood = False
        return text if text and understood else None

    @property
    def problem(self) -> tuple[str, str]:
        """What is wrong with the set-up, and the row below the fold it stands in."""
        complaint, row = numbers_problem(self.form, self.settled)
        if complaint:
            return complaint, row
        written = self.form.patient_pattern
        if written and self.pattern is None:
            return f"Patients is a pattern on names with one group at most, not {written!r}.", ""
        try:
            classes = () if self.cohort is None else self.cohort.classes
            RegionClasses(classes, parse_mapping(self.form.region_classes)).check()
        except OptionError as error:
            return str(error), ""
        missing = 0 if self.cohort is None else self.cohort.without_scale
        if missing and not self.form.slide_mpp.strip():
            who = f"{missing} slides do not say their scale; enter their"
            if missing == 1:
                who = "One slide does not say its scale; enter its"
            return f"{who} µm per pixel above.", ""
        return "", ""


def loss_of(row: Mapping[str, float | None]) -> float | None:
    """Return the loss that text and curve show: of several terms, the bag's own."""
    return row[BAG_TERM] if row.get(BAG_TERM) is not None else row.get("loss")


# Actions


def want(training: Training) -> Training:
    """Show the tab although nothing is open."""
    return replace(training, wanted=True)


def say(training: Training, message: str, *, cautions: bool = True) -> Training:
    """Say a sentence."""
    return replace(training, message=message, cautions=cautions, wrong_row="")


def look_at(training: Training, text: str) -> Training:
    """Say that a folder is being looked at; empty ends it."""
    return replace(training, looking=text, wanted=True)


def set_cohort(
    training: Training, cohort: Cohort, trouble: str, suggested_pattern: str
) -> Training:
    """Take what was found in a folder; another folder is another question."""
    same = training.cohort is not None and cohort.source == training.cohort.source
    form = training.form
    if not same:
        form = Form(aggregator=form.aggregator, strategy=form.strategy)
    if form.positive_class not in cohort.classes:
        form = replace(form, positive_class="")
    return Training(
        wanted=True,
        cohort=cohort,
        trouble=trouble,
        suggested_pattern=suggested_pattern,
        form=form,
        start=training.start if form.start_from else None,
        message=trouble,
        region_class=cohort.classes[-1] if cohort.classes else "",
    )


def begin_check(training: Training) -> Training:
    """Say that the run is being looked ahead."""
    return replace(training, check=Check(training.fields, is_running=True))


def set_check(training: Training, check: Check | None) -> Training:
    """Take what a look ahead found; None forgets it."""
    return replace(training, check=check)


def forget_cohort(training: Training, message: str = "") -> Training:
    """Begin again with nothing chosen."""
    return Training(wanted=True, form=training.form, message=message)


def set_form(training: Training, form: Form) -> Training:
    """Take what a person entered; a complaint goes with its cause."""
    changed = replace(training, form=form)
    if not training.message or not training.cautions or training.trouble:
        return changed
    complaint, row = changed.problem
    return replace(changed, message=complaint, wrong_row=row)


def set_start(training: Training, name: str, card: ClassifierCard | None) -> Training:
    """Start from a classifier, whose method settles the form; None starts fresh."""
    form = replace(training.form, start_from=name if card is not None else "")
    if card is not None:
        form = form.with_method(aggregator=card.aggregator.name)
    return replace(training, form=form, start=card)


def complain(training: Training) -> Training:
    """Say what is wrong with the set-up, where it can be seen."""
    message, row = training.problem
    return replace(training, message=message, wrong_row=row, cautions=True)


def set_out(
    training: Training,
    out: Path,
    *,
    chosen: bool,
    unfinished: bool,
    stored: Mapping[str, Any] | None = None,
) -> Training:
    """Choose the folder of the run; what it holds already decides what can be done."""
    return replace(
        training,
        out=out,
        out_chosen=chosen,
        stored=stored or {},
        phase=Phase.INTERRUPTED if unfinished else Phase.IDLE,
    )


def start(
    training: Training,
    out: Path,
    watch: Watch | None,
    *,
    judges: bool,
    fields: Mapping[str, Any] | None = None,
) -> Training:
    """Begin a run in a folder, with a configuration or the stored one.

    `judges` only evaluates a finished run.
    """
    return replace(
        training,
        out=out,
        stored=training.stored if fields is None else fields,
        phase=Phase.RUNNING,
        starting=True,
        what="",
        done=0,
        total=0,
        eta=None,
        rows=training.rows if judges else (),
        epochs=training.epochs if judges else 0,
        remarks=(),
        message="",
        watch=watch,
        cursor=None,
        result=training.result if judges else None,
    )


def set_phase(training: Training, phase: Phase) -> Training:
    """Change what the buttons stand for."""
    return replace(training, phase=phase)


def count(
    training: Training, what: str, done: int, total: int, eta: float | None = None
) -> Training:
    """Say how far the run is."""
    epochs = total if what == "epochs" else training.epochs
    return replace(
        training,
        what=what,
        done=done,
        total=total,
        eta=eta,
        epochs=epochs,
        starting=False,
    )


def add_remark(training: Training, remark: str) -> Training:
    """Add a sentence that the run said."""
    return replace(training, remarks=(*training.remarks, remark))


def set_watch_layout(training: Training, layout: Layout | None, part: str) -> Training:
    """Lay out the instances of the watched bag."""
    if training.watch is None:
        return training
    return replace(training, watch=replace(training.watch, layout=layout, part=part))


def add_epoch(training: Training, event: EpochEnded) -> Training:
    """Keep the figures of an epoch, and the overlay of the watched bag."""
    watch = training.watch
    if watch is not None and event.watched is not None:
        watch = watch.with_epoch(event.epoch, event.watched)
    rows = (*training.rows, dict(event.figures))
    seconds = [float(row.get("seconds") or 0.0) for row in rows[-10:]]
    left = sum(seconds) / len(seconds) * (training.epochs - event.epoch)
    return replace(
        training,
        rows=rows,
        watch=watch,
        cursor=training.cursor if watch is None else watch.shown,
        what="epochs",
        done=event.epoch,
        total=training.epochs,
        eta=left,
        starting=False,
    )


def choose_watched(training: Training, path: str) -> Training:
    """Choose the bag to watch; empty for none."""
    return replace(training, watch_path=path)


def choose_region_class(training: Training, name: str) -> Training:
    """Choose the class that drawn shapes become regions of."""
    return replace(training, region_class=name)


def show_epoch(training: Training, epoch: int) -> Training:
    """Show an epoch on the watched slide and in the curves."""
    watch = None if training.watch is None else training.watch.at(epoch)
    shown = None if watch is None else watch.shown
    return replace(training, watch=watch, cursor=shown or epoch)


def set_result(training: Training, result: Result) -> Training:
    """Show the classifier that a run came to."""
    return replace(training, result=result)


def end(training: Training, phase: Phase, message: str = "", *, cautions: bool = False) -> Training:
    """End a run."""
    return replace(training, phase=phase, message=message, cautions=cautions, starting=False)


def open_run(
    training: Training,
    rows: tuple[Mapping[str, float | None], ...],
    result: Result | None,
) -> Training:
    """Show the curves and the classifier of an earlier run."""
    phase = training.phase if result is None else Phase.DONE
    return replace(training, rows=rows, epochs=len(rows), result=result, phase=phase)


def set_record(training: Training, out: Path, record: WatchRecord) -> Training:
    """Watch what an opened run kept of a slide, if that run is still what is shown."""
    if training.out != out or training.phase.is_busy or training.cohort is None:
        return training
    classes = training.cohort.classes
    positive = training.form.positive_class
    if positive:
        classes = training.cohort.with_positive(positive).classes
    watch = Watch(record.path, out.name, classes, record.layout, record.part)
    for epoch, watched in record.epochs:
        watch = watch.with_epoch(epoch, watched)
    return replace(training, watch=watch, watch_path=str(record.path), cursor=watch.shown)


def set_up_again(training: Training) -> Training:
    """Go back to the form after a run."""
    return replace(training, phase=Phase.IDLE, result=None, message="")
