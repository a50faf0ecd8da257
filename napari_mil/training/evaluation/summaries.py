"""Figures of a cross-validation, summed up from the answers of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from napari_mil.inference.card import FEW_PATIENTS, INTERVAL_METHODS
from napari_mil.inference.seen_before import SeenBefore
from napari_mil.training.bundle import FEWEST_TO_CALIBRATE
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.evaluation.answers import (
    Answers,
    Link,
    labelled_bags,
    link_of,
    one_of_two,
)
from napari_mil.training.evaluation.folds import FoldResult, FoldTask
from napari_mil.training.evaluation.intervals import FewPatients, few_patients, sources
from napari_mil.training.evaluation.metrics import (
    Estimate,
    best_threshold,
    calibration_error,
    estimates,
    fit_temperature,
)
from napari_mil.training.evaluation.predictions_table import PredictionsTable, Row
from napari_mil.training.evaluation.protocols import (
    LAST_EPOCH,
    Design,
    Protocol,
    choose_on_test,
    describe_honest_selection,
    describe_published_selection,
    published_rule,
)

SCHEMA = "napari-mil/evaluation/1"
DECIDING = ("accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity")
"""Figures that depend on the threshold."""


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
    """Figures at probability 0.5; under the published protocol, at its threshold."""
    at_validation_threshold: Mapping[str, Estimate] = field(default_factory=dict)
    """Figures at the threshold that is best on validation bags.

    Each fold has its own threshold; two classes only.
    """
    calibration: Mapping[str, float | None] = field(default_factory=dict)
    """Expected calibration error before and after a temperature.

    On validation bags and on test bags.
    """
    overlay: Mapping[str, float | int] = field(default_factory=dict)
    """AUC of the overlay on annotated tiles of test bags.

    The mean over bags and then folds, its spread, and the number of folds that had any.
    """
    epochs: tuple[int, ...] = ()
    """Epoch kept in each repeat and fold, counted from 1."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    unit: str = "patient"
    """What stays together in a fold, in words; see `Cohort.unit`."""
    start: SeenBefore | None = None
    """Bags that the classifier has seen from which folds start; None where they start afresh."""
    few_patients: tuple[FewPatients, ...] = ()
    """Classes of so few patients that their figures say little."""
    out_of_fold: tuple[Mapping[str, Any], ...] = ()
    """Name, label and probabilities of each bag.

    One probability per repeat, from a classifier that was not trained on the bag's patient.
    """
    answers: Answers | None = field(default=None, compare=False)
    """Answers behind the figures, each from a classifier that did not train on the patient."""
    validation: PredictionsTable | None = field(default=None, compare=False)
    """Answers for the validation bags of every fold; None where nothing was put aside."""

    @property
    def headline(self) -> str:
        """The figure to quote, with its interval and protocol."""
        name = "auc" if "auc" in self.metrics else "auc_macro"
        area = self.metrics[name]
        return f"AUC {area.words}, {self.label}"

    @property
    def label(self) -> str:
        """Protocol and folds, in a few words."""
        times = f"{self.repeats} × {self.folds}" if self.repeats > 1 else str(self.folds)
        label = f"{self.protocol} protocol, {times} folds by {self.unit}"
        if self.protocol == "published" and not self.selection.startswith(LAST_EPOCH):
            label += "; chosen on the test fold, optimistic"
        if self.start is not None:
            label += "; from weights trained before"
            if self.start.seen:
                label += f", on {self.start.seen} of these {self.start.total} bags"
        return label

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``evaluation.json``."""
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
            "metrics": self._with_protocol(self.metrics),
            "interval methods": self._interval_methods,
            "few patients": [asdict(few) for few in self.few_patients],
            "at validation threshold": self._with_protocol(self.at_validation_threshold),
            "calibration": dict(self.calibration),
            "overlay": {**self.overlay, "protocol": self.protocol} if self.overlay else {},
            "epochs kept": list(self.epochs),
            "remarks": list(self.remarks),
            "settings": dict(self.settings),
            "out of fold": [dict(row) for row in self.out_of_fold],
        }

    def for_card(self) -> dict[str, Any]:
        """Return the entries of a bundle's card, without names of bags."""
        entries: dict[str, Any] = {
            "headline": self.headline,
            "protocol": f"{self.label}; {self.selection}",
            "cross-validation": self._with_protocol(self.metrics),
            INTERVAL_METHODS: self._interval_methods,
            FEW_PATIENTS: [few.text for few in self.few_patients],
        }
        if self.at_validation_threshold:
            entries["cross-validation, at the validation threshold"] = self._with_protocol(
                self.at_validation_threshold
            )
        if self.overlay:
            entries["overlay"] = dict(self.overlay)
        return {**entries, "calibration": dict(self.calibration)}

    @property
    def _interval_methods(self) -> dict[str, str]:
        """Sources of the intervals' methods, by their names."""
        return sources(figure.method for figure in self.metrics.values())

    def _with_protocol(self, metrics: Mapping[str, Estimate]) -> dict[str, Any]:
        return {
            name: {**value.as_dict(), "protocol": self.protocol} for name, value in metrics.items()
        }


