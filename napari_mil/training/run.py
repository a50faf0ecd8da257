"""One training run, from a cohort to a classifier bundle.

Its state is safe on disk after every epoch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.encoders.catalogue import find_encoder_card, list_encoders
from napari_mil.errors import OptionError, OutputError, TrainingError
from napari_mil.events import (
    CancellationToken,
    EpochEnded,
    Fallback,
    Finished,
    OnEvent,
    StageStarted,
    Started,
    Watching,
    ignore,
)
from napari_mil.inference.classifier import Classifier, load_classifier
from napari_mil.inference.devices import choose_device
from napari_mil.inference.seen_before import bags_seen_before
from napari_mil.settings import Settings
from napari_mil.slides.folders import is_slide_folder
from napari_mil.training.bundle import make_classifier, notes
from napari_mil.training.cohorts.cohort import IMAGES, SLIDES, Cohort, CohortBag
from napari_mil.training.cohorts.patients import own_name
from napari_mil.training.collapse import find_collapse
from napari_mil.training.config import TrainingConfig
from napari_mil.training.determinism import deterministic
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.evaluation.splits import split_of, why_none
from napari_mil.training.fitting import Fitting, Row
from napari_mil.training.layout import COHORT, CONFIG, kept_in, refuse_among_bags
from napari_mil.training.network import Plan, encode_by_frozen_backbone, make_plan
from napari_mil.training.regions.targets import taught_words
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.stages import Course
from napari_mil.training.store import BagStore
from napari_mil.training.watch_record import WatchRecorder

SHARED_FROM = 2_000_000
"""Values of the largest bag from which several cores are faster.

