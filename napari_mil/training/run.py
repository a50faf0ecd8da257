"""One training run, from a cohort to a classifier bundle, safe on disk after every epoch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.encoders import BackboneEncoder
from napari_mil.errors import OptionError, OutputError, TrainingError
from napari_mil.events import (
    CancellationToken,
    EpochEnded,
    Fallback,
    Finished,
    OnEvent,
    Started,
    Watching,
    ignore,
)
from napari_mil.inference.classifier import Classifier, load_classifier
from napari_mil.inference.devices import choose_device
from napari_mil.settings import Settings
from napari_mil.training.bundle import make_classifier, notes
from napari_mil.training.cohort import IMAGES, SLIDES, Cohort, CohortBag
from napari_mil.training.config import TrainingConfig
from napari_mil.training.fitting import Fitting, Row, Split, deterministic
from napari_mil.training.layout import COHORT, CONFIG
from napari_mil.training.network import Plan, build, frozen_backbone, make_plan, scaling_of
from napari_mil.training.patients import own_name
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.splits import split_of, why_none
from napari_mil.training.store import BagStore

SHARED_FROM = 2_000_000
"""Values of the largest bag (4 000 instances of 512) from which more cores than one pay: below, they wait for each other."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to."""

    folder: Path
    classifier: Path
    """The bundle."""
    history: tuple[Row, ...]
    """A row an epoch; empty where the run had finished before."""
    epoch: int
    """The epoch that was kept, counted from 1."""
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
        What `scan_annotated_folder` found.
    config
        How to train; what it leaves open comes from the method's published recipe.
    out
        Folder of the run: ``config.json``, ``history.csv``, ``checkpoint.pt`` while it runs, ``classifier/`` when it is done.
    on_event
        Told of progress: bags while they are encoded, then `EpochEnded` after each epoch is safe on disk.
    cancel
        Asked once per bag; cancelling keeps the last epoch's checkpoint.
    resume
        Go on with the run that is in `out`; start where there is none; do nothing where it has finished.
    watch
        A bag to look at after every epoch: `Watching` tells its tiles, `EpochEnded.watched` what the model says of them.
    settings
        Folders and thread counts.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TrainingError
        If the cohort has one class only, changed since the run began, or the loss is no number; or another run is at work in the folder.
    OptionError
        If the configuration contradicts itself or the cohort.
    OutputError
        If the folder cannot be written; the last checkpoint is whole.
    """
    settings, on_event, cancel = (
        settings or Settings(),
        on_event or ignore,
        cancel or CancellationToken(),
    )
    folder = RunFolder(Path(out))
    cohort.check()
    asked = set(config.model_fields_set)
    with folder.held():
        if resume and folder.finished:
            return TrainingResult(folder.path, folder.classifier, (), 0, already_done=True)
        start = None if config.start_from is None else load_classifier(config.start_from, settings)
        config = folder.begin(complete(config, cohort, settings, start), asked, resume)
        if start is None and config.start_from is not None:
            start = load_classifier(config.start_from, settings)
        cohort = cohort.with_patients(config.patient_pattern)
        if config.positive_class is not None:
            cohort = cohort.with_positive(config.positive_class)
        device = choose_device(config.device, on_event)
        with deterministic(config, device):
            return _Run(
                folder,
                config,
                settings,
                on_event,
                cancel,
                device,
                start,
                None if watch is None else Path(watch),
            ).train(cohort)


def complete(
    config: TrainingConfig, cohort: Cohort, settings: Settings, start: Classifier | None
) -> TrainingConfig:
    """Fill in what the recipe, the start and the machine decide, so that the run's file says all of it."""
    if start is not None and "aggregator" not in config.model_fields_set:
        config = config.changed(aggregator=start.card.aggregator.name)
    config = config.with_recipe()
    given: dict[str, Any] = {
        "cohort": str(cohort.source or cohort.root),
        "threads": config.threads or settings.encoder_threads,
    }
    if config.start_from is not None and Path(config.start_from).is_dir():
        given["start_from"] = str(Path(config.start_from).absolute())
    return config.model_copy(update=given)


def threads_for(store: BagStore, config: TrainingConfig) -> int:
    """Return how many cores a step of training uses: one where its products are too small to share, decided by sizes alone."""
    small = not store.instances.trained and max(store.sizes) * store.dim < SHARED_FROM
    return 1 if small else config.threads or 1