def summarise(
    design: Design,
    tasks: Sequence[FoldTask],
    results: Sequence[FoldResult],
    remarks: tuple[str, ...],
    start: SeenBefore | None = None,
) -> Evaluation:
    """Turn the answers of every fold into figures with their uncertainty.

    Parameters
    ----------
    design
        What was cross-validated.
    tasks, results
        The folds, and what their classifiers answered.
    remarks
        Sentences that a reader of the figures should know.
    start
        Bags that the classifier has seen from which folds start.
    """
    cohort = design.cohort
    config = design.config
    n_outputs = results[0].test.shape[-1]
    collected = _Collected(design, n_outputs)
    for task, result in zip(tasks, results, strict=True):
        if design.protocol == "published":
            collected.add_published(task, result)
        else:
            collected.add_honest(task, result)
    answers = collected.answers()
    honest = design.protocol == "honest"
    at_validation_threshold = {}
    chosen = answers.validation_threshold
    if honest and chosen is not None and bool((chosen != 0.5).any()):
        every_figure = estimate_figures(answers, chosen)
        at_validation_threshold = {name: every_figure[name] for name in DECIDING}
    return Evaluation(
        protocol=design.protocol,
        selection=(
            describe_honest_selection(config, tasks)
            if honest
            else describe_published_selection(config, n_outputs)
        ),
        classes=cohort.classes,
        folds=design.folds,
        repeats=design.repeats,
        n_bags=len(cohort),
        n_patients=len(set(cohort.groups)),
        metrics=estimate_figures(answers, answers.threshold),
        at_validation_threshold=at_validation_threshold,
        calibration=collected.summarise_calibration(answers) if honest else {},
        overlay=_summarise_overlays([result.tile_auc for result in results]),
        epochs=tuple(collected.epochs),
        settings=config.model_dump(exclude={"cohort"}),
        remarks=remarks,
        unit=cohort.unit,
        start=start,
        few_patients=find_few_patients(cohort),
        out_of_fold=_out_of_fold_rows(answers),
        answers=answers,
        validation=collected.validation(),
    )


def estimate_figures(answers: Answers, threshold: np.ndarray) -> dict[str, Estimate]:
    """Return every figure of some answers at the thresholds (R, B) of the bags."""
    return estimates(
        answers.targets,
        answers.judged,
        answers.groups,
        threshold=threshold,
        folds=answers.fold_of,
    )


def calibration_errors(answers: Answers, bags: str) -> dict[str, float]:
    """Return the expected calibration errors of `bags`, before and after temperature.

    Averaged over repeats.
    """
    name = f"expected calibration error on {bags} bags"
    return {
        name: _mean_error(answers.targets, answers.judged),
        f"{name}, uncalibrated": _mean_error(answers.targets, answers.judged_uncalibrated),
    }


def _mean_error(targets: np.ndarray, logits: np.ndarray) -> float:
    return float(np.mean([calibration_error(targets, of_repeat) for of_repeat in logits]))


def find_few_patients(cohort: Cohort) -> tuple[FewPatients, ...]:
    """Return the classes of a cohort with too few patients, or bags where those are unknown."""
    unit = "patient" if cohort.patients_known else "bag"
    return few_patients(cohort.classes, cohort.targets, cohort.groups, unit=unit)


