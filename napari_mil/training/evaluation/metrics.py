"""Figures about a classifier, each with its uncertainty.

Three kinds of answers: one sigmoid unit (binary), exclusive classes (softmax), independent labels
(sigmoids). Of several classes, macro figures are means over classes, micro figures count every
label of every bag alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import expit, log_softmax, softmax
from scipy.stats import rankdata

from napari_mil.training.evaluation.intervals import Interval, Method, intervals

BINS = 10
"""Bins of the calibration error."""
TEMPERATURES = np.geomspace(0.25, 20, 400)
"""Temperatures that are tried."""
DOUBT = 0.5
"""Standard deviation of the logarithm of a temperature.

Temperatures between 0.6 and 1.6 need no evidence.
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One figure from a repeated cross-validation."""

    mean: float
    """Mean over repeats, each pooled over its folds."""
    low: float
    """Lower end of the 95 % interval; NaN where the figure does not exist."""
    high: float
    """Upper end of that interval."""
    sd_repeats: float
    """Standard deviation over repeats: what another draw of folds changes."""
    fold_mean: float = float("nan")
    """Mean over single folds, where they are known."""
    sd_folds: float = float("nan")
    """Standard deviation over single folds.

    It is what another test set of that size changes.
    """
    undefined_folds: int = 0
    """Number of folds on which the figure does not exist.

    Such as an AUC where one class is missing.
    """
    method: Method | None = None
    """How the interval was made; None without one."""

    @property
    def words(self) -> str:
        """The figure with its interval, and how that was made."""
        if self.method is None:
            return f"{self.mean:.2f}"
        return (
            f"{self.mean:.2f} ({self.low:.2f}–{self.high:.2f}, "
            f"95 % interval by {self.method.value})"
        )

    def as_dict(self) -> dict[str, float | str | None]:
        """Return plain numbers, rounded to four digits, None for NaN; and the method's name."""
        numbers = asdict(self)
        del numbers["method"]
        return {
            **{key: None if np.isnan(value) else round(value, 4) for key, value in numbers.items()},
            "method": None if self.method is None else self.method.value,
        }


