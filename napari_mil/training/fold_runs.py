"""Training the folds of a cross-validation: many small heads in one vectorised pass, everything else in parallel processes."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from napari_mil.encoders import BackboneEncoder
from napari_mil.errors import CancelledError, NapariMilError, OutputError, TrainingError
from napari_mil.events import CancellationToken, ignore
from napari_mil.files import PART, whole_or_nothing
from napari_mil.inference.classifier import Classifier
from napari_mil.training.config import MACHINE_FIELDS, TrainingConfig
from napari_mil.training.fitting import Fitting
from napari_mil.training.folds import FoldResult, FoldTask
from napari_mil.training.network import Plan, build, frozen_backbone, scaling_of
from napari_mil.training.store import BagStore, memory_budget
from napari_mil.training.vectorised import HEADS_AT_ONCE, fit_together, is_worth_it

POLL_S = 0.2


class FoldRunner:
    """Trains folds, keeping what is done.

    Parameters
    ----------
    store, config, plan, start
        As for a run.
    device
        Where to compute.
    folder
        For the answers of finished folds; None keeps none.
    resume
        Use those that are there.
    workers
        Processes at most.
    """

    def __init__(
        self,
        store: BagStore,
        config: TrainingConfig,
        plan: Plan,
        start: Classifier | None,
        device: torch.device,
        folder: Path | None,
        resume: bool,
        workers: int,
    ) -> None:
        self._store, self._config, self._plan, self._start, self._device = (
            store,
            config,
            plan,
            start,
            device,
        )
        self._folder, self._workers = folder, workers
        cohort = store.cohort
        bags = [(bag.content, bag.labels, bag.regions) for bag in cohort.bags]
        self._same = (
            config.model_dump(exclude=MACHINE_FIELDS),
            plan,
            None if start is None else start.fingerprint,
            cohort.classes,
            bags,
        )
        self.remarks: list[str] = []
        if not resume:
            self.forget()

    def run(
        self, tasks: list[FoldTask], cancel: CancellationToken, on_done: Callable[[float], None]
    ) -> list[FoldResult]:
        """Train what is not done yet; return the answers in the order of the tasks."""
        results: dict[int, FoldResult] = {}
        for k, task in enumerate(tasks):
            if (earlier := self._kept(task)) is not None:
                results[k] = earlier
        if results:
            on_done(len(results))
        missing = [k for k in range(len(tasks)) if k not in results]
        if missing and is_worth_it(self._store, self._config, self._plan, self._device):
            self.remarks.append(
                f"{len(missing)} folds were trained together in one vectorised pass."
            )
            for first in range(0, len(missing), HEADS_AT_ONCE):
                some = missing[first : first + HEADS_AT_ONCE]
                together = fit_together(
                    self._store,
                    self._config,
                    self._plan,
                    self._start,
                    [tasks[k] for k in some],
                    cancel,
                    on_done,
                )
                results |= {
                    k: self._keep(tasks[k], result)
                    for k, result in zip(some, together, strict=True)
                }
        elif missing:
            self._in_processes(tasks, missing, results, cancel, on_done)
        return [results[k] for k in range(len(tasks))]

    def forget(self) -> None:
        """Remove the answers of single folds, once they are summed up or nobody wants them; what else lies there is not ours."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in (
            *self._folder.glob("repeat-*-fold-*.npz"),
            *self._folder.glob(f".repeat-*{PART}"),
        ):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            self._folder.rmdir()

    def _in_processes(
        self,
        tasks: list[FoldTask],
        missing: list[int],
        results: dict[int, FoldResult],
        cancel: CancellationToken,
        on_done: Callable[[float], None],
    ) -> None:
        if self._workers == 1 or len(missing) == 1 or self._device.type == "cuda":
            for k in missing:
                results[k] = self._keep(
                    tasks[k],
                    fit_fold(
                        self._store,
                        self._config,
                        self._plan,
                        self._start,
                        self._device,
                        tasks[k],
                        cancel,
                    ),
                )
                on_done(1)
            return
        bags = 2 * (self._store.bytes if self._store.in_memory else self._store.largest_bytes)
        affordable = int(memory_budget(self._config) // max(1, bags + self._plan.activation_bytes))
        pool = ProcessPoolExecutor(
            min(self._workers, len(missing), max(1, affordable)),
            mp_context=get_context("spawn"),
            initializer=_prepare_worker,
            initargs=(
                os.getpid(),
                self._store,
                self._config,
                self._plan,
                self._start,
                self._device,
            ),
        )
        try:
            waiting: dict[Future[FoldResult], int] = {
                pool.submit(_fit_in_worker, tasks[k]): k for k in missing
            }
            while waiting:
                done, _ = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    k = waiting.pop(future)
                    results[k] = self._keep(tasks[k], future.result())
                    on_done(1)
                cancel.raise_if_cancelled()
        except BrokenProcessPool as error:
            raise TrainingError(
                "A fold's process ended unexpectedly, perhaps for want of memory; resume with fewer processes."
            ) from error
        except (CancelledError, NapariMilError):
            for process in list((pool._processes or {}).values()):  # a fold may take an hour
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _file(self, task: FoldTask) -> Path | None:
        return (
            None
            if self._folder is None
            else self._folder / f"repeat-{task.repeat}-fold-{task.fold}.npz"
        )

    def _kept(self, task: FoldTask) -> FoldResult | None:
        path = self._file(task)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as archive:
                if archive["key"].item() != self._key(task):
                    return None  # of other settings or bags
                return FoldResult(
                    archive["test"],
                    archive["validation"],
                    int(archive["epoch"]),
                    float(archive["tile_auc"]),
                )
        except (OSError, ValueError, KeyError):
            return None  # cut short; it is trained again

    def _keep(self, task: FoldTask, result: FoldResult) -> FoldResult:
        path = self._file(task)
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_or_nothing(path) as part, part.open("wb") as file:
                    key, tile_auc = np.array(self._key(task)), np.array(result.tile_auc)
                    np.savez(
                        file,
                        test=result.test,
                        validation=result.validation,
                        epoch=np.array(result.epoch),
                        tile_auc=tile_auc,
                        key=key,
                    )
            except OSError as error:
                raise OutputError(
                    f"The folds cannot be kept in {path.parent} ({error.strerror or error}); make room, then resume."
                ) from error
        return result

    def _key(self, task: FoldTask) -> str:
        """Say what a fold's answers depend on."""
        return repr((task, self._same))


def fit_fold(
    store: BagStore,
    config: TrainingConfig,
    plan: Plan,
    start: Classifier | None,
    device: torch.device,
    task: FoldTask,
    cancel: CancellationToken,
) -> FoldResult:
    """Train the classifier of one fold."""
    own = task.own(config)
    torch.manual_seed(task.seed)
    if plan.embedding == "frozen":
        backbone = frozen_backbone(plan, store, start)
        store = store.encoded_by(
            BackboneEncoder(
                str(store.instances.encoder),
                backbone,
                int(store.instances.tile_px or 0),
                device=device,
            )
        )
    network = build(own, plan, store, start, ignore)
    fitting = Fitting(network, store, task.split, own, device, scaling_of(start, plan))
    answers = []
    while not fitting.finished:
        fitting.advance(cancel)
        if task.every_epoch:
            answers.append(fitting.logits(task.split.test))
    epoch = fitting.use_best()
    test = np.stack(answers) if task.every_epoch else fitting.logits(task.split.test)[None]
    tile_auc = fitting.overlay_auc(task.split.test)
    return FoldResult(
        test,
        fitting.logits(task.split.validation),
        epoch,
        math.nan if tile_auc is None else tile_auc,
    )


_worker: tuple[BagStore, TrainingConfig, Plan, Classifier | None, torch.device] | None = None


def _prepare_worker(
    parent: int,
    store: BagStore,
    config: TrainingConfig,
    plan: Plan,
    start: Classifier | None,
    device: torch.device,
) -> None:
    global _worker
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    _worker = (store, config, plan, start, device)


def _follow(parent: int) -> None:
    """End with the process that asked, however that ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _fit_in_worker(task: FoldTask) -> FoldResult:
    assert _worker is not None
    return fit_fold(*_worker, task, CancellationToken())