class _Collected:
    """What the folds answered, and what was chosen in them.

    Attributes
    ----------
    epochs
        Kept epoch of each fold, counted from 1.
    """

    def __init__(self, design: Design, n_outputs: int) -> None:
        self._design = design
        self._targets = design.cohort.targets
        self._bags = labelled_bags(design.cohort)
        self._link = link_of(design.cohort, n_outputs)
        shape = (design.repeats, len(self._targets))
        self._fold_of = np.zeros(shape, int)
        self._raw = np.zeros((*shape, n_outputs))
        self._temperature = np.ones(shape)
        self._threshold = np.full(shape, 0.5)
        self._validation_threshold = np.full(shape, 0.5)
        self._validation: list[Row] = []
        self.epochs: list[int] = []
        self._temperatures: list[float] = []
        self._errors: dict[str, list[float]] = {"validation": [], "validation, uncalibrated": []}

    def add_published(self, task: FoldTask, result: FoldResult) -> None:
        """Add a fold; choose its epoch on the test bags."""
        rule, _ = published_rule(self._design.config)
        test = list(task.split.test)
        epoch, threshold = choose_on_test(rule, self._targets[test], result.test)
        self._fold_of[task.repeat, test] = task.fold
        self._raw[task.repeat, test] = result.test[epoch]
        self._threshold[task.repeat, test] = threshold
        self.epochs.append(epoch + 1)

    def add_honest(self, task: FoldTask, result: FoldResult) -> None:
        """Add a fold whose choices were made on validation bags."""
        test = list(task.split.test)
        targets = self._targets[list(task.split.validation)]
        temperature = 1.0
        threshold = 0.5
        if len(targets) >= FEWEST_TO_CALIBRATE:
            temperature = fit_temperature(targets, result.validation, cautious=True)
            calibrated = result.validation / temperature
            self._errors["validation, uncalibrated"].append(
                calibration_error(targets, result.validation)
            )
            self._errors["validation"].append(calibration_error(targets, calibrated))
            judged = one_of_two(calibrated, self._link)
            if judged.shape[-1] == 1:
                threshold = best_threshold(targets, judged[:, 0])
        self._validation_threshold[task.repeat, test] = threshold
        self._fold_of[task.repeat, test] = task.fold
        self._raw[task.repeat, test] = result.test[0]
        self._temperature[task.repeat, test] = temperature
        self.epochs.append(result.epoch)
        self._temperatures.append(temperature)
        self._validation += [
            Row(self._bags[b], task.repeat, task.fold, tuple(row), temperature, 0.5, threshold)
            for b, row in zip(task.split.validation, result.validation.tolist(), strict=True)
        ]

    def answers(self) -> Answers:
        """Return the answers for the test bags of all folds."""
        cohort = self._design.cohort
        has_threshold = self._design.protocol == "honest" and len(cohort.classes) == 2
        return Answers(
            classes=cohort.classes,
            link=self._link,
            bags=self._bags,
            groups=cohort.groups,
            uncalibrated=self._raw,
            temperature=self._temperature,
            threshold=self._threshold,
            validation_threshold=(
                self._validation_threshold if has_threshold and not cohort.multi_label else None
            ),
            fold_of=self._fold_of,
        )

    def validation(self) -> PredictionsTable | None:
        """Return the answers for the validation bags, or None without any."""
        if not self._validation:
            return None
        return PredictionsTable(self._design.cohort.classes, self._link, tuple(self._validation))

    def summarise_calibration(self, answers: Answers) -> dict[str, float | None]:
        """Return the expected calibration errors, rounded to four digits."""
        summary: dict[str, float | None] = {
            f"expected calibration error on {name}": float(np.mean(values)) if values else None
            for name, values in self._errors.items()
        }
        summary |= calibration_errors(answers, "test")
        summary["temperature, mean over folds"] = float(np.mean(self._temperatures))
        return {name: None if value is None else round(value, 4) for name, value in summary.items()}


def _summarise_overlays(areas: Sequence[float]) -> dict[str, float | int]:
    """Return the mean tile AUC of the folds and its spread."""
    known = [area for area in areas if not np.isnan(area)]
    if not known:
        return {}
    return {
        "tile_auc": round(float(np.mean(known)), 4),
        "SD over folds": round(float(np.std(known)), 4),
        "folds with annotated tiles": len(known),
    }


def _out_of_fold_rows(answers: Answers) -> tuple[Mapping[str, Any], ...]:
    """Return name, label, folds and probabilities of every bag."""
    assert answers.fold_of is not None
    link = answers.link
    outputs = answers.probabilities[..., 1:] if link is Link.SIGMOID else answers.probabilities
    return tuple(
        {
            "bag": PurePosixPath(bag.path).name,
            "label": list(bag.labels),
            "folds": answers.fold_of[:, b].tolist(),
            "probabilities": np.round(outputs[:, b], 5).tolist(),
        }
        for b, bag in enumerate(answers.bags)
    )