def auc(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the area under the ROC curve.

    By ranks, ties counted half; NaN where one class is missing.
    """
    positive = np.asarray(labels) == 1
    n_positive = int(positive.sum())
    n_negative = int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    # Mann-Whitney U of the positives, over the number of pairs.
    u = rankdata(logits)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean precision over the positives.

    Ties are taken together; NaN without a positive.
    """
    positive = np.asarray(labels) == 1
    if not positive.any():
        return float("nan")
    order = np.argsort(-np.asarray(logits), kind="stable")
    hits = np.cumsum(positive[order])
    ranked = np.asarray(logits)[order]
    # Precision is taken where a run of equal values ends.
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    precision = hits[last] / (last + 1)
    new_hits = np.diff(np.append(0, hits[last]))
    return float((precision * new_hits).sum() / positive.sum())


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the share of bags on the right side of probability 0.5."""
    return float(np.mean((np.asarray(logits) > 0) == (np.asarray(labels) == 1)))


def decided(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the figures of yes-or-no answers.

    Parameters
    ----------
    labels
        0 or 1, (B,).
    predicted
        bool (B,).

    Returns
    -------
    dict
        A figure by name; NaN where its denominator is empty.
    """
    truth = np.asarray(labels) == 1
    tp = int((truth & predicted).sum())
    tn = int((~truth & ~predicted).sum())
    fp = int((~truth & predicted).sum())
    fn = int((truth & ~predicted).sum())
    sensitivity = _ratio(tp, tp + fn)
    specificity = _ratio(tn, tn + fp)
    return {
        "accuracy": _ratio(tp + tn, len(truth)),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "sensitivity": sensitivity,
        "specificity": specificity,
    }


def binary_figures(
    labels: np.ndarray, logits: np.ndarray, threshold: float | np.ndarray = 0.5
) -> dict[str, float]:
    """Return every figure of one sigmoid unit.

    Parameters
    ----------
    labels
        0 or 1, (B,).
    logits
        (B,).
    threshold
        Probability from which a bag is positive; one for all, or (B,).
    """
    return {
        **decided(labels, expit(logits) >= threshold),
        "auc": auc(labels, logits),
        "average_precision": average_precision(labels, logits),
    }


def multiclass_figures(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return every figure of exclusive classes.

    One class against the rest, averaged over classes.

    Parameters
    ----------
    labels
        Class indices, int (B,).
    logits
        (B, C).
    """
    predicted = logits.argmax(1)
    probabilities = softmax(logits, 1)
    per_class = [
        {
            **decided(labels == c, predicted == c),
            "auc": auc(labels == c, probabilities[:, c]),
            "average_precision": average_precision(labels == c, probabilities[:, c]),
        }
        for c in range(logits.shape[1])
    ]
    macro = {
        name: _mean([figures[name] for figures in per_class])
        for name in ("f1", "sensitivity", "specificity", "auc", "average_precision")
    }
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "balanced_accuracy": macro["sensitivity"],
        **macro,
    }


def multilabel_figures(
    labels: np.ndarray, logits: np.ndarray, threshold: float = 0.5
) -> dict[str, float]:
    """Return every figure of independent labels.

    Macro and micro, and the share of bags that are right in all labels.

    Parameters
    ----------
    labels
        0 or 1, (B, C).
    logits
        (B, C).
    threshold
        Probability from which a label is given.
    """
    per_label = [
        binary_figures(labels[:, c], logits[:, c], threshold) for c in range(labels.shape[1])
    ]
    micro = binary_figures(labels.ravel(), logits.ravel(), threshold)
    macro = {f"{name}_macro": _mean([figures[name] for figures in per_label]) for name in micro}
    exact = float(np.mean(((expit(logits) >= threshold) == (labels == 1)).all(1)))
    return {
        **macro,
        **{f"{name}_micro": value for name, value in micro.items()},
        "all_labels_right": exact,
    }


def figures(
    targets: np.ndarray, logits: np.ndarray, threshold: float | np.ndarray = 0.5
) -> dict[str, float]:
    """Return every figure of the answers, by the shapes.

    Parameters
    ----------
    targets
        int (B,), or 0 and 1 (B, C) for independent labels.
    logits
        (B, 1) of one sigmoid unit, otherwise (B, C).
    threshold
        Threshold on the probability; not used for exclusive classes.
    """
    if targets.ndim == 2:
        return multilabel_figures(targets, logits, float(np.mean(threshold)))
    if logits.shape[1] == 1:
        return binary_figures(targets, logits[:, 0], threshold)
    return multiclass_figures(targets, logits)


def mean_auc(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the AUC, or its mean over classes or labels.

    Classes without both kinds of bags do not count; shapes as `figures`.
    """
    if targets.ndim == 1 and logits.shape[1] == 1:
        return auc(targets, logits[:, 0])
    if targets.ndim == 2:
        truth = targets
        values = logits
    else:
        truth = targets[:, None] == np.arange(logits.shape[1])
        values = softmax(logits, 1)
    return _mean([auc(truth[:, c], values[:, c]) for c in range(logits.shape[1])])


def negative_log_likelihood(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean loss over bags (and labels); shapes as `figures`."""
    if targets.ndim == 1 and logits.shape[1] > 1:
        return float(-log_softmax(logits, 1)[np.arange(len(targets)), targets].mean())
    truth = targets.reshape(logits.shape)
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def calibration_error(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width.

    Of the probability of the predicted class, or of each label; shapes as `figures`.
    Guo et al. 2017, "On calibration of modern neural networks", eq. 3.
    """
    if targets.ndim == 1 and logits.shape[1] > 1:
        probabilities = softmax(logits, 1)
        confidence = probabilities.max(1)
        right = probabilities.argmax(1) == targets
    else:
        p = expit(logits).ravel()
        truth = targets.reshape(logits.shape).ravel() == 1
        confidence = np.maximum(p, 1 - p)
        right = (p >= 0.5) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == k].mean() - confidence[bins == k].mean()) * (bins == k).mean()
        for k in range(BINS)
        if (bins == k).any()
    ]
    return float(sum(gaps))


