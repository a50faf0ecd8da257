"""95 % intervals of figures, for few bags that come from fewer patients.

A percentile bootstrap over patients covers 0.51 (sensitivity) to 0.86 (F1) on average over the few
bags of docs/intervals.md, and says "0.000 to 0.000" of three positives that are all missed. Here
every figure has an interval that needs no large sample:

accuracy, sensitivity, specificity
    Clopper & Pearson's limits at the effective number of bags (Korn & Graubard 1998, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey
    data").
F1
    The share J of true positives among all bags but the true negatives gives F1 = 2 J / (1 + J);
    J is a proportion and gets mid-P limits (Berry & Armitage 1995, "Mid-P confidence intervals: a
    brief review") at the effective number of these bags.
average precision
    Binomial at the effective number of positives (Boyd, Eng & Page 2013, "Area under the
    precision-recall curve: point estimates and confidence intervals"), with mid-P limits.
AUC
    Newcombe's score interval (2006, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", method 5) at the effective numbers of both classes. Where the
    clustered variance of Obuchowski (1997, "Nonparametric analysis of clustered ROC curve data":
    DeLong's, by patient) is larger than that method's model, the variance is scaled up to it.
means over classes or labels, balanced accuracy
    MOVER (Zou & Donner 2008, "Construction of confidence limits about effect measures: a general
    approach") from the limits of the parts, correlated as their influence values by patient are.

The effective number of n bags is n / (1 + (k - 1) ρ): k is the size of the patient of a typical
bag, ρ the correlation of bags of one patient and class (one-way analysis of variance of normal
scores of the logits). Few patients tell little about ρ; its upper limit (`CORRELATION_LEVEL`;
Searle 1971, "Linear Models") is taken, which is 1 where nothing is known: patients are counted.

The figure of a repeated cross-validation is a mean over repeats: answers are averaged over repeats
bag by bag before the variance is taken. What repeats add is thus not counted as more bags.
How often the intervals cover is simulated by ``benchmarks/coverage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, expit, logsumexp
from scipy.stats import f as f_distribution
from scipy.stats import norm, rankdata

LEVEL = 0.95
"""Nominal coverage of every interval."""
CORRELATION_LEVEL = 0.75
"""One-sided level of the limit that is taken for the correlation of a patient's bags.

Simulated: 0.5 covers 0.91 with four patients, 0.8 is wider and covers no better.
"""
FEWEST_PATIENTS = 10
"""Patients of a class below which an evaluation says what it cannot tell."""
_TAIL = (1 - LEVEL) / 2
_Z = float(norm.ppf(1 - _TAIL))
_EDGE = 1e-9


class Method(Enum):
    """Ways to an interval; the value is the name that stands beside it."""

    CLOPPER_PEARSON = "Clopper–Pearson"
    MID_P = "mid-P"
    NEWCOMBE = "Newcombe"
    MOVER = "MOVER"
    PERCENTILE_BOOTSTRAP = "percentile bootstrap"

    @property
    def source(self) -> str:
        """Publication, in a few words."""
        return _SOURCES[self]


_SOURCES = {
    Method.CLOPPER_PEARSON: "Clopper–Pearson limits at the effective number of bags "
    "(Korn & Graubard 1998)",
    Method.MID_P: "binomial mid-P limits at the effective number of bags (Berry & Armitage 1995; "
    "average precision: Boyd, Eng & Page 2013)",
    Method.NEWCOMBE: "score interval of the AUC (Newcombe 2006, method 5) with the variance by "
    "patient (Obuchowski 1997) where that is larger",
    Method.MOVER: "from the limits of the parts (Zou & Donner 2008)",
    Method.PERCENTILE_BOOTSTRAP: "percentiles of a bootstrap over groups",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval and how it was made."""

    low: float
    high: float
    method: Method

    def around(self, value: float) -> Interval:
        """Return the interval, widened by rounding errors to hold a value."""
        return replace(self, low=min(self.low, value), high=max(self.high, value))


@dataclass(frozen=True, slots=True)
class Difference:
    """AUC of one set of answers minus that of another, on the same bags."""

    mean: float
    low: float
    high: float
    method: Method


