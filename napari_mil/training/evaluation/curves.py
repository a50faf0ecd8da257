"""Curves and counts of a page of figures: ROC, precision and recall, calibration, confusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_mil.training.evaluation.answers import Answers, Link
from napari_mil.training.evaluation.metrics import BINS, auc, average_precision

Line = tuple[np.ndarray, np.ndarray]
"""x and y of a curve."""
OUTCOMES = ("has it, given", "has it, missed", "wrongly given", "rightly not given")
"""Columns of the confusion of independent labels."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Curve of one class against the others, one line a repeat."""

    name: str
    """Class."""
    lines: tuple[Line, ...]
    """(x, y) of each repeat."""
    area: float
    """Area under it, the mean over repeats; NaN where a class is missing."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Observed share of what is predicted with some probability, in bins of equal width."""

    predicted: np.ndarray
    """Mean probability in each bin that holds any, float (K,)."""
    observed: np.ndarray
    """Share that is right, float (K,)."""
    count: np.ndarray
    """Bags in it, the mean over repeats, float (K,)."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often bags of a class get an answer."""

    rows: tuple[str, ...]
    """True classes; of independent labels, the labels."""
    columns: tuple[str, ...]
    """Classes that are given; of independent labels, `OUTCOMES`."""
    members: np.ndarray
    """Which bag falls into which cell in each repeat, bool (R, B, rows, columns)."""

    @property
    def counts(self) -> np.ndarray:
        """Bags in each cell, the mean over repeats, float (rows, columns)."""
        return self.members.sum(1).mean(0)

    def bags_in(self, row: int, column: int) -> list[tuple[int, int]]:
        """Return the bags of a cell, and in how many repeats they fall into it."""
        times = self.members[:, :, row, column].sum(0)
        return [(int(b), int(times[b])) for b in np.flatnonzero(times)]


@dataclass(frozen=True, eq=False)
class Curves:
    """Everything that a page of figures draws."""

    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    calibrated: Reliability
    uncalibrated: Reliability
    of_positive: bool
    """Whether calibration is of the positive class; otherwise of what is predicted."""
    confusion: Confusion


def curves_of(answers: Answers) -> Curves:
    """Return the curves and counts of some answers."""
    truth = _truth(answers)
    values = answers.probabilities
    if len(answers.classes) == 2 and not answers.multi_label:
        # One curve says all; logits keep apart what probabilities round to 1.
        classes = [(answers.classes[1], truth[:, 1], answers.judged[..., 0])]
    else:
        classes = [(name, truth[:, c], values[..., c]) for c, name in enumerate(answers.classes)]
    return Curves(
        roc=tuple(_curve(*of_class, roc_line, auc) for of_class in classes),
        precision_recall=tuple(
            _curve(*of_class, precision_recall_line, average_precision) for of_class in classes
        ),
        calibrated=_reliability(answers, truth, values),
        uncalibrated=_reliability(answers, truth, answers.uncalibrated_probabilities),
        of_positive=len(answers.classes) == 2 or answers.multi_label,
        confusion=_confusion(answers, truth),
    )


def roc_line(positive: np.ndarray, scores: np.ndarray) -> Line:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1).

    Parameters
    ----------
    positive
        bool (B,), with both kinds.
    scores
        float (B,); equal ones are taken together.
    """
    hits, misses = _cumulated(positive, scores)
    return misses / misses[-1], hits / hits[-1]


def precision_recall_line(positive: np.ndarray, scores: np.ndarray) -> Line:
    """Return recall and precision at every threshold, the highest first.

    Parameters
    ----------
    positive
        bool (B,), with at least one.
    scores
        float (B,); equal ones are taken together.
    """
    hits, misses = _cumulated(positive, scores)
    precision = hits[1:] / (hits[1:] + misses[1:])
    return np.append(0.0, hits[1:] / hits[-1]), np.append(precision[0], precision)


def _cumulated(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and false alarms above every threshold, from none to all."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    hits = np.cumsum(positive[order])[last]
    return np.append(0, hits), np.append(0, last + 1 - hits)


def _curve(
    name: str,
    positive: np.ndarray,
    scores: np.ndarray,
    draw: Callable[[np.ndarray, np.ndarray], Line],
    measure: Callable[[np.ndarray, np.ndarray], float],
) -> Curve:
    """Return the curve of one class; without lines where it cannot be drawn.

    Parameters
    ----------
    name
        Class.
    positive
        bool (B,).
    scores
        float (R, B).
    draw, measure
        Make the line, and the area below it.
    """
    can_be_drawn = positive.any() and not positive.all()
    return Curve(
        name,
        tuple(draw(positive, of_repeat) for of_repeat in scores) if can_be_drawn else (),
        float(np.mean([measure(positive, of_repeat) for of_repeat in scores])),
    )


def _truth(answers: Answers) -> np.ndarray:
    """Return which classes bags have, bool (B, classes)."""
    targets = answers.targets
    return targets > 0 if targets.ndim == 2 else np.eye(len(answers.classes), dtype=bool)[targets]


def _reliability(answers: Answers, truth: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Return predicted and observed shares.

    Of the positive one of two classes, of the likeliest of several, of every independent label.
    """
    if answers.multi_label:
        p = probabilities.ravel()
        right = np.broadcast_to(truth, probabilities.shape).ravel()
    elif len(answers.classes) == 2:
        p = probabilities[..., 1].ravel()
        right = np.broadcast_to(truth[:, 1], probabilities.shape[:2]).ravel()
    else:
        p = probabilities.max(-1).ravel()
        right = (probabilities.argmax(-1) == answers.targets).ravel()
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    filled = [bins == k for k in range(BINS) if (bins == k).any()]
    return Reliability(
        predicted=np.array([p[chosen].mean() for chosen in filled]),
        observed=np.array([right[chosen].mean() for chosen in filled]),
        count=np.array([chosen.sum() / answers.repeats for chosen in filled]),
    )


def _confusion(answers: Answers, truth: np.ndarray) -> Confusion:
    given = answers.predicted
    if answers.link is not Link.MULTI_LABEL:
        members = truth[None, :, :, None] & given[:, :, None, :]
        return Confusion(answers.classes, answers.classes, members)
    has = np.broadcast_to(truth, given.shape)
    outcomes = np.stack([has & given, has & ~given, ~has & given, ~has & ~given], -1)
    return Confusion(answers.classes, OUTCOMES, outcomes)