@dataclass
class _Run:
    folder: RunFolder
    config: TrainingConfig
    settings: Settings
    on_event: OnEvent
    cancel: CancellationToken
    device: torch.device
    start: Classifier | None
    watch: Path | None

    def train(self, cohort: Cohort) -> TrainingResult:
        """Encode, fit epoch by epoch, write the bundle."""
        store = BagStore(cohort, self.config, self.settings, self.on_event, self.cancel, self.start)
        split = split_of(store.cohort, self.config)
        self._same_cohort(store, split.validation)
        for sentence in self._remarks(store, split):
            self.on_event(Fallback(sentence))
        torch.manual_seed(self.config.seed)
        plan = make_plan(self.config, store, self.start, self.on_event)
        if (
            plan.embedding != "features" and self.config.backbone == "auto"
        ):  # what memory decided once holds for the whole run
            self.config = self.config.model_copy(
                update={"backbone": plan.embedding, "chunk": plan.chunk}
            )
            self.folder.write(CONFIG, self.config.as_json())
        backbone = None
        if plan.embedding == "frozen":
            backbone = frozen_backbone(plan, store, self.start)
            store = store.encoded_by(
                BackboneEncoder(
                    str(store.instances.encoder),
                    backbone,
                    int(store.instances.tile_px or 0),
                    device=self.device,
                )
            )
        torch.set_num_threads(threads_for(store, self.config))
        network = build(self.config, plan, store, self.start, self.on_event)
        fitting = Fitting(
            network, store, split, self.config, self.device, scaling_of(self.start, plan)
        )
        if (state := self.folder.load()) is not None:
            try:
                fitting.load(state["fitting"])
            except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
                name = self.folder.path.name
                raise TrainingError(
                    f"The checkpoint of {name} does not fit its configuration ({type(error).__name__}); choose another folder."
                ) from error
            self.folder.write_history(fitting.history)
        watched = self._watched(store, split)
        self.on_event(Started(fitting.epochs, "epochs"))
        for row in fitting.history:
            self.on_event(EpochEnded(int(row["epoch"] or 0), row))
        while not fitting.finished:
            self.cancel.raise_if_cancelled()
            row = fitting.advance(self.cancel)
            self.folder.save({"fitting": fitting.state()})
            self.on_event(
                EpochEnded(fitting.epoch, row, None if watched is None else fitting.watch(watched))
            )
        result = self._finish(plan, fitting, backbone)
        self.on_event(Finished(result))
        return result

    def _finish(
        self, plan: Plan, fitting: Fitting, backbone: torch.nn.Module | None
    ) -> TrainingResult:
        epoch = fitting.use_best()
        name = self.folder.path.name
        classifier = make_classifier(name, self.config, plan, fitting, epoch, self.start, backbone)
        try:
            classifier.save(self.folder.classifier, notes(classifier.card))
        except OutputError as error:
            raise OutputError(f"{error} Then resume: the last checkpoint is whole.") from error
        self.folder.forget_checkpoint()
        return TrainingResult(
            self.folder.path, self.folder.classifier, tuple(fitting.history), epoch
        )

    def _same_cohort(self, store: BagStore, validation: tuple[int, ...]) -> None:
        """Write which bags the run began with, or compare.

        Raises
        ------
        TrainingError
            If bags came, went or changed since.
        """
        bags = [
            [bag.content, list(bag.labels), b in validation, bag.regions]
            for b, bag in enumerate(store.cohort.bags)
        ]
        now = {
            "classes": list(store.cohort.classes),
            "bags": bags,
            "start": None if self.start is None else self.start.fingerprint,
        }
        path = self.folder.path / COHORT
        if not self.folder.started:
            self.folder.write(COHORT, json.dumps(now) + "\n")
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"{COHORT} of {self.folder.path.name} cannot be read ({error}); choose another folder."
            ) from error
        if before.get("start") != now["start"]:
            raise TrainingError(
                f"The run in {self.folder.path.name} was started from another classifier; give that one, or choose another folder."
            )
        if before != now:
            earlier, there = {bag[0] for bag in before["bags"]}, {bag[0] for bag in bags}
            what = (
                f"{len(earlier - there)} are gone, {len(there - earlier)} are new"
                if earlier != there
                else "their labels or regions"
            )
            raise TrainingError(
                f"The bags changed since the run in {self.folder.path.name} began ({what}); put them back, or choose another folder."
            )

    def _remarks(self, store: BagStore, split: Split) -> list[str]:
        """Say what a reader of the figures should know."""
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
        singles = sum(size == 1 for size in store.sizes)
        if singles:
            remarks.append(
                f"{singles} of {len(store.sizes)} bags have a single instance: "
                "there is nothing to attend to in them."
            )
        if self.start is not None:
            remarks += _trained_before(self.start, store.cohort)
        return remarks

    def _watched(self, store: BagStore, split: Split) -> np.ndarray | None:
        if self.watch is None:
            return None
        b = store.position(self.watch)
        if b is not None:
            where = (
                "validation" if b in split.validation else "test" if b in split.test else "training"
            )
            self.on_event(Watching(store.grid_of(b), where))
            return store.read(b)
        kind = IMAGES if self.watch.is_dir() else SLIDES
        if kind != store.kind:
            raise OptionError(
                f"{self.watch.name} cannot be watched: the cohort is made of {store.kind}."
            )
        source = store.source_of(CohortBag(self.watch, "", own_name(self.watch), None, kind))
        self.on_event(Watching(source.grid, "not in the cohort"))
        return source.read()


def _trained_before(start: Classifier, cohort: Cohort) -> list[str]:
    """Say how many bags the classifier to start from was trained on already."""
    seen = set(start.card.training.bag_fingerprints)
    again = sum(bag.content in seen for bag in cohort.bags)
    if not again:
        return []
    return [
        f"{again} of {len(cohort)} bags are those that {start.card.name} was trained on: "
        "figures on them say little about new ones."
    ]
