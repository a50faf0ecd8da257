"""How good a way of training is: repeated, stratified, grouped cross-validation in which nothing is chosen on the fold that is reported.

honest       every fold is a test set once; epoch, temperature and threshold come from validation patients of the rest
published    epoch and threshold are chosen on the test fold itself, as papers did; labelled so wherever the figure appears
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from napari_mil.errors import OptionError, TrainingError
from napari_mil.events import CancellationToken, Fallback, Finished, OnEvent, Started, ignore
from napari_mil.inference.card import read_card
from napari_mil.inference.classifier import Classifier, load_classifier, write_card
from napari_mil.inference.devices import choose_device
from napari_mil.inference.embedding import Progress
from napari_mil.settings import Settings
from napari_mil.training.bundle import FEWEST_TO_CALIBRATE, TEST_SPLIT, VALIDATION, notes
from napari_mil.training.cohort import Cohort
from napari_mil.training.config import MACHINE_FIELDS, MEMORY_FIELDS, TrainingConfig
from napari_mil.training.fitting import Split, deterministic
from napari_mil.training.fold_runs import FoldRunner
from napari_mil.training.folds import FoldResult, FoldTask, stratified_group_folds
from napari_mil.training.layout import EVALUATION, FOLDS
from napari_mil.training.metrics import (
    Estimate,
    best_threshold,
    calibration_error,
    estimates,
    figures,
    fit_temperature,
    mean_auc,
)
from napari_mil.training.network import make_plan
from napari_mil.training.run import complete
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.splits import stratum_of, validation_split, why_none
from napari_mil.training.store import BagStore

Protocol = Literal["honest", "published"]
SCHEMA = "napari-mil/evaluation/1"
SAMPLES = 1000
"""Bootstrap samples."""
LAST_EPOCH = "the last epoch, threshold 0.5"
BEST_AUC = "the epoch of largest AUC on the test fold"
BEST_ACCURACY = "the epoch of largest accuracy on the test fold"
AT_THRESHOLD = "at its ROC-optimal threshold there"
"""Of two classes, where the epoch is chosen there too."""
PUBLISHED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("dsmil", "dsmil-released"), (BEST_ACCURACY, "dsmil-wsi, classical script")),
    **dict.fromkeys(("mi-net", "mi-net-instance", "mi-net-ds", "mi-net-rc"), (LAST_EPOCH, "MINNs")),
    **dict.fromkeys(
        ("abmil", "gated-abmil", "transmil"), (BEST_AUC, "the comparison of MHIM-MIL, CAMELYON16")
    ),
}
"""What each paper's script chose on the test fold."""
MHIM = (BEST_AUC, "MHIM-MIL, CAMELYON16")
WITHOUT_RULE = {
    **dict.fromkeys(
        ("clam-sb", "clam-mb"),
        "CLAM's is honest: early stopping on validation bags, the likeliest class",
    ),
    "sa-abmil": "its script's is honest: early stopping on validation bags",
    "dtfd": "its script needs a validation set of its own for the epoch, and takes the threshold from the test set",
}


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
    overlay: Mapping[str, float | int] = field(default_factory=dict)
    """Where tiles are annotated: the AUC of the overlay within each test bag, over bags and then folds, its spread, and the folds that had any."""
    epochs: tuple[int, ...] = ()
    """Epoch that each repeat and fold kept."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    unit: str = "patient"
    """What stays together in a fold, in words; see `Cohort.unit`."""
    from_trained: bool = False
    """Whether folds start from a classifier, which may have seen these bags."""
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
        label = f"{self.protocol} protocol, {times} folds by {self.unit}"
        if self.protocol == "published" and not self.selection.startswith(LAST_EPOCH):
            label += "; chosen on the test fold, optimistic"
        if self.from_trained:
            label += "; from weights trained before"
        return label

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
            "overlay": {**self.overlay, "protocol": self.protocol} if self.overlay else {},
            "epochs kept": list(self.epochs),
            "remarks": list(self.remarks),
            "settings": dict(self.settings),
            "out of fold": [dict(row) for row in self.out_of_fold],
        }

    def for_card(self) -> dict[str, Any]:
        """Return what a bundle says of it: no name of a bag."""
        entries: dict[str, Any] = {
            "headline": self.headline,
            "protocol": f"{self.label}; {self.selection}; "
            f"95 % intervals by bootstrap over {'patients' if self.unit == 'patient' else 'bags'}",
            "cross-validation": self._labelled(self.metrics),
        }
        if self.at_validation_threshold:
            entries["cross-validation, at the validation threshold"] = self._labelled(
                self.at_validation_threshold
            )
        if self.overlay:
            entries["overlay"] = dict(self.overlay)
        return {**entries, "calibration": dict(self.calibration)}

    def _labelled(self, metrics: Mapping[str, Estimate]) -> dict[str, Any]:
        """Let each figure carry its protocol."""
        return {
            name: {**value.as_dict(), "protocol": self.protocol} for name, value in metrics.items()
        }


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
        Ends the work; finished folds are kept, those that are trained together once all of them are done.
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
        raise OptionError(
            f"Cross-validation needs at least 2 folds and 1 repeat, not {folds} and {repeats}."
        )
    if protocol not in ("honest", "published"):
        raise OptionError(f"There is no protocol {protocol!r}; choose honest or published.")
    if workers is not None and workers < 1:
        raise OptionError(f"Folds need at least 1 process, not {workers}.")
    if protocol == "published":
        published_rule(config)
    settings, on_event, cancel = (
        settings or Settings(),
        on_event or ignore,
        cancel or CancellationToken(),
    )
    cohort = cohort.with_patients(config.patient_pattern)
    if config.positive_class is not None:
        cohort = cohort.with_positive(config.positive_class)
    cohort.check()
    folder = None if out is None else RunFolder(Path(out))
    with nullcontext() if folder is None else folder.held():
        return _evaluate(
            cohort,
            config,
            folds,
            repeats,
            protocol,
            folder,
            on_event,
            cancel,
            resume,
            workers,
            settings,
        )


def _evaluate(
    cohort: Cohort,
    config: TrainingConfig,
    folds: int,
    repeats: int,
    protocol: Protocol,
    folder: RunFolder | None,
    on_event: OnEvent,
    cancel: CancellationToken,
    resume: bool,
    workers: int | None,
    settings: Settings,
) -> Evaluation:
    start = None if config.start_from is None else load_classifier(config.start_from, settings)
    config = complete(config, cohort, settings, start).model_copy(
        update={"threads": 1}
    )  # figures do not depend on the cores at hand
    device = choose_device(config.device, on_event)
    with deterministic(config, device):
        store = BagStore(cohort, config, settings, on_event, cancel, start)
        cohort = store.cohort
        tasks = fold_tasks(cohort, config, folds, repeats, protocol)
        torch.manual_seed(config.seed)
        plan = make_plan(config, store, start, on_event)
        runner = FoldRunner(
            store,
            config,
            plan,
            start,
            device,
            None if folder is None else folder.path / FOLDS,
            resume,
            workers or settings.encoder_threads,
        )
        on_event(Started(len(tasks), "folds"))
        progress = Progress(len(tasks))
        results = runner.run(tasks, cancel, lambda done: on_event(progress.advance(done)))
    remarks = list(runner.remarks)
    if protocol == "honest" and (
        without := [task.split for task in tasks if not task.split.validation]
    ):
        why = why_none(without[0], config)
        remarks.append(
            f"{len(without)} of {len(tasks)} folds have no validation bags ({why}): nothing is chosen in them, the last epoch is kept."
        )
    if any(bag.split for bag in cohort.bags):
        remarks.append("The splits in the table are not used: every bag is tested once per repeat.")
    if start is not None:
        remarks.append(
            f"Every fold starts from {start.card.name}: if that was trained on these bags, the figures are too good."
        )
    for remark in remarks:
        on_event(Fallback(remark))
    evaluation = summarise(cohort, config, folds, repeats, protocol, tasks, results, tuple(remarks))
    if folder is not None:
        folder.write(
            EVALUATION, json.dumps(evaluation.as_dict(), indent=1, ensure_ascii=False) + "\n"
        )
        runner.forget()
        if folder.finished and not write_figures_to_card(evaluation, folder, config, cohort, start):
            on_event(
                Fallback(
                    "The classifier in this folder was trained otherwise, or on other bags: its card is left as it is."
                )
            )
    on_event(Finished(evaluation))
    return evaluation


def fold_tasks(
    cohort: Cohort, config: TrainingConfig, folds: int, repeats: int, protocol: Protocol
) -> list[FoldTask]:
    """Draw the folds of every repeat, and in each the validation bags.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or the training part of a fold lacks a class.
    """
    groups = cohort.groups
    if len(set(groups)) < folds:
        raise TrainingError(
            f"{len(set(groups))} patients cannot be put into {folds} folds; use fewer folds, or name the patients in labels.csv."
        )
    tasks = []
    for repeat in range(repeats):
        drawn = stratified_group_folds(
            stratum_of(cohort.targets), groups, folds, config.seed + repeat
        )
        for fold in range(folds):
            test, rest = np.flatnonzero(drawn == fold), np.flatnonzero(drawn != fold)
            if cohort.targets.ndim == 1 and len(np.unique(cohort.targets[rest])) < len(
                cohort.classes
            ):
                raise TrainingError(
                    "A fold leaves a class without a bag to train on: too few patients have it; use fewer folds or name the patients."
                )
            seed = int(
                np.random.SeedSequence((config.seed, repeat, fold)).generate_state(1)[0] % 2**31
            )
            if protocol == "published":
                split = Split(tuple(map(int, rest)), tuple(map(int, test)), tuple(map(int, test)))
            else:
                split = replace(
                    validation_split(cohort, rest, config, seed), test=tuple(map(int, test))
                )
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
    rule, source = published_rule(config) if protocol == "published" else ("", "")
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
            errors["validation, uncalibrated"].append(
                calibration_error(targets[validation], result.validation)
            )
            errors["validation"].append(
                calibration_error(targets[validation], result.validation / temperature)
            )
        if len(validation) >= FEWEST_TO_CALIBRATE and n_outputs == 1:
            chosen[task.repeat, test] = best_threshold(
                targets[validation], result.validation[:, 0] / temperature
            )
        raw[task.repeat, test], logits[task.repeat, test] = answers, answers / temperature
        epochs.append(result.epoch)
        temperatures.append(temperature)
    groups = cohort.groups
    metrics = estimates(
        lambda index, r: figures(targets[index], logits[r, index], half[r, index]),
        repeats,
        groups,
        SAMPLES,
        folds=drawn,
    )
    at_threshold = {}
    if protocol == "honest" and n_outputs == 1 and bool((chosen != 0.5).any()):
        every = estimates(
            lambda index, r: figures(targets[index], logits[r, index], chosen[r, index]),
            repeats,
            groups,
            SAMPLES,
            folds=drawn,
        )
        at_threshold = {name: every[name] for name in DECIDING}
    calibration: dict[str, float | None] = {}
    if protocol == "honest":
        calibration = {
            f"expected calibration error on {name}": float(np.mean(values)) if values else None
            for name, values in errors.items()
        }
        calibration["expected calibration error on test bags"] = float(
            np.mean([calibration_error(targets, row) for row in logits])
        )
        calibration["expected calibration error on test bags, uncalibrated"] = float(
            np.mean([calibration_error(targets, row) for row in raw])
        )
        calibration["temperature, mean over folds"] = float(np.mean(temperatures))
        calibration = {
            name: None if value is None else round(value, 4) for name, value in calibration.items()
        }
    selection = _honest_selection(config, tasks)
    if protocol == "published":
        selection = _published_selection(rule, source, n_outputs)
    return Evaluation(
        protocol=protocol,
        selection=selection,
        classes=cohort.classes,
        folds=folds,
        repeats=repeats,
        n_bags=len(targets),
        n_patients=len(set(groups)),
        metrics=metrics,
        at_validation_threshold=at_threshold,
        calibration=calibration,
        overlay=_overlay([result.tile_auc for result in results]),
        epochs=tuple(epochs),
        settings=config.model_dump(exclude={"cohort"}),
        remarks=remarks,
        unit=cohort.unit,
        from_trained=config.start_from is not None,
        out_of_fold=_out_of_fold(cohort, logits, drawn),
    )


def published_rule(config: TrainingConfig) -> tuple[str, str]:
    """Return what the method's paper chose on its test fold, and where that is to be seen.

    Raises
    ------
    OptionError
        If its protocol is honest, or not stated.
    """
    if config.strategy != "plain":
        return MHIM
    if config.aggregator not in PUBLISHED:
        why = WITHOUT_RULE.get(config.aggregator, "its paper does not state one")
        raise OptionError(
            f"There is no published protocol for {config.aggregator} that chooses on the test fold ({why}); use --protocol honest."
        )
    return PUBLISHED[config.aggregator]


def choose_on_test(rule: str, targets: np.ndarray, answers: np.ndarray) -> tuple[int, float]:
    """Return (epoch counted from 0, threshold) as a paper chose them on its test fold: answers (epochs, B, C)."""
    one_unit = answers.shape[-1] == 1
    thresholds = [best_threshold(targets, logits[:, 0]) if one_unit else 0.5 for logits in answers]
    if rule == LAST_EPOCH:
        return len(answers) - 1, 0.5
    if rule == BEST_ACCURACY:
        name = "accuracy" if targets.ndim == 1 else "accuracy_micro"
        values = [
            figures(targets, logits, threshold)[name]
            for logits, threshold in zip(answers, thresholds, strict=True)
        ]
    else:
        values = [mean_auc(targets, logits) for logits in answers]
    epoch = len(answers) - 1 if np.isnan(values).all() else int(np.nanargmax(values))
    return epoch, thresholds[epoch]


def _overlay(areas: list[float]) -> dict[str, float | int]:
    """Sum up how well the overlays of the folds find annotated tiles."""
    known = [area for area in areas if not np.isnan(area)]
    if not known:
        return {}
    return {
        "tile_auc": round(float(np.mean(known)), 4),
        "SD over folds": round(float(np.std(known)), 4),
        "folds with annotated tiles": len(known),
    }


DECIDING = ("accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity")


def _published_selection(rule: str, source: str, n_outputs: int) -> str:
    threshold = f", {AT_THRESHOLD}" if n_outputs == 1 and rule != LAST_EPOCH else ""
    return f"{rule}{threshold} ({source})"


def _honest_selection(config: TrainingConfig, tasks: list[FoldTask]) -> str:
    if not any(task.split.validation for task in tasks):
        return "nothing is chosen: the last epoch, threshold 0.5"
    what = {"auc": "largest AUC", "last": ""}.get(config.select, "least loss")
    epoch = (
        f"the epoch of {what} on validation patients of the training part"
        if what
        else "the last epoch"
    )
    some = (
        ""
        if all(task.split.validation for task in tasks)
        else " where there are any, otherwise the last"
    )
    return f"{epoch}{some}; threshold 0.5; temperature from validation patients where there are at least {FEWEST_TO_CALIBRATE}"


def _out_of_fold(
    cohort: Cohort, logits: np.ndarray, drawn: np.ndarray
) -> tuple[Mapping[str, Any], ...]:
    from napari_mil.aggregators.output import link

    p = link(torch.from_numpy(logits), cohort.multi_label).numpy()
    rows = []
    for b, bag in enumerate(cohort.bags):
        rows.append(
            {
                "bag": bag.path.name,
                "label": list(bag.labels),
                "folds": drawn[:, b].tolist(),
                "probabilities": np.round(p[:, b], 5).tolist(),
            }
        )
    return tuple(rows)


def write_figures_to_card(
    evaluation: Evaluation,
    folder: RunFolder,
    config: TrainingConfig,
    cohort: Cohort,
    start: Classifier | None,
) -> bool:
    """Write figures into the card of the classifier in a run folder, if they are about it.

    Returns
    -------
    bool
        Whether the classifier was trained in this way, on these bags, from this start.
    """
    card = read_card(folder.classifier)
    training = card.training
    settings = json.loads(json.dumps(config.model_dump(exclude=MACHINE_FIELDS | MEMORY_FIELDS)))
    same_settings = all(
        name in training.settings and training.settings[name] == value
        for name, value in settings.items()
    )
    begun_from = None if training.started_from is None else training.started_from.fingerprint
    same_start = begun_from == (None if start is None else start.fingerprint)
    same_cohort = training.cohort_fingerprint == cohort.fingerprint
    if not (same_settings and same_start and same_cohort):
        return False
    earlier = {
        name: entry for name, entry in card.evaluation.items() if name in (VALIDATION, TEST_SPLIT)
    }
    renewed = replace(card, evaluation={**evaluation.for_card(), **earlier})
    write_card(renewed, notes(renewed), folder.classifier)
    return True
