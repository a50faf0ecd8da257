"""How good a way of training is: repeated, stratified, grouped cross-validation in which nothing is chosen on the fold that is reported.

honest       every fold is a test set once; epoch, temperature and threshold come from validation patients of the rest
published    epoch and threshold are chosen on the test fold itself, as papers did; labelled so wherever the figure appears
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from napari_mil.errors import OptionError, TrainingError
from napari_mil.events import CancellationToken, Fallback, Finished, OnEvent, Started, ignore
from napari_mil.inference.card import read_card
from napari_mil.inference.classifier import load_classifier, write_card
from napari_mil.inference.devices import choose_device
from napari_mil.inference.embedding import Progress
from napari_mil.settings import Settings
from napari_mil.training.bundle import FEWEST_TO_CALIBRATE, TEST_SPLIT, VALIDATION, notes
from napari_mil.training.cohort import Cohort
from napari_mil.training.config import TrainingConfig
from napari_mil.training.fitting import Split, deterministic
from napari_mil.training.fold_runs import FoldResult, FoldRunner, FoldTask
from napari_mil.training.folds import stratified_group_folds
from napari_mil.training.metrics import Estimate, best_threshold, calibration_error, figures, fit_temperature, mean_auc
from napari_mil.training.network import make_plan
from napari_mil.training.run import complete
from napari_mil.training.run_folder import EVALUATION, RunFolder
from napari_mil.training.splits import stratum_of, validation_split
from napari_mil.training.store import BagStore

Protocol = Literal["honest", "published"]
SCHEMA = "napari-mil/evaluation/1"
MACHINE_FIELDS = {"cohort", "start_from", "threads", "memory_gb", "device"}
"""Fields of a configuration that a bundle does not hold."""
SAMPLES = 1000
"""Bootstrap samples."""
LAST_EPOCH = "the last epoch, threshold 0.5"
BEST_AUC = "the epoch of largest AUC on the test fold, and its ROC-optimal threshold there"
BEST_ACCURACY = "the epoch of largest accuracy on the test fold, at its ROC-optimal threshold there"
PUBLISHED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("dsmil", "dsmil-released"), (BEST_ACCURACY, "dsmil-wsi, classical script")),
    **dict.fromkeys(("abmil", "gated-abmil", "mi-net", "mi-net-instance", "mi-net-ds", "mi-net-rc"), (LAST_EPOCH, "MINNs")),
}
"""What each paper's script chose on the test fold; the others follow MHIM-MIL's."""
MHIM = (BEST_AUC, "MHIM-MIL, CAMELYON16")


@dataclass(frozen=True)
class Evaluation:
    """Figures of a way of training, with where they come from."""

    protocol: Protocol
    selection: str
    """How the epoch and the threshold were chosen, in words."""
    classes: tuple[str, ...]
    folds: int
    repeats: int
    n_bags: int
    n_patients: int
    metrics: Mapping[str, Estimate]
    """At probability 0.5; under the published protocol, at its threshold."""
    at_validation_threshold: Mapping[str, Estimate] = field(default_factory=dict)
    """The same at the threshold that is best on each fold's validation bags; two classes only."""
    calibration: Mapping[str, float | None] = field(default_factory=dict)
    """Expected calibration error before and after a temperature, on validation bags and on test bags."""
    epochs: tuple[int, ...] = ()
    """Epoch that each repeat and fold kept."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    out_of_fold: tuple[Mapping[str, Any], ...] = ()
    """Per bag: its name, label, and probabilities of each repeat, from classifiers that never saw its patient."""

    @property
    def headline(self) -> str:
        """The figure to quote, with its interval and where it comes from."""
        name = "auc" if "auc" in self.metrics else "auc_macro"
        area = self.metrics[name]
        return f"AUC {area.mean:.2f} ({area.low:.2f}–{area.high:.2f}), {self.label}"

    @property
    def label(self) -> str:
        """Protocol and folds, in a few words."""
        times = f"{self.repeats} × {self.folds}" if self.repeats > 1 else str(self.folds)
        return f"{self.protocol} protocol, {times} folds by patient" + ("; chosen on the test fold, optimistic" if self.protocol == "published" else "")

    def as_dict(self) -> dict[str, Any]:
        """Return what ``evaluation.json`` holds."""
        return {
            "schema": SCHEMA,
            "protocol": self.protocol,
            "selection": self.selection,
            "headline": self.headline,
            "classes": list(self.classes),
            "folds": self.folds,
            "repeats": self.repeats,
            "bags": self.n_bags,
            "patients": self.n_patients,
            "metrics": self._labelled(self.metrics),
            "at validation threshold": self._labelled(self.at_validation_threshold),
            "calibration": dict(self.calibration),
            "epochs kept": list(self.epochs),
            "remarks": list(self.remarks),
            "settings": dict(self.settings),
            "out of fold": [dict(row) for row in self.out_of_fold],
        }

    def for_card(self) -> dict[str, Any]:
        """Return what a bundle says of it: no name of a bag."""
        entries: dict[str, Any] = {
            "headline": self.headline,
            "protocol": f"{self.label}; {self.selection}; 95 % intervals by bootstrap over patients",
            "cross-validation": self._labelled(self.metrics),
        }
        if self.at_validation_threshold:
            entries["cross-validation, at the validation threshold"] = self._labelled(self.at_validation_threshold)
        return {**entries, "calibration": dict(self.calibration)}

    def _labelled(self, metrics: Mapping[str, Estimate]) -> dict[str, Any]:
        """Let each figure carry its protocol."""
        return {name: {**value.as_dict(), "protocol": self.protocol} for name, value in metrics.items()}


def cross_validate(
    cohort: Cohort,
    config: TrainingConfig,
    *,
    folds: int = 5,
    repeats: int = 1,
    protocol: Protocol = "honest",
    out: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    resume: bool = False,
    workers: int | None = None,
    settings: Settings | None = None,
) -> Evaluation:
    """Judge a configuration on a cohort.

    Parameters
    ----------
    cohort
        What `scan_annotated_folder` found; splits in its table are not used.
    config
        How to train in each fold.
    folds, repeats
        Folds by patient, and draws of them.
    protocol
        ``"honest"``, or ``"published"``: choose on the test fold as the method's paper did, and say so.
    out
        Folder for ``evaluation.json``; folds that are done are kept there too, so that `resume` does not train them again.
    on_event
        Told how many folds are done.
    cancel
        Ends the work; finished folds are kept.
    resume
        Use the finished folds in `out`.
    workers
        Processes; by default one per core. The result does not depend on their number.
    settings
        Folders and thread counts.

    Returns
    -------
    Evaluation

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or a fold leaves one class.
    """
    if folds < 2 or repeats < 1:
        raise OptionError(f"Cross-validation needs at least 2 folds and 1 repeat, not {folds} and {repeats}.")
    if protocol not in ("honest", "published"):
        raise OptionError(f"There is no protocol {protocol!r}; choose honest or published.")
    settings, on_event, cancel = settings or Settings(), on_event or ignore, cancel or CancellationToken()
    cohort = cohort if config.positive_class is None else cohort.with_positive(config.positive_class)
    cohort.check()
    start = None if config.start_from is None else load_classifier(config.start_from, settings)
    config = complete(config, cohort, settings, start).model_copy(update={"threads": 1})  # figures do not depend on the cores at hand
    device = choose_device(config.device, on_event)
    with deterministic(config, device):
        store = BagStore(cohort, config, settings, on_event, cancel, start)
        cohort = store.cohort
        tasks = fold_tasks(cohort, config, folds, repeats, protocol)
        torch.manual_seed(config.seed)
        plan = make_plan(config, store, start, on_event)
        runner = FoldRunner(store, config, plan, start, device, None if out is None else Path(out) / "folds", resume, workers or settings.encoder_threads)
        on_event(Started(len(tasks), "folds"))
        progress = Progress(len(tasks))
        results = runner.run(tasks, cancel, lambda done: on_event(progress.advance(done)))
    remarks = list(runner.remarks)
    if any(bag.split for bag in cohort.bags):
        remarks.append("The splits in the table are not used: every bag is tested once per repeat.")
    for remark in remarks:
        on_event(Fallback(remark))
    evaluation = summarise(cohort, config, folds, repeats, protocol, tasks, results, tuple(remarks))
    if out is not None:
        write_evaluation(evaluation, RunFolder(Path(out)), config)
        runner.forget()
    on_event(Finished(evaluation))
    return evaluation


def fold_tasks(cohort: Cohort, config: TrainingConfig, folds: int, repeats: int, protocol: Protocol) -> list[FoldTask]:
    """Draw the folds of every repeat, and in each the validation bags.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or the training part of a fold lacks a class.
    """
    groups = cohort.groups
    if len(set(groups)) < folds:
        raise TrainingError(f"{len(set(groups))} patients cannot be put into {folds} folds; use fewer folds, or name the patients in labels.csv.")
    tasks = []
    for repeat in range(repeats):
        drawn = stratified_group_folds(stratum_of(cohort.targets), groups, folds, config.seed + repeat)
        for fold in range(folds):
            test, rest = np.flatnonzero(drawn == fold), np.flatnonzero(drawn != fold)
            if cohort.targets.ndim == 1 and len(np.unique(cohort.targets[rest])) < len(cohort.classes):
                raise TrainingError("A fold leaves a class without a bag to train on: too few patients have it; use fewer folds or name the patients.")
            seed = int(np.random.SeedSequence((config.seed, repeat, fold)).generate_state(1)[0] % 2**31)
            if protocol == "published":
                split = Split(tuple(map(int, rest)), tuple(map(int, test)), tuple(map(int, test)))
            else:
                split = replace(validation_split(cohort, rest, config, seed), test=tuple(map(int, test)))
            tasks.append(FoldTask(repeat, fold, split, seed, every_epoch=protocol == "published"))
    return tasks


def summarise(
    cohort: Cohort,
    config: TrainingConfig,
    folds: int,
    repeats: int,
    protocol: Protocol,
    tasks: list[FoldTask],
    results: list[FoldResult],
    remarks: tuple[str, ...],
) -> Evaluation:
    """Turn the answers of every fold into figures with their uncertainty."""
    targets, n_outputs = cohort.targets, results[0].test.shape[-1]
    drawn = np.zeros((repeats, len(targets)), int)
    logits = np.zeros((repeats, len(targets), n_outputs))
    half, chosen = np.full((repeats, len(targets)), 0.5), np.full((repeats, len(targets)), 0.5)
    rule, source = PUBLISHED.get(config.aggregator, MHIM) if config.strategy == "plain" else MHIM
    errors: dict[str, list[float]] = {"validation": [], "validation, uncalibrated": []}
    raw, epochs, temperatures = logits.copy(), [], []
    for task, result in zip(tasks, results, strict=True):
        test = list(task.split.test)
        drawn[task.repeat, test] = task.fold
        if protocol == "published":
            epoch, threshold = choose_on_test(rule, targets[test], result.test)
            raw[task.repeat, test] = logits[task.repeat, test] = result.test[epoch]
            half[task.repeat, test] = threshold
            epochs.append(epoch + 1)
            continue
        answers = result.test[0]
        temperature, validation = 1.0, list(task.split.validation)
        if len(validation) >= FEWEST_TO_CALIBRATE:
            temperature = fit_temperature(targets[validation], result.validation, cautious=True)
            errors["validation, uncalibrated"].append(calibration_error(targets[validation], result.validation))
            errors["validation"].append(calibration_error(targets[validation], result.validation / temperature))
        if validation and n_outputs == 1:
            chosen[task.repeat, test] = best_threshold(targets[validation], result.validation[:, 0] / temperature)
        raw[task.repeat, test], logits[task.repeat, test] = answers, answers / temperature
        epochs.append(result.epoch)
        temperatures.append(temperature)
    groups = np.array(cohort.groups)
    metrics = estimate_all(targets, logits, half, groups, drawn)
    has_threshold = protocol == "honest" and n_outputs == 1 and bool((chosen != 0.5).any())
    calibration: dict[str, float | None] = {}
    if protocol == "honest":
        calibration = {f"expected calibration error on {name}": float(np.mean(values)) if values else None for name, values in errors.items()}
        calibration["expected calibration error on test bags"] = float(np.mean([calibration_error(targets, row) for row in logits]))
        calibration["expected calibration error on test bags, uncalibrated"] = float(np.mean([calibration_error(targets, row) for row in raw]))
        calibration["temperature, mean over folds"] = float(np.mean(temperatures))
        calibration = {name: None if value is None else round(value, 4) for name, value in calibration.items()}
    return Evaluation(
        protocol,
        f"{rule} ({source})" if protocol == "published" else _honest_selection(config, tasks),
        cohort.classes,
        folds,
        repeats,
        len(targets),
        len(set(groups)),
        metrics,
        estimate_all(targets, logits, chosen, groups, drawn, deciding_only=True) if has_threshold else {},
        calibration,
        tuple(epochs),
        config.model_dump(exclude={"cohort"}),
        remarks,
        _out_of_fold(cohort, logits, drawn),
    )


def choose_on_test(rule: str, targets: np.ndarray, answers: np.ndarray) -> tuple[int, float]:
    """Return (epoch counted from 0, threshold) as a paper chose them on its test fold: answers (epochs, B, C)."""
    one_unit = answers.shape[-1] == 1
    thresholds = [best_threshold(targets, logits[:, 0]) if one_unit else 0.5 for logits in answers]
    if rule == LAST_EPOCH:
        return len(answers) - 1, 0.5
    if rule == BEST_ACCURACY:
        name = "accuracy" if targets.ndim == 1 else "accuracy_micro"
        values = [figures(targets, logits, threshold)[name] for logits, threshold in zip(answers, thresholds, strict=True)]
    else:
        values = [mean_auc(targets, logits) for logits in answers]
    epoch = len(answers) - 1 if np.isnan(values).all() else int(np.nanargmax(values))
    return epoch, thresholds[epoch]


DECIDING = ("accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity")


def estimate_all(
    targets: np.ndarray,
    logits: np.ndarray,
    thresholds: np.ndarray,
    groups: np.ndarray,
    drawn: np.ndarray,
    *,
    deciding_only: bool = False,
    samples: int = SAMPLES,
) -> dict[str, Estimate]:
    """Estimate every figure from out-of-fold logits (repeats, B, C) with a threshold for each bag and repeat, bootstrapping over groups."""

    def all_figures(index: np.ndarray, repeat: int) -> dict[str, float]:
        return figures(targets[index], logits[repeat, index], thresholds[repeat, index])

    everything = np.arange(len(targets))
    per_repeat = [all_figures(everything, repeat) for repeat in range(len(logits))]
    per_fold = [all_figures(np.flatnonzero(drawn[repeat] == k), repeat) for repeat in range(len(logits)) for k in np.unique(drawn[repeat])]
    unique = np.unique(groups)
    members = [np.flatnonzero(groups == group) for group in unique]
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(samples):
        index = np.concatenate([members[g] for g in random.integers(len(unique), size=len(unique))])
        resampled.append(_means([all_figures(index, repeat) for repeat in range(len(logits))]))
    names = [name for name in per_repeat[0] if not deciding_only or name in DECIDING]
    return {name: _estimate([f[name] for f in per_repeat], [f[name] for f in per_fold], [f[name] for f in resampled]) for name in names}


def _means(several: list[dict[str, float]]) -> dict[str, float]:
    return {name: _mean([one[name] for one in several]) for name in several[0]}


def _mean(values: list[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def _estimate(repeats: list[float], folds: list[float], resampled: list[float]) -> Estimate:
    there, drawn = [value for value in folds if not np.isnan(value)], [value for value in resampled if not np.isnan(value)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (float("nan"), float("nan"))
    return Estimate(
        _mean(repeats),
        float(low),
        float(high),
        float(np.std(repeats, ddof=1)) if len(repeats) > 1 else float("nan"),
        _mean(folds),
        float(np.std(there, ddof=1)) if len(there) > 1 else float("nan"),
        len(folds) - len(there),
    )


def _honest_selection(config: TrainingConfig, tasks: list[FoldTask]) -> str:
    if not any(task.split.validation for task in tasks):
        return "nothing is chosen: the last epoch, threshold 0.5"
    what = {"auc": "largest AUC", "last": ""}.get(config.select, "least loss")
    epoch = f"the epoch of {what} on validation patients of the training part" if what else "the last epoch"
    return f"{epoch}; threshold 0.5; temperature from validation patients where there are at least {FEWEST_TO_CALIBRATE}"


def _out_of_fold(cohort: Cohort, logits: np.ndarray, drawn: np.ndarray) -> tuple[Mapping[str, Any], ...]:
    from napari_mil.aggregators.output import link

    p = link(torch.from_numpy(logits), cohort.multi_label).numpy()
    rows = []
    for b, bag in enumerate(cohort.bags):
        rows.append({"bag": bag.path.name, "label": list(bag.labels), "folds": drawn[:, b].tolist(), "probabilities": np.round(p[:, b], 5).tolist()})
    return tuple(rows)


def write_evaluation(evaluation: Evaluation, folder: RunFolder, config: TrainingConfig) -> None:
    """Write ``evaluation.json``, and into the card of a classifier that the run made in the same way."""
    with folder.held():
        folder.write(EVALUATION, json.dumps(evaluation.as_dict(), indent=1, ensure_ascii=False) + "\n")
        if folder.finished:
            card = read_card(folder.classifier)
            ours = config.model_dump(exclude=MACHINE_FIELDS)
            theirs = {name: value for name, value in card.training.get("settings", {}).items() if name in ours}
            if theirs == json.loads(json.dumps(ours)):
                renewed = replace(card, evaluation={**evaluation.for_card(), **{k: v for k, v in card.evaluation.items() if k in (VALIDATION, TEST_SPLIT)}})
                write_card(renewed, notes(renewed), folder.classifier)