@dataclass(frozen=True, slots=True)
class FewPatients:
    """A class of so few patients that its figures say little."""

    name: str
    patients: int
    unit: str = "patient"
    """What was counted: ``bag`` where patients are unknown."""

    @property
    def text(self) -> str:
        """What cannot be known from so few, in two sentences."""
        low, _ = binomial_limits(1.0, self.patients)
        patients = f"{self.patients} {self.unit}" + ("s" if self.patients != 1 else "")
        right = "it is" if self.patients == 1 else "all of them are"
        return (
            f"{self.name} has only {patients}. Even if {right} classified rightly, up to "
            f"{1 - low:.0%} of new ones may not be; no figure about this class can say more."
        )


def sources(methods: Iterable[Method | None]) -> dict[str, str]:
    """Return the source of each method by its name."""
    used = [method for method in methods if method is not None]
    return {method.value: method.source for method in dict.fromkeys(used)}


def few_patients(
    names: Sequence[str],
    targets: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    unit: str = "patient",
) -> tuple[FewPatients, ...]:
    """Return the classes with fewer than `FEWEST_PATIENTS` patients.

    Parameters
    ----------
    names
        Names of the classes, or of the labels.
    targets
        Class indices, int (B,), or 0 and 1 of each label, (B, C).
    groups
        Patient of each bag, (B,).
    unit
        What a group is: ``patient``, or ``bag`` where patients are unknown.
    """
    patients = np.asarray(groups)
    members = targets == 1 if targets.ndim == 2 else targets[:, None] == np.arange(len(names))
    counts = [len(np.unique(patients[members[:, c]])) for c in range(len(names))]
    return tuple(
        FewPatients(name, count, unit)
        for name, count in zip(names, counts, strict=True)
        if count < FEWEST_PATIENTS
    )


def intervals(
    targets: np.ndarray,
    logits: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    threshold: float | np.ndarray = 0.5,
) -> dict[str, Interval]:
    """Return the interval of every figure, averaged over repeats.

    Parameters
    ----------
    targets
        Class indices, int (B,), or 0 and 1 of each label, (B, C).
    logits
        (R, B, 1) of one sigmoid unit, otherwise (R, B, C).
    groups
        Patient of each bag, (B,).
    threshold
        Threshold on the probability; one for all, or (R, B). Of independent labels the mean of each
        repeat counts; exclusive classes have none.

    Returns
    -------
    dict
        An interval by the names of `metrics.figures`; figures that do not exist have none.
    """
    patients = np.unique(np.asarray(groups), return_inverse=True)[1]
    thresholds = np.broadcast_to(threshold, logits.shape[:2])
    if targets.ndim == 2:
        parts = _of_labels(targets == 1, logits, patients, thresholds.mean(1))
    elif logits.shape[2] == 1:
        scores = logits[:, :, 0]
        question = _Question(targets == 1, scores, expit(scores) >= thresholds, patients)
        parts = question.every_part()
    else:
        parts = _of_classes(targets, logits, patients)
    return {name: part.interval for name, part in parts.items() if part is not None}


def difference(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[str] | np.ndarray,
) -> Difference:
    """Return the AUC of the first answers minus that of the second, on the same bags.

    MOVER of both AUCs' intervals, correlated as their influence values by patient are: the paired
    comparison of DeLong, DeLong & Clarke-Pearson (1988) and Obuchowski (1997), without their
    interval of no width where both tell the classes apart without error.

    Parameters
    ----------
    labels
        0 or 1 (B,), class indices (B,), or 0 and 1 of each label (B, C).
    first, second
        Out-of-fold logits, (B,), (R, B) or (R, B, C): of several classes or labels the AUC is the
        mean over them. The numbers of repeats may differ.
    groups
        Patient of each bag, (B,).

    Returns
    -------
    Difference
        NaN where a class is missing.
    """
    patients = np.unique(np.asarray(groups), return_inverse=True)[1]
    one, other = (_mean_area(labels, logits, patients) for logits in (first, second))
    if one is None or other is None:
        return Difference(math.nan, math.nan, math.nan, Method.MOVER)
    if np.array_equal(first, second):
        # MOVER's limits, which lie unevenly around an AUC, would not meet at 0.
        return Difference(0.0, 0.0, 0.0, Method.MOVER)
    sums = np.stack([_by_patient(part.influence, patients) for part in (one, other)])
    correlation = _correlations(sums, unknown=0.0)[0, 1]
    mean = one.point - other.point
    below = _square_and_add(one.point - one.low, other.high - other.point, -correlation)
    above = _square_and_add(one.high - one.point, other.point - other.low, -correlation)
    return Difference(mean, mean - below, mean + above, Method.MOVER)


