"""Figures about a classifier, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(labels 0/1 (B,), logits (B,)) -> figure."""


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

    def as_dict(self) -> dict[str, float]:
        """Return plain numbers, rounded to four digits."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


def auc(labels: np.ndarray, logits: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties counted half; NaN where one class is missing."""
    positive = np.asarray(labels) == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    return float((rankdata(logits)[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Share of bags on the right side of probability 0.5."""
    return float(np.mean((np.asarray(logits) > 0) == (np.asarray(labels) == 1)))


def estimate(metric: Metric, labels: Sequence[int], logits: np.ndarray, groups: Sequence[str], samples: int = 2000, seed: int = 0) -> Estimate:
    """Estimate a figure from repeated out-of-fold logits.

    Parameters
    ----------
    metric
        Figure of one repeat.
    labels
        0/1, (B,).
    logits
        Out-of-fold logits (repeats, B).
    groups
        What is drawn together, (B,).
    samples
        Bootstrap samples.
    seed
        Of the bootstrap.

    Returns
    -------
    Estimate
    """
    truth, names = np.asarray(labels), np.asarray(groups)
    per_repeat = np.array([metric(truth, row) for row in logits])
    unique = np.unique(names)
    members = [np.flatnonzero(names == group) for group in unique]
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        index = np.concatenate([members[g] for g in random.integers(len(unique), size=len(unique))])
        drawn.append(np.mean([metric(truth[index], row[index]) for row in logits]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(float(per_repeat.mean()), float(low), float(high), float(per_repeat.std(ddof=1)) if len(per_repeat) > 1 else 0.0)


def fit_temperature(labels: Sequence[int], logits: np.ndarray) -> float:
    """Return the temperature in [0.25, 20] under which out-of-fold logits (repeats, B) of one sigmoid unit are likeliest."""
    truth = np.asarray(labels, float)
    temperatures = np.geomspace(0.25, 20, 400)
    scaled = logits.ravel()[None] / temperatures[:, None]
    losses = (np.logaddexp(0, scaled) - np.tile(truth, len(logits)) * scaled).mean(1)
    return float(temperatures[np.argmin(losses)])
