"""Figures about a classifier, each with its uncertainty.

Three kinds of answers: one sigmoid unit (binary), exclusive classes (softmax), independent labels (sigmoids). Of several classes, macro
figures are means over classes, micro figures count every label of every bag alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import expit, log_softmax, softmax
from scipy.stats import rankdata

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(targets (B,) or (B, C), logits (B,) or (B, C)) -> figure."""
BINS = 10
TEMPERATURES = np.geomspace(0.25, 20, 400)
DOUBT = 0.5
"""Of log T: temperatures between 0.6 and 1.6 need no evidence."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One figure from a repeated cross-validation."""

    mean: float
    """Over repeats, each pooled over its folds."""
    low: float
    high: float
    """95 % interval: bootstrap over groups."""
    sd_repeats: float
    """Standard deviation over repeats: what another draw of folds changes."""
    fold_mean: float = float("nan")
    """Mean over single folds, where they are known."""
    sd_folds: float = float("nan")
    """Standard deviation over single folds: what another test set of that size changes."""
    undefined_folds: int = 0
    """Folds on which the figure does not exist, such as an AUC where one class is missing."""

    def as_dict(self) -> dict[str, float | None]:
        """Return plain numbers, rounded to four digits; None where there is none."""
        return {
            key: None if np.isnan(value) else round(value, 4) for key, value in asdict(self).items()
        }