def binomial_limits(share: float, number: float) -> tuple[float, float]:
    """Return the limits of Clopper & Pearson.

    Parameters
    ----------
    share
        Share of successes.
    number
        Number of trials; an effective one need not be whole.
    """
    hits = share * number
    misses = number - hits
    low = float(betaincinv(hits, misses + 1, _TAIL)) if hits > _EDGE else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - _TAIL)) if misses > _EDGE else 1.0
    return low, high


def mid_p_limits(share: float, number: float) -> tuple[float, float]:
    """Return limits that count half of the probability of what was seen.

    Shorter than those of Clopper & Pearson, and covering 95 % on average over shares instead of at
    each. Parameters as `binomial_limits`.
    """
    hits = share * number
    misses = number - hits

    def tail(p: float) -> float:
        """Return the probability of more hits than seen, and half that of as many."""
        at_least = betainc(hits, misses + 1, p) if hits > _EDGE else 1.0
        more = betainc(hits + 1, misses, p) if misses > _EDGE else 0.0
        return float(at_least + more) / 2

    low = brentq(lambda p: tail(p) - _TAIL, 0, 1, xtol=_EDGE) if hits > _EDGE else 0.0
    high = brentq(lambda p: tail(p) - (1 - _TAIL), 0, 1, xtol=_EDGE) if misses > _EDGE else 1.0
    return float(low), float(high)


def area_limits(
    area: float, positives: float, negatives: float, inflation: float = 1.0
) -> tuple[float, float]:
    """Return the score limits of an AUC.

    They are the areas θ with (θ - area)² = z² V(θ), where V is that of Hanley & McNeil with both
    numbers of bags in the numerator replaced by their mean; see `area_variance`.

    Parameters
    ----------
    area
        Estimated AUC.
    positives, negatives
        Numbers of bags; effective ones need not be whole.
    inflation
        Factor on the variance.
    """

    def excess(theta: float) -> float:
        variance = inflation * area_variance(theta, positives, negatives)
        return abs(theta - area) - _Z * math.sqrt(variance)

    low = brentq(excess, 0, min(area, 1 - _EDGE), xtol=_EDGE) if area > _EDGE else 0.0
    high = brentq(excess, max(area, _EDGE), 1, xtol=_EDGE) if area < 1 - _EDGE else 1.0
    return float(low), float(high)


def area_variance(area: float, positives: float, negatives: float) -> float:
    """Return the variance of an AUC by Newcombe's method 5."""
    other = (positives + negatives) / 2 - 1
    pairs = positives * negatives
    spread = 1 + other * (1 - area) / (2 - area) + other * area / (1 + area)
    return area * (1 - area) * spread / pairs


def intraclass_correlation(values: np.ndarray, strata: np.ndarray, patients: np.ndarray) -> float:
    """Return the upper limit of the correlation between bags of one patient.

    One-way analysis of variance over the bags of one patient and stratum; the mean of each stratum
    is taken off. Without two patients in a stratum, or without two bags of one patient, nothing is
    known: 1.

    Parameters
    ----------
    values
        A value per bag, (B,).
    strata
        Class of each bag, (B,).
    patients
        Number of each bag's patient, int (B,).

    Returns
    -------
    float
        In [0, 1].
    """
    n_bags = len(values)
    stratum = np.unique(strata, return_inverse=True)[1].reshape(-1)
    n_strata = int(stratum.max()) + 1
    cells, cell = np.unique(patients * n_strata + stratum, return_inverse=True)
    sizes = np.bincount(cell)
    if sizes.max() == 1:
        return 1.0
    between_freedom = len(cells) - n_strata
    within_freedom = n_bags - len(cells)
    if between_freedom == 0:
        return 1.0
    centred = values - (np.bincount(stratum, values) / np.bincount(stratum))[stratum]
    between = float((np.bincount(cell, centred) ** 2 / sizes).sum())
    within = float((centred**2).sum()) - between
    if within <= _EDGE * n_bags:
        return 1.0
    of_stratum = cells % n_strata
    squares = np.bincount(of_stratum, sizes**2) / np.bincount(of_stratum, sizes)
    size = (n_bags - squares.sum()) / between_freedom
    ratio = (between / between_freedom) / (within / within_freedom)
    ratio /= float(f_distribution.ppf(1 - CORRELATION_LEVEL, between_freedom, within_freedom))
    return float(np.clip((ratio - 1) / (ratio + size - 1), 0, 1))


