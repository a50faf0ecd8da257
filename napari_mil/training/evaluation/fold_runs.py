"""Training of the folds of a cross-validation.

Small heads are trained in one vectorised pass, everything else in parallel processes.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree

import numpy as np
import torch

from napari_mil.errors import CancelledError, NapariMilError, OutputError, TrainingError
from napari_mil.events import CancellationToken
from napari_mil.files import PART, whole_or_nothing
from napari_mil.inference.card import CARD_FILE
from napari_mil.inference.classifier import Classifier
from napari_mil.training.bundle import make_classifier, notes
from napari_mil.training.config import MACHINE_FIELDS, TrainingConfig
from napari_mil.training.evaluation.folds import FoldResult, FoldTask
from napari_mil.training.fitting import Fitting
from napari_mil.training.memory import memory_budget
from napari_mil.training.network import Plan, encode_by_frozen_backbone
from napari_mil.training.stages import Course
from napari_mil.training.store import BagStore
from napari_mil.training.vectorised import HEADS_AT_ONCE, can_fit_together, fit_together

POLL_S = 0.2
OnProgress = Callable[[float], None]
"""Function called with the number of finished folds.

A part of a fold is a fraction.
"""


@dataclass(frozen=True)
class FoldTraining:
    """What the training of every fold shares."""

    store: BagStore
    config: TrainingConfig
    plan: Plan
    start: Classifier | None
    device: torch.device
    models: Path | None = None
    """Folder for the bundle of each fold; None keeps none."""

    def fit(self, task: FoldTask, cancel: CancellationToken) -> FoldResult:
        """Train the classifier of one fold."""
        return fit_fold(
            self.store,
            self.config,
            self.plan,
            self.start,
            self.device,
            task,
            cancel,
            self.model_of(task),
        )

    def model_of(self, task: FoldTask) -> Path | None:
        """Return the folder of the bundle of a fold, or None where none is kept."""
        return None if self.models is None else self.models / _name_of(task)


class FoldRunner:
    """Trains folds and keeps the results of finished ones on disk.

    Parameters
    ----------
    training
        What the folds share.
    folder
        Folder for results of single folds; None keeps none.
    resume
        Whether to use the results that are there.
    workers
        Most processes.

    Attributes
    ----------
    remarks
        What a reader of the figures should know.
    """

    def __init__(
        self, training: FoldTraining, folder: Path | None, resume: bool, workers: int
    ) -> None:
        self._training = training
        self._folder = folder
        self._workers = workers
        self._shared_facts = _shared_facts(training)
        self.remarks: list[str] = []
        if not resume:
            self.remove_results()
            self._remove_models()

    def run(
        self, tasks: list[FoldTask], cancel: CancellationToken, on_done: OnProgress
    ) -> list[FoldResult]:
        """Train the folds without a result; return all results.

        They are in the order of the tasks.
        """
        results: dict[int, FoldResult] = {}
        for k, task in enumerate(tasks):
            earlier = self._load_result(task)
            if earlier is not None:
                results[k] = earlier
        if results:
            on_done(len(results))
        missing = [k for k in range(len(tasks)) if k not in results]
        training = self._training
        # Heads of a stack have no bundles of their own.
        together = training.models is None and can_fit_together(
            training.store, training.config, training.plan, training.device
        )
        if missing and together:
            self.remarks.append(
                f"{len(missing)} folds were trained together in one vectorised pass."
            )
            self._fit_together(tasks, missing, results, cancel, on_done)
        elif missing and self._is_serial(len(missing)):
            for k in missing:
                results[k] = self._save_result(tasks[k], training.fit(tasks[k], cancel))
                on_done(1)
        elif missing:
            self._fit_in_processes(tasks, missing, results, cancel, on_done)
        return [results[k] for k in range(len(tasks))]

    def remove_results(self) -> None:
        """Remove the results of single folds; other files in the folder stay."""
        if self._folder is None or not self._folder.is_dir():
            return
        results = self._folder.glob("repeat-*-fold-*.npz")
        partial = self._folder.glob(f".repeat-*{PART}")
        for path in (*results, *partial):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            self._folder.rmdir()

    def _remove_models(self) -> None:
        """Remove the bundles of an earlier evaluation where new ones are wanted."""
        models = self._training.models
        for folder in () if models is None else models.glob("repeat-*-fold-*"):
            rmtree(folder, ignore_errors=True)

    def _is_serial(self, n_missing: int) -> bool:
        return self._workers == 1 or n_missing == 1 or self._training.device.type == "cuda"

    def _fit_together(
        self,
        tasks: list[FoldTask],
        missing: list[int],
        results: dict[int, FoldResult],
        cancel: CancellationToken,
        on_done: OnProgress,
    ) -> None:
        training = self._training
        for first in range(0, len(missing), HEADS_AT_ONCE):
            batch = missing[first : first + HEADS_AT_ONCE]
            fitted = fit_together(
                training.store,
                training.config,
                training.plan,
                training.start,
                [tasks[k] for k in batch],
                cancel,
                on_done,
            )
            for k, result in zip(batch, fitted, strict=True):
                results[k] = self._save_result(tasks[k], result)

    def _fit_in_processes(
        self,
        tasks: list[FoldTask],
        missing: list[int],
        results: dict[int, FoldResult],
        cancel: CancellationToken,
        on_done: OnProgress,
    ) -> None:
        pool = ProcessPoolExecutor(
            self._affordable_workers(len(missing)),
            mp_context=get_context("spawn"),
            initializer=_prepare_worker,
            initargs=(os.getpid(), self._training),
        )
        try:
            waiting: dict[Future[FoldResult], int] = {
                pool.submit(_fit_in_worker, tasks[k]): k for k in missing
            }
            while waiting:
                done, _ = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    k = waiting.pop(future)
                    results[k] = self._save_result(tasks[k], future.result())
                    on_done(1)
                cancel.raise_if_cancelled()
        except BrokenProcessPool as error:
            raise TrainingError(
                "A fold's process ended unexpectedly, perhaps for want of memory; "
                "resume with fewer processes."
            ) from error
        except (CancelledError, NapariMilError):
            # A fold may take an hour, so that its end is not waited for.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _affordable_workers(self, n_missing: int) -> int:
        """Return the number of processes that memory allows."""
        store = self._training.store
        # A process holds its bags twice: as read, and scaled.
        bags = 2 * (store.bytes if store.in_memory else store.largest_bytes)
        needed = max(1, bags + self._training.plan.activation_bytes)
        affordable = int(memory_budget(self._training.config) // needed)
        return min(self._workers, n_missing, max(1, affordable))

    def _path(self, task: FoldTask) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{_name_of(task)}.npz"

    def _load_result(self, task: FoldTask) -> FoldResult | None:
        """Return the result of a fold on disk, or None.

        One of other settings or bags is not used, and one that was cut short is trained again.
        """
        path = self._path(task)
        model = self._training.model_of(task)
        lacks_model = model is not None and not (model / CARD_FILE).is_file()
        if path is None or not path.is_file() or lacks_model:
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                if archive["key"].item() != self._key(task):
                    return None
                return FoldResult(
                    archive["test"],
                    archive["validation"],
                    int(archive["epoch"]),
                    float(archive["tile_auc"]),
                )
        except (OSError, ValueError, KeyError):
            return None

    def _save_result(self, task: FoldTask, result: FoldResult) -> FoldResult:
        path = self._path(task)
        if path is None:
            return result
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_nothing(path) as part, part.open("wb") as file:
                np.savez(
                    file,
                    test=result.test,
                    validation=result.validation,
                    epoch=np.array(result.epoch),
                    tile_auc=np.array(result.tile_auc),
                    key=np.array(self._key(task)),
                )
        except OSError as error:
            raise OutputError(
                f"The folds cannot be kept in {path.parent} ({error.strerror or error}); "
                "make room, then resume."
            ) from error
        return result

    def _key(self, task: FoldTask) -> str:
        """Return all that the result of a fold depends on."""
        return repr((task, self._shared_facts))


def _shared_facts(training: FoldTraining) -> tuple[object, ...]:
    """Return what the results of all folds depend on."""
    cohort = training.store.cohort
    start = training.start
    return (
        training.config.model_dump(exclude=MACHINE_FIELDS),
        training.plan,
        None if start is None else start.fingerprint,
        cohort.classes,
        [(bag.content, bag.labels, bag.regions) for bag in cohort.bags],
    )


def fit_fold(
    store: BagStore,
    config: TrainingConfig,
    plan: Plan,
    start: Classifier | None,
    device: torch.device,
    task: FoldTask,
    cancel: CancellationToken,
    model: Path | None = None,
) -> FoldResult:
    """Train the classifier of one fold; write its bundle to the folder `model`."""
    fold_config = task.fold_config(config)
    torch.manual_seed(task.seed)
    backbone = None
    if plan.embedding == "frozen":
        store, backbone = encode_by_frozen_backbone(plan, store, start, device)
    course = Course(store, task.split, fold_config, plan, start, device)
    every_epoch: list[np.ndarray] = []

    def classify_test(fitting: Fitting) -> None:
        if task.every_epoch:
            every_epoch.append(fitting.logits(task.split.test))

    fitting = course.fit(cancel, classify_test)
    epoch = fitting.use_best()
    test = np.stack(every_epoch) if task.every_epoch else fitting.logits(task.split.test)[None]
    tile_auc = fitting.overlay_auc(task.split.test)
    result = FoldResult(
        test,
        fitting.logits(task.split.validation),
        epoch,
        math.nan if tile_auc is None else tile_auc,
    )
    if model is not None:
        # Moves the network to the CPU: last of all.
        classifier = make_classifier(model.name, fold_config, plan, fitting, epoch, start, backbone)
        classifier.save(model, notes(classifier.card))
    return result


def _name_of(task: FoldTask) -> str:
    """Return what the files of a fold are called."""
    return f"repeat-{task.repeat}-fold-{task.fold}"


_worker_training: FoldTraining | None = None
"""What the folds share, in a worker process."""


def _prepare_worker(parent: int, training: FoldTraining) -> None:
    global _worker_training
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    _worker_training = training


def _end_with(parent: int) -> None:
    """End this process once its parent has ended, however it ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _fit_in_worker(task: FoldTask) -> FoldResult:
    assert _worker_training is not None
    return _worker_training.fit(task, CancellationToken())