As in 4 000 instances of 512 features. Below, threads wait for each other longer than they work.
"""


@dataclass(frozen=True)
class TrainingResult:
    """Files and history of a finished run."""

    folder: Path
    classifier: Path
    """Folder of the bundle."""
    history: tuple[Row, ...]
    """One row per epoch; empty where the run had finished before."""
    epoch: int
    """Number of the kept epoch, counted from 1."""
    already_done: bool = False


def train(
    cohort: Cohort,
    config: TrainingConfig,
    *,
    out: str | os.PathLike[str],
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    resume: bool = False,
    watch: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
) -> TrainingResult:
    """Train a classifier.

    Parameters
    ----------
    cohort
        Cohort that `scan_annotated_folder` returned.
    config
        How to train; open fields come from the method's published recipe.
    out
        Folder of the run: ``config.json``, ``history.csv``, ``checkpoint.pt`` while it runs,
        ``classifier/`` when it is done.
    on_event
        Called with the progress: bags while they are encoded, then `EpochEnded` after each epoch
        is safe on disk.
    cancel
        Token that is looked at once per bag; cancelling keeps the last epoch's checkpoint.
    resume
        Go on with the run in `out`; start where there is none; do nothing where it has finished.
    watch
        A bag to classify after every epoch: `Watching` tells its tiles, `EpochEnded.watched` what
        the model says of them.
    settings
        Folders and thread counts.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TrainingError
        If the cohort has one class only, changed since the run began, or the loss is no number; or
        another run is at work in the folder.
    OptionError
        If the configuration contradicts itself or the cohort.
    OutputError
        If the folder cannot be written; a checkpoint that is there is whole.
    """
    settings = settings or Settings()
    on_event = on_event or ignore
    folder = RunFolder(Path(out))
    cohort.check()
    refuse_among_bags(folder.path, cohort)
    asked = set(config.model_fields_set)
    with folder.locked():
        if resume and folder.finished:
            return TrainingResult(folder.path, folder.classifier, (), 0, already_done=True)
        start = None if config.start_from is None else load_classifier(config.start_from, settings)
        config = folder.begin(fill_in_config(config, cohort, settings, start), asked, resume)
        # A run that is resumed may have been started from a classifier.
        if start is None and config.start_from is not None:
            start = load_classifier(config.start_from, settings)
        cohort = cohort.with_patients(config.patient_pattern)
        if config.positive_class is not None:
            cohort = cohort.with_positive(config.positive_class)
        run = _Run(
            folder=folder,
            config=config,
            settings=settings,
            on_event=on_event,
            cancel=cancel or CancellationToken(),
            device=choose_device(config.device, on_event),
            start=start,
            watch=None if watch is None else Path(watch),
        )
        with deterministic(config, run.device):
            return run.train(cohort)


def fill_in_config(
    config: TrainingConfig, cohort: Cohort, settings: Settings, start: Classifier | None
) -> TrainingConfig:
    """Fill in open fields from the recipe, the start and the machine.

    The file of the run then says all of it.
    """
    if start is not None and "aggregator" not in config.model_fields_set:
        config = config.changed(aggregator=start.card.aggregator.name)
    config = config.with_recipe()
    fields: dict[str, Any] = {
        "cohort": str(cohort.source or cohort.root),
        "threads": config.threads or settings.encoder_threads,
    }
    if config.start_from is not None and Path(config.start_from).is_dir():
        fields["start_from"] = str(Path(config.start_from).absolute())
    if config.encoder is not None and not config.trains_encoder:
        folder = find_encoder_card(config.encoder).folder
        if folder is not None and config.encoder not in list_encoders():
            fields["encoder"] = str(folder)
    return config.model_copy(update=fields)


def threads_for(store: BagStore, config: TrainingConfig) -> int:
    """Return the number of threads for a step of training.

    One where the matrices are too small to share, decided by sizes alone.
    """
    is_small = not store.instances.trained and max(store.sizes) * store.dim < SHARED_FROM
    return 1 if is_small else config.threads or 1


@dataclass
class _Run:
    """One run in its folder."""

    folder: RunFolder
    config: TrainingConfig
    settings: Settings
    on_event: OnEvent
    cancel: CancellationToken
    device: torch.device
    start: Classifier | None
    watch: Path | None
    recorder: WatchRecorder | None = None

    def train(self, cohort: Cohort) -> TrainingResult:
        """Encode the bags, train epoch by epoch, write the bundle."""
        store = BagStore(cohort, self.config, self.settings, self.on_event, self.cancel, self.start)
        split = split_of(store.cohort, self.config)
        self._check_same_cohort(store, split.validation)
        cautions = self._cautions(store)
        for remark in [*self._remarks(store, split), *cautions]:
            self.on_event(Fallback(remark))
        torch.manual_seed(self.config.seed)
        plan = self._make_plan(store)
        backbone = None
        if plan.embedding == "frozen":
            store, backbone = encode_by_frozen_backbone(plan, store, self.start, self.device)
        torch.set_num_threads(threads_for(store, self.config))
        course = Course(store, split, self.config, plan, self.start, self.device, self.on_event)
        fitting = self._train_stages(course)
        result = self._write_classifier(plan, fitting, backbone, cautions)
        self.on_event(Finished(result))
        return result

    def _make_plan(self, store: BagStore) -> Plan:
        """Decide what is built; write down what memory decided.

        That decision then holds for the whole run, also where it is resumed with other memory.
        """
        plan = make_plan(self.config, store, self.start, self.on_event)
        if plan.embedding != "features" and self.config.backbone == "auto":
            decided = {"backbone": plan.embedding, "chunk": plan.chunk}
            self.config = self.config.model_copy(update=decided)
            self.folder.write(CONFIG, self.config.as_json())
        return plan

    def _train_stages(self, course: Course) -> Fitting:
        """Train every stage, from the last checkpoint on; return the last one."""
        state = self.folder.load()
        number = 0 if state is None else self._stage_of(state, course)
        fitting = course.fitting(number)
        if state is not None:
            self._load_checkpoint(fitting, state)
        watched = self._read_watched_bag(course.store, course.split)
        self._train_epochs(course, fitting, number, watched)
        for following in range(number + 1, len(course.names)):
            fitting = course.fitting(following, fitting)
            self._train_epochs(course, fitting, following, watched)
        return fitting

    def _stage_of(self, state: Mapping[str, Any], course: Course) -> int:
        """Return the number of the stage that a checkpoint is of, counted from 0."""
        number = state.get("stage", 0)
        return number if number in range(len(course.names)) else 0

    def _load_checkpoint(self, fitting: Fitting, state: Mapping[str, Any]) -> None:
        """Go on from the last checkpoint."""
        try:
            fitting.load(state["fitting"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise TrainingError(
                f"The checkpoint of {self.folder.path.name} does not fit its configuration "
                f"({type(error).__name__}); choose another folder."
            ) from error
        self.folder.write_history(fitting.history)

    def _train_epochs(
        self, course: Course, fitting: Fitting, number: int, watched: np.ndarray | None
    ) -> None:
        """Train until a stage has finished, with a checkpoint after each epoch."""
        later = (course.config_of(k).epochs or 0 for k in range(number + 1, len(course.names)))
        before = fitting.epochs_before
        self.on_event(Started(before + fitting.epochs + sum(later), "epochs"))
        if fitting.stage.number:
            self.on_event(
                StageStarted(
                    fitting.stage.name, fitting.stage.number, len(course.names), fitting.epochs
                )
            )
        # Those of a stage before were told as they ended, unless the run is resumed.
        for row in fitting.history[len(fitting.stage.earlier) :]:
            self.on_event(EpochEnded(int(row["epoch"] or 0), row))
        while not fitting.finished:
            self.cancel.raise_if_cancelled()
            row = fitting.advance(self.cancel)
            self.folder.save({"stage": number, "fitting": fitting.state()})
            seen = None if watched is None else fitting.watch(watched)
            if seen is not None and self.recorder is not None:
                self.recorder.keep(before + fitting.epoch, seen)
            self.on_event(EpochEnded(before + fitting.epoch, row, seen))

    def _write_classifier(
        self,
        plan: Plan,
        fitting: Fitting,
        backbone: torch.nn.Module | None,
        cautions: Sequence[str],
    ) -> TrainingResult:
        epoch = fitting.use_best()
        collapse = find_collapse(fitting)
        if collapse is not None:
            self.on_event(Fallback(collapse.text))
            cautions = [*cautions, collapse.text]
        name = self.folder.path.name
        classifier = make_classifier(
            name, self.config, plan, fitting, epoch, self.start, backbone, cautions
        )
        try:
            classifier.save(self.folder.classifier, notes(classifier.card))
        except OutputError as error:
            raise OutputError(f"{error} Then resume: {kept_in(self.folder.path)}.") from error
        self.folder.remove_checkpoint()
        return TrainingResult(
            self.folder.path, self.folder.classifier, tuple(fitting.history), epoch
        )

    def _check_same_cohort(self, store: BagStore, validation: tuple[int, ...]) -> None:
        """Write which bags the run began with, or compare with them.

        Raises
        ------
        TrainingError
            If bags came, went or changed since the run began.
        """
        name = self.folder.path.name
        bags = [
            [bag.content, list(bag.labels), b in validation, bag.regions]
            for b, bag in enumerate(store.cohort.bags)
        ]
        now = {
            "classes": list(store.cohort.classes),
            "bags": bags,
            "start": None if self.start is None else self.start.fingerprint,
        }
        if store.instances.adapted_from:
            # The folder of an adapted encoder may have been filled anew.
            now["encoder"] = store.instances.fingerprint
        if not self.folder.started:
            self.folder.write(COHORT, json.dumps(now) + "\n")
            return
        try:
            before = json.loads((self.folder.path / COHORT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"{COHORT} of {name} cannot be read ({error}); choose another folder."
            ) from error
        if before.get("start") != now["start"]:
            raise TrainingError(
                f"The run in {name} was started from another classifier; "
                "give that one, or choose another folder."
            )
        if before.get("encoder") != now.get("encoder"):
            raise TrainingError(
                f"The encoder was adapted anew since the run in {name} began; "
                "put the earlier one back, or choose another folder."
            )
        if before != now:
            contents_before = {bag[0] for bag in before["bags"]}
            contents_now = {bag[0] for bag in bags}
            change = "their labels or regions"
            if contents_before != contents_now:
                n_gone = len(contents_before - contents_now)
                n_new = len(contents_now - contents_before)
                change = f"{n_gone} are gone, {n_new} are new"
            raise TrainingError(
                f"The bags changed since the run in {name} began ({change}); "
                "put them back, or choose another folder."
            )

    def _remarks(self, store: BagStore, split: Split) -> list[str]:
        """Return sentences that a reader of the figures should know."""
        remarks = []
        counts = [count for count in store.cohort.counts.values() if count]
        if not store.cohort.patients_known:
            remarks.append(
                "Patients are unknown: each bag counts as one. Name them in a column 'patient', "
                "or by a pattern on the names."
            )
        if not split.validation:
            remarks.append(
                f"No bags are put aside ({why_none(split, self.config)}): "
                "nothing is chosen, and the last epoch is kept."
            )
        if max(counts) >= 3 * min(counts) and self.config.class_balance == "none":
            remarks.append(
                f"The classes are uneven ({min(counts)} to {max(counts)} bags); "
                "class balance 'weights' lets them count alike."
            )
        return [*remarks, *taught_words(store.count_taught_tiles())]

    def _cautions(self, store: BagStore) -> list[str]:
        """Return sentences that the classifier's card keeps."""
        cautions = []
        n_single = sum(size == 1 for size in store.sizes)
        if n_single:
            cautions.append(
                f"{n_single} of {len(store.sizes)} bags have a single instance: "
                "there is nothing to attend to in them."
            )
        if self.start is not None:
            contents = [bag.content for bag in store.cohort.bags]
            cautions += filter(None, [bags_seen_before(self.start.card, contents).remark])
        return cautions

    def _read_watched_bag(self, store: BagStore, split: Split) -> np.ndarray | None:
        """Return the instances of the bag to watch; emit `Watching`."""
        if self.watch is None:
            return None
        b = store.position(self.watch)
        if b is not None:
            self._tell_watching(Watching(store.grid_of(b), _part_of(split, b)))
            return store.read(b)
        is_images = self.watch.is_dir() and not is_slide_folder(self.watch)
        kind = IMAGES if is_images else SLIDES
        if kind != store.kind:
            raise OptionError(
                f"{self.watch.name} cannot be watched: the cohort is made of {store.kind}."
            )
        source = store.source_of(CohortBag(self.watch, "", own_name(self.watch), None, kind))
        self._tell_watching(Watching(source.grid, "not in the cohort"))
        return source.read()

    def _tell_watching(self, watching: Watching) -> None:
        """Tell the tiles of the watched bag; what is said of those of a slide is kept."""
        self.on_event(watching)
        if watching.grid is not None:
            assert self.watch is not None
            self.recorder = WatchRecorder(
                self.folder.path, self.watch.absolute(), watching, self.on_event
            )


def _part_of(split: Split, b: int) -> str:
    """Return the part of a split that a bag belongs to."""
    if b in split.validation:
        return "validation"
    return "test" if b in split.test else "training"