@dataclass(frozen=True, eq=False)
class _Part:
    """A figure with its interval, which a mean over classes is made of."""

    point: float
    low: float
    high: float
    method: Method
    influence: np.ndarray
    """What a bag adds to the figure, to the first order, (B,)."""

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.high, self.method).around(self.point)


@dataclass(frozen=True, eq=False)
class _Question:
    """Bags of one yes-or-no question, with the answers of every repeat."""

    truth: np.ndarray
    """bool (B,)."""
    scores: np.ndarray
    """Larger for a likelier yes, (R, B)."""
    answers: np.ndarray
    """bool (R, B)."""
    patients: np.ndarray
    """int (B,)."""

    def every_part(self) -> dict[str, _Part | None]:
        """Return every figure of `metrics.binary_figures`."""
        return {
            "accuracy": self.proportion(np.ones(len(self.truth), bool), binomial_limits),
            "balanced_accuracy": self.balanced_accuracy(),
            "f1": self.f1(),
            "sensitivity": self.proportion(self.truth, binomial_limits),
            "specificity": self.proportion(~self.truth, binomial_limits),
            "auc": self.area(),
            "average_precision": self.average_precision(),
        }

    @cached_property
    def correlation(self) -> float:
        return intraclass_correlation(_normal_scores(self.scores), self.truth, self.patients)

    def proportion(
        self, chosen: np.ndarray, limits: Callable[[float, float], tuple[float, float]]
    ) -> _Part | None:
        """Return the share of right answers among some bags; None without any."""
        right = (self.answers == self.truth).mean(0)
        return _proportion(right, chosen, self.patients, self.correlation, limits)

    def balanced_accuracy(self) -> _Part | None:
        """Return the mean of sensitivity and specificity."""
        parts = [self.proportion(chosen, mid_p_limits) for chosen in (self.truth, ~self.truth)]
        if any(part is None for part in parts):
            return None
        return _mean_of(parts, self.patients, independent=True)

    def f1(self) -> _Part | None:
        """Return F1; None where nothing is positive and nothing called so."""
        hits = self.answers & self.truth
        wrong = self.answers != self.truth
        totals = 2 * hits.sum(1) + wrong.sum(1)
        known = totals > 0
        if not known.any():
            return None
        hits, wrong, totals = hits[known], wrong[known], totals[known, None]
        values = 2 * hits.sum(1, keepdims=True) / totals
        point = float(values.mean())
        number = float((hits | wrong).sum(1).mean())
        everything = np.ones(len(self.truth), bool)
        crowding = len(self.truth) / _effective(everything, self.patients, self.correlation)
        low, high = mid_p_limits(point / (2 - point), number / crowding)
        influence = ((2 * hits - values * (2 * hits + wrong)) / totals).mean(0)
        return _Part(point, 2 * low / (1 + low), 2 * high / (1 + high), Method.MID_P, influence)

    def area(self) -> _Part | None:
        """Return the AUC; None where a class is missing."""
        if self.truth.all() or not self.truth.any():
            return None
        influence, point = _area_influence(self.truth, self.scores)
        positives = _effective(self.truth, self.patients, self.correlation)
        negatives = _effective(~self.truth, self.patients, self.correlation)
        modelled = area_variance(point, positives, negatives)
        measured = _clustered_variance(influence, self.truth, self.patients)
        inflation = max(1.0, measured / modelled) if modelled > 0 else 1.0
        low, high = area_limits(point, positives, negatives, inflation)
        return _Part(point, low, high, Method.NEWCOMBE, influence)

    def average_precision(self) -> _Part | None:
        """Return the average precision; None without a positive."""
        if not self.truth.any():
            return None
        influence, point = _precision_influence(self.truth, self.scores)
        number = _effective(self.truth, self.patients, self.correlation)
        low, high = mid_p_limits(point, number)
        return _Part(point, low, high, Method.MID_P, influence)


