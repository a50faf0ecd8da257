"""Percentile bootstrap over groups, of any figure.

The shipped cards and the pages on encoders were made with it, and say so. It covers less than it
says where groups are few (docs/intervals.md); figures of the product have the intervals of
`napari_mil.training.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_mil.training.evaluation.intervals import Method
from napari_mil.training.evaluation.metrics import Estimate

Metric = Callable[[np.ndarray, np.ndarray], float]
"""Figure as a function of targets and logits, (B,) or (B, C)."""


def estimate(
    metric: Metric,
    targets: Sequence[int] | np.ndarray,
    logits: np.ndarray,
    groups: Sequence[str],
    samples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate one figure from repeated out-of-fold logits.

    Parameters
    ----------
    metric
        Figure of one repeat.
    targets
        Targets of the bags, (B,) or (B, C).
    logits
        Out-of-fold logits, (repeats, B) or (repeats, B, C).
    groups
        Group of each bag, (B,): whole groups are drawn, with replacement.
    samples
        Number of draws.
    seed
        Seed of the draws.
    """
    truth = np.asarray(targets)
    names = np.asarray(groups)
    unique = np.unique(names)
    members = [np.flatnonzero(names == group) for group in unique]
    random = np.random.default_rng(seed)

    def mean_over_repeats(bags: np.ndarray) -> float:
        values = [metric(truth[bags], row[bags]) for row in logits]
        known = [value for value in values if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")

    resampled = []
    for _ in range(samples):
        drawn = random.integers(len(unique), size=len(unique))
        resampled.append(mean_over_repeats(np.concatenate([members[g] for g in drawn])))
    known = [value for value in resampled if not np.isnan(value)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (np.nan, np.nan)
    repeats = [metric(truth, row) for row in logits]
    return Estimate(
        mean=mean_over_repeats(np.arange(len(truth))),
        low=float(low),
        high=float(high),
        sd_repeats=float(np.std(repeats, ddof=1)) if len(repeats) > 1 else float("nan"),
        method=Method.PERCENTILE_BOOTSTRAP,
    )