def fit_temperature(
    targets: Sequence[int] | np.ndarray, logits: np.ndarray, cautious: bool = False
) -> float:
    """Return the temperature in [0.25, 20] under which logits are likeliest.

    Parameters
    ----------
    targets, logits
        Shapes as `figures`; logits (repeats, B) of one sigmoid unit with targets (B,) also work.
    cautious
        Whether to stay near 1 unless many bags speak against it: log T is normal around 0 with a
        standard deviation of `DOUBT`, which weighs the less the more bags there are. Few bags that
        happen to be told apart without error then do not make probabilities of 0 and 1.
    """
    truth = np.asarray(targets)
    if truth.ndim == 1 and logits.shape[-1] == len(truth) and logits.shape[0] != len(truth):
        truth = np.tile(truth, len(logits))
        logits = logits.reshape(-1, 1)
    if logits.ndim == 1:
        logits = logits[:, None]
    penalty = 1 / (2 * DOUBT**2 * len(truth)) if cautious else 0.0

    def loss(temperature: float) -> float:
        likelihood = negative_log_likelihood(truth, logits / temperature)
        return likelihood + penalty * float(np.log(temperature)) ** 2

    return float(min(TEMPERATURES, key=loss))


def best_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the threshold that maximises sensitivity + specificity - 1.

    A probability between two bags, of several the one nearest to 0.5; 0.5 where a class is missing.
    """
    p = np.unique(expit(logits))
    if len(np.unique(labels)) < 2 or len(p) < 2:
        return 0.5
    cuts = (p[1:] + p[:-1]) / 2
    values = [decided(labels, expit(logits) >= cut)["balanced_accuracy"] for cut in cuts]
    best = np.flatnonzero(np.isclose(values, max(values)))
    return float(cuts[min(best, key=lambda k: abs(cuts[k] - 0.5))])


def estimates(
    targets: np.ndarray,
    logits: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    threshold: float | np.ndarray = 0.5,
    folds: np.ndarray | None = None,
) -> dict[str, Estimate]:
    """Estimate every figure from a repeated cross-validation.

    Parameters
    ----------
    targets
        See `figures`.
    logits
        Out-of-fold logits, (R, B, 1) of one sigmoid unit, otherwise (R, B, C).
    groups
        Group of each bag (its patient), (B,): bags of one group are not counted as independent.
    threshold
        Threshold on the probability; one for all, or (R, B).
    folds
        Fold of each bag, int (R, B), for the figures of single folds.

    Returns
    -------
    dict
        An estimate by name.
    """
    thresholds = np.broadcast_to(threshold, logits.shape[:2])

    def figures_of(bags: np.ndarray, repeat: int) -> dict[str, float]:
        return figures(targets[bags], logits[repeat, bags], thresholds[repeat, bags])

    every_bag = np.arange(len(targets))
    per_repeat = [figures_of(every_bag, repeat) for repeat in range(len(logits))]
    per_fold = [
        figures_of(np.flatnonzero(fold_of == k), repeat)
        for repeat, fold_of in enumerate(folds if folds is not None else ())
        for k in np.unique(fold_of)
    ]
    found = intervals(targets, logits, groups, thresholds)
    return {
        name: _estimate(
            [one[name] for one in per_repeat], [one[name] for one in per_fold], found.get(name)
        )
        for name in per_repeat[0]
    }


def _estimate(repeats: list[float], folds: list[float], interval: Interval | None) -> Estimate:
    mean = _mean(repeats)
    low = high = float("nan")
    if interval is not None:
        low = min(interval.low, mean)
        high = max(interval.high, mean)
    known_folds = _known(folds)
    return Estimate(
        mean=mean,
        low=low,
        high=high,
        sd_repeats=_sd(repeats),
        fold_mean=_mean(folds),
        sd_folds=_sd(known_folds),
        undefined_folds=len(folds) - len(known_folds),
        method=None if interval is None else interval.method,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not np.isnan(value)]


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that exist; NaN without any."""
    known = _known(values)
    return float(np.mean(known)) if known else float("nan")


def _sd(values: Sequence[float]) -> float:
    """Return the standard deviation; NaN of fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