def _of_classes(
    targets: np.ndarray, logits: np.ndarray, patients: np.ndarray
) -> dict[str, _Part | None]:
    """Return every figure of `metrics.multiclass_figures`."""
    chosen = logits.argmax(2)
    normalised = logits - logsumexp(logits, 2, keepdims=True)
    # Log odds of each class against the rest.
    odds = normalised - np.log(-np.expm1(np.minimum(normalised, -1e-15)))
    questions = [
        _Question(targets == c, odds[:, :, c], chosen == c, patients)
        for c in range(logits.shape[2])
    ]
    margin = np.take_along_axis(odds, targets[None, :, None], 2)[:, :, 0]
    correlation = intraclass_correlation(_normal_scores(margin), targets, patients)
    right = (chosen == targets).mean(0)
    everything = np.ones(len(targets), bool)
    sensitivity = _mean_of(
        [q.proportion(q.truth, mid_p_limits) for q in questions], patients, independent=True
    )
    return {
        "accuracy": _proportion(right, everything, patients, correlation, binomial_limits),
        "balanced_accuracy": sensitivity,
        "f1": _mean_of([q.f1() for q in questions], patients),
        "sensitivity": sensitivity,
        "specificity": _mean_of(
            [q.proportion(~q.truth, mid_p_limits) for q in questions], patients
        ),
        "auc": _mean_of([q.area() for q in questions], patients),
        "average_precision": _mean_of([q.average_precision() for q in questions], patients),
    }


def _of_labels(
    targets: np.ndarray, logits: np.ndarray, patients: np.ndarray, threshold: np.ndarray
) -> dict[str, _Part | None]:
    """Return every figure of `metrics.multilabel_figures`; thresholds (R,)."""
    n_labels = targets.shape[1]
    answers = expit(logits) >= threshold[:, None, None]
    every_label = [
        _Question(targets[:, c], logits[:, :, c], answers[:, :, c], patients).every_part()
        for c in range(n_labels)
    ]
    repeats = len(logits)
    micro = _Question(
        targets.ravel(),
        logits.reshape(repeats, -1),
        answers.reshape(repeats, -1),
        np.repeat(patients, n_labels),
    ).every_part()
    macro = {
        f"{name}_macro": _mean_of([parts[name] for parts in every_label], patients)
        for name in micro
    }
    margin = np.where(targets, logits, -logits).min(2)
    one_stratum = np.zeros(len(patients), int)
    correlation = intraclass_correlation(_normal_scores(margin), one_stratum, patients)
    right = (answers == targets).all(2).mean(0)
    exact = _proportion(right, np.ones(len(right), bool), patients, correlation, binomial_limits)
    return {
        **macro,
        **{f"{name}_micro": part for name, part in micro.items()},
        "all_labels_right": exact,
    }


def _mean_area(labels: np.ndarray, logits: np.ndarray, patients: np.ndarray) -> _Part | None:
    """Return the AUC, or its mean over classes or labels."""
    repeated = logits[None] if logits.ndim == 1 else logits
    answers = repeated[:, :, None] if repeated.ndim == 2 else repeated
    if labels.ndim == 2:
        parts = _of_labels(labels == 1, answers, patients, np.full(len(answers), 0.5))
        return parts["auc_macro"]
    if answers.shape[2] > 1:
        return _of_classes(labels, answers, patients)["auc"]
    scores = answers[:, :, 0]
    return _Question(labels == 1, scores, scores >= 0, patients).area()


def _proportion(
    right: np.ndarray,
    chosen: np.ndarray,
    patients: np.ndarray,
    correlation: float,
    limits: Callable[[float, float], tuple[float, float]],
) -> _Part | None:
    """Return the share of right answers among some bags; None without any.

    Parameters
    ----------
    right
        Share of the repeats in which each bag is right, (B,).
    chosen
        Which bags count, bool (B,).
    patients, correlation
        Patient of each bag, (B,), and the correlation of a patient's bags.
    limits
        `binomial_limits` or `mid_p_limits`.
    """
    if not chosen.any():
        return None
    point = float(right[chosen].mean())
    low, high = limits(point, _effective(chosen, patients, correlation))
    method = Method.CLOPPER_PEARSON if limits is binomial_limits else Method.MID_P
    influence = np.where(chosen, (right - point) / chosen.sum(), 0.0)
    return _Part(point, low, high, method, influence)