def auc(labels: np.ndarray, logits: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where one class is missing."""
    positive = np.asarray(labels) == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    return float(
        (rankdata(logits)[positive].sum() - n_positive * (n_positive + 1) / 2)
        / (n_positive * n_negative)
    )


def average_precision(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean precision over the positives, ties taken together; NaN without a positive."""
    positive = np.asarray(labels) == 1
    if not positive.any():
        return float("nan")
    order = np.argsort(-np.asarray(logits), kind="stable")
    hits, ranked = np.cumsum(positive[order]), np.asarray(logits)[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # where a run of equal values ends
    precision, found = hits[last] / (last + 1), np.diff(np.append(0, hits[last]))
    return float((precision * found).sum() / positive.sum())


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Share of bags on the right side of probability 0.5."""
    return float(np.mean((np.asarray(logits) > 0) == (np.asarray(labels) == 1)))


def decided(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return what follows from yes-or-no answers bool (n,); NaN where its denominator is empty."""
    truth = np.asarray(labels) == 1
    tp, tn = int((truth & predicted).sum()), int((~truth & ~predicted).sum())
    fp, fn = int((~truth & predicted).sum()), int((truth & ~predicted).sum())
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
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
    """Return every figure of one sigmoid unit: labels 0/1 (B,), logits (B,), threshold on the probability (of each bag, if wanted)."""
    return {
        **decided(labels, expit(logits) >= threshold),
        "auc": auc(labels, logits),
        "average_precision": average_precision(labels, logits),
    }


def multiclass_figures(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return figures of exclusive classes: labels int (B,), logits (B, C); one class against the rest, averaged over classes."""
    predicted, probabilities = logits.argmax(1), softmax(logits, 1)
    each = [
        {
            **decided(labels == c, predicted == c),
            "auc": auc(labels == c, probabilities[:, c]),
            "average_precision": average_precision(labels == c, probabilities[:, c]),
        }
        for c in range(logits.shape[1])
    ]
    macro = {
        name: _mean([figures[name] for figures in each])
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
    """Return figures of independent labels: labels 0/1 (B, C), logits (B, C); macro and micro, and the share of bags right in all labels."""
    each = [binary_figures(labels[:, c], logits[:, c], threshold) for c in range(labels.shape[1])]
    micro = binary_figures(labels.ravel(), logits.ravel(), threshold)
    macro = {f"{name}_macro": _mean([figures[name] for figures in each]) for name in micro}
    exact = float(np.mean(((expit(logits) >= threshold) == (labels == 1)).all(1)))
    return {
        **macro,
        **{f"{name}_micro": value for name, value in micro.items()},
        "all_labels_right": exact,
    }


def figures(
    targets: np.ndarray, logits: np.ndarray, threshold: float | np.ndarray = 0.5
) -> dict[str, float]:
    """Return every figure of an answer, by the shapes: targets int (B,) with logits (B, 1) or (B, C), or float (B, C) with (B, C)."""
    if targets.ndim == 2:
        return multilabel_figures(targets, logits, float(np.mean(threshold)))
    return (
        binary_figures(targets, logits[:, 0], threshold)
        if logits.shape[1] == 1
        else multiclass_figures(targets, logits)
    )


def mean_auc(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the AUC, or its mean over classes or labels that have both kinds of bags."""
    if targets.ndim == 1 and logits.shape[1] == 1:
        return auc(targets, logits[:, 0])
    truth = targets if targets.ndim == 2 else targets[:, None] == np.arange(logits.shape[1])
    values = logits if targets.ndim == 2 else softmax(logits, 1)
    return _mean([auc(truth[:, c], values[:, c]) for c in range(logits.shape[1])])


def negative_log_likelihood(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean over bags (and labels): shapes as `figures`."""
    if targets.ndim == 1 and logits.shape[1] > 1:
        return float(-log_softmax(logits, 1)[np.arange(len(targets)), targets].mean())
    truth = targets.reshape(logits.shape)
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def calibration_error(targets: np.ndarray, logits: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width: of the probability of the predicted class, or of each label.

    Guo et al. 2017, "On calibration of modern neural networks", eq. 3.
    """
    if targets.ndim == 1 and logits.shape[1] > 1:
        probabilities = softmax(logits, 1)
        confidence, right = probabilities.max(1), probabilities.argmax(1) == targets
    else:
        p = expit(logits).ravel()
        truth = targets.reshape(logits.shape).ravel() == 1
        confidence, right = np.maximum(p, 1 - p), (p >= 0.5) == truth
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
        Stay near 1 unless the bags say otherwise: log T is normal around 0 with a standard deviation of `DOUBT`, the less the more bags
        there are. Few bags that happen to be told apart without error then do not make probabilities of 0 and 1.
    """
    truth = np.asarray(targets)
    if truth.ndim == 1 and logits.shape[-1] == len(truth) and logits.shape[0] != len(truth):
        truth, logits = np.tile(truth, len(logits)), logits.reshape(-1, 1)
    if logits.ndim == 1:
        logits = logits[:, None]
    doubt = 1 / (2 * DOUBT**2 * len(truth)) if cautious else 0.0
    return float(
        min(
            TEMPERATURES,
            key=lambda t: negative_log_likelihood(truth, logits / t) + doubt * np.log(t) ** 2,
        )
    )


def best_threshold(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the probability that maximises sensitivity + specificity - 1, between two bags; 0.5 where one class is missing."""
    p = np.unique(expit(logits))
    if len(np.unique(labels)) < 2 or len(p) < 2:
        return 0.5
    cuts = (p[1:] + p[:-1]) / 2
    values = [decided(labels, expit(logits) >= cut)["balanced_accuracy"] for cut in cuts]
    best = np.flatnonzero(np.isclose(values, max(values)))
    return float(cuts[min(best, key=lambda k: abs(cuts[k] - 0.5))])


def estimate(
    metric: Metric,
    targets: Sequence[int] | np.ndarray,
    logits: np.ndarray,
    groups: Sequence[str],
    samples: int = 2000,
    seed: int = 0,
    folds: np.ndarray | None = None,
) -> Estimate:
    """Estimate one figure from repeated out-of-fold logits; see `estimates`.

    Parameters
    ----------
    metric
        Figure of one repeat.
    targets
        (B,) or (B, C).
    logits
        Out-of-fold logits (repeats, B) or (repeats, B, C).
    groups, samples, seed, folds
        See `estimates`.

    Returns
    -------
    Estimate
    """
    truth = np.asarray(targets)
    return estimates(
        lambda index, repeat: {"": metric(truth[index], logits[repeat, index])},
        len(logits),
        groups,
        samples,
        seed,
        folds,
    )[""]


def estimates(
    figures_of: Callable[[np.ndarray, int], dict[str, float]],
    repeats: int,
    groups: Sequence[str] | np.ndarray,
    samples: int = 2000,
    seed: int = 0,
    folds: np.ndarray | None = None,
) -> dict[str, Estimate]:
    """Estimate figures from a repeated cross-validation.

    Parameters
    ----------
    figures_of
        Figures by name of some bags (indices (n,)) in one repeat.
    repeats
        How many there are.
    groups
        What is drawn together, (B,): whole groups, with replacement.
    samples
        Bootstrap samples.
    seed
        Of the bootstrap.
    folds
        int (repeats, B): fold of each bag, for the figures of single folds.

    Returns
    -------
    dict
        An estimate by name.
    """
    names = np.asarray(groups)
    unique = np.unique(names)
    members = [np.flatnonzero(names == group) for group in unique]
    random = np.random.default_rng(seed)
    everything = np.arange(len(names))
    per_repeat = [figures_of(everything, repeat) for repeat in range(repeats)]
    per_fold = [
        figures_of(np.flatnonzero(drawn == k), r)
        for r, drawn in enumerate(folds if folds is not None else ())
        for k in np.unique(drawn)
    ]
    resampled = []
    for _ in range(samples):
        index = np.concatenate([members[g] for g in random.integers(len(unique), size=len(unique))])
        some = [figures_of(index, repeat) for repeat in range(repeats)]
        resampled.append({name: _mean([one[name] for one in some]) for name in some[0]})
    return {
        name: _estimate(
            *([one[name] for one in several] for several in (per_repeat, per_fold, resampled))
        )
        for name in per_repeat[0]
    }


def _estimate(repeats: list[float], folds: list[float], resampled: list[float]) -> Estimate:
    there, drawn = _existing(folds), _existing(resampled)
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


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _existing(values: Sequence[float]) -> list[float]:
    return [value for value in values if not np.isnan(value)]


def _mean(values: Sequence[float]) -> float:
    """Mean of what exists."""
    there = _existing(values)
    return float(np.mean(there)) if there else float("nan")