def _mean_of(
    parts: Sequence[_Part | None], patients: np.ndarray, *, independent: bool = False
) -> _Part | None:
    """Return the mean of figures, its limits by MOVER; None without any.

    Parameters
    ----------
    parts
        Figures; None does not count.
    patients
        Patient of each bag, (B,).
    independent
        Whether they are about different bags. Otherwise they are as correlated as their influence
        values are by patient, never negatively, and fully where one of them has no error.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    correlations = np.eye(len(known))
    if not independent:
        sums = np.stack([_by_patient(part.influence, patients) for part in known])
        correlations = np.maximum(_correlations(sums, unknown=1.0), 0.0)
    points = np.array([part.point for part in known])
    below = points - [part.low for part in known]
    above = [part.high for part in known] - points
    point = float(points.mean())
    return _Part(
        point,
        point - math.sqrt(below @ correlations @ below) / len(known),
        point + math.sqrt(above @ correlations @ above) / len(known),
        Method.MOVER,
        np.mean([part.influence for part in known], 0),
    )


def _square_and_add(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 + 2 * correlation * one * other))


def _correlations(sums: np.ndarray, unknown: float) -> np.ndarray:
    """Return the correlations of rows, (K, K); `unknown` where a row is zero."""
    norms = np.sqrt((sums**2).sum(1))
    scale = np.outer(norms, norms)
    flat = scale <= _EDGE**2
    found = np.where(flat, unknown, (sums @ sums.T) / np.where(flat, 1.0, scale))
    np.fill_diagonal(found, 1.0)
    return found


def _effective(chosen: np.ndarray, patients: np.ndarray, correlation: float) -> float:
    """Return the effective number of some bags."""
    sizes = np.bincount(patients[chosen])
    number = sizes.sum()
    typical = (sizes**2).sum() / number
    return float(number / (1 + (typical - 1) * correlation))


def _by_patient(influence: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Return the sums over patients, whose numbers may repeat for several labels of a bag."""
    return np.bincount(patients, influence)


def _normal_scores(scores: np.ndarray) -> np.ndarray:
    """Return normal scores of the ranks, averaged over repeats, (B,).

    Blom's, as for a rank-based analysis of variance: outliers and scales do not count.
    """
    ranks = rankdata(scores, axis=1)
    return norm.ppf((ranks - 0.375) / (scores.shape[1] + 0.25)).mean(0)


def _area_influence(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what each bag adds to the mean AUC, (B,), and that AUC.

    The placements of DeLong, DeLong & Clarke-Pearson 1988, by ranks (Sun & Xu 2014).
    """
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    ranks = rankdata(scores, axis=1)
    below = (ranks[:, truth] - rankdata(scores[:, truth], axis=1)) / n_negative
    above = 1 - (ranks[:, ~truth] - rankdata(scores[:, ~truth], axis=1)) / n_positive
    area = float(below.mean())
    influence = np.empty(len(truth))
    influence[truth] = (below.mean(0) - area) / n_positive
    influence[~truth] = (above.mean(0) - area) / n_negative
    return influence, area


def _clustered_variance(influence: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> float:
    """Return the variance of an AUC by Obuchowski 1997; 0 where a class has one patient."""
    sums = [_by_patient(np.where(chosen, influence, 0), patients) for chosen in (truth, ~truth)]
    counts = [len(np.unique(patients[chosen])) for chosen in (truth, ~truth)]
    if min(counts) < 2:
        return 0.0
    n_patients = len(sums[0])
    own = sum(
        count / (count - 1) * float((values**2).sum())
        for count, values in zip(counts, sums, strict=True)
    )
    shared = 2 * n_patients / (n_patients - 1) * float((sums[0] * sums[1]).sum())
    return max(0.0, own + shared)


def _precision_influence(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what each bag adds to the mean average precision, (B,), and that figure.

    Derivatives by the weight of a bag; ties are taken together, as `metrics.average_precision`.
    """
    influences = []
    figures = []
    n_positive = truth.sum()
    for row in scores:
        values, rank = np.unique(-row, return_inverse=True)
        positives = np.bincount(rank, truth, len(values))
        hits = np.cumsum(positives)
        called = np.cumsum(np.bincount(rank, minlength=len(values)))
        precision = hits / called
        figure = float((precision * positives).sum() / n_positive)
        # A bag changes the precision at its own score and at every lower one.
        falls = np.cumsum((positives * precision / called)[::-1])[::-1]
        rises = np.cumsum((positives / called)[::-1])[::-1]
        change = np.where(truth, rises[rank] - falls[rank] + precision[rank] - figure, -falls[rank])
        influences.append(change / n_positive)
        figures.append(figure)
    return np.mean(influences, 0), float(np.mean(figures))
