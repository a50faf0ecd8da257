"""Instance values that can be mapped, and the scales of their colours."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

ATTENTION = "attention"
SCORE = "score"
SIMILARITY = "similarity"
UNLIKE = "unlike"
ALONE = "alone"
CONTRIBUTION = "contribution"
LIKENESS = "likeness"
"""Cosine of the features to those of one instance, from the mean of the bag."""
MAPPED = (ATTENTION, SCORE, SIMILARITY, UNLIKE, ALONE, CONTRIBUTION, LIKENESS)
"""Kinds of columns that hold a value for each instance."""
SIGNED = (CONTRIBUTION, LIKENESS)
"""Kinds whose values speak for or against; their colours diverge from grey at zero."""
COMPLEMENTARY = (SCORE, ALONE, CONTRIBUTION)
"""Kinds whose values of the first of two classes follow from those of the second."""
LIMITS = {
    SCORE: (0.0, 1.0),
    ALONE: (0.0, 1.0),
    UNLIKE: (0.0, 2.0),
    LIKENESS: (-1.0, 1.0),
}
"""Ends of the colour map of kinds whose values mean something by themselves.

A probability, a multiple of the limit that 5 % of training-like instances exceed, a cosine.
"""
CLIPPED = (1.0, 99.0)
"""Percentiles at the ends of the colours of `ScaleMode.PERCENTILE`."""
LOG_FLOOR = 1e-6
"""Smallest share of the largest value that a logarithmic scale tells apart from none."""


class ScaleMode(StrEnum):
    """How values become colours."""

    RAW = "raw"
    RANK = "rank"
    LOG = "log"
    PERCENTILE = "percentile"
    """As they are, with the colours between the 1st and the 99th percentile."""


def split_key(key: str) -> tuple[str, str]:
    """Return the kind of a column, and its class or head (empty where there is one only)."""
    kind, _, name = key.partition("_")
    return kind, name


def title_of(key: str) -> str:
    """Return the name of a column for people: ``score: tumour``, ``likeness to 3``."""
    kind, name = split_key(key)
    if kind == LIKENESS:
        return f"likeness to {name}"
    return f"{kind}: {name}" if name else kind


def mapped_keys(
    keys: Sequence[str], classes: Sequence[str], predicted: str | None = None
) -> list[str]:
    """Return the columns that can be mapped, in their order, the predicted class first.

    Of two classes the values of the first follow from those of the second, and are left out.

    Parameters
    ----------
    keys
        Columns of a prediction.
    classes
        Names of its classes.
    predicted
        The predicted class, whose column comes first among those of its kind.
    """
    mapped: list[str] = []
    for key in keys:
        kind, name = split_key(key)
        is_complement = kind in COMPLEMENTARY and len(classes) == 2 and name == classes[0]
        if kind in MAPPED and not is_complement:
            mapped.append(key)
    kinds = list(dict.fromkeys(split_key(key)[0] for key in mapped))
    return sorted(mapped, key=lambda key: _place(*split_key(key), kinds, predicted))


def _place(kind: str, name: str, kinds: Sequence[str], predicted: str | None) -> tuple[int, bool]:
    return kinds.index(kind), name != predicted


def default_key(keys: Sequence[str]) -> str | None:
    """Return the column that is shown first: a score where there is one, otherwise attention."""
    for kind in (SCORE, ATTENTION, SIMILARITY):
        first = next((key for key in keys if split_key(key)[0] == kind), None)
        if first is not None:
            return first
    return None


def default_scale(kind: str) -> ScaleMode:
    """Return the scale of a kind: what has limits as it is, everything else by rank."""
    return ScaleMode.RAW if kind in LIMITS else ScaleMode.RANK


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the share of values that are lower, in [0, 1]; NaN stays: (N,) -> float32 (N,)."""
    known = ~np.isnan(values)
    shares = np.full(len(values), np.nan, np.float32)
    n = int(known.sum())
    if n == 1:
        shares[known] = 1
    elif n > 1:
        _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        # Equal values share the mean of their ranks, counted from 0.
        last = counts.cumsum()
        shares[known] = ((2 * last - counts - 1) / 2 / (n - 1))[place]
    return shares


def scaled(values: np.ndarray, mode: ScaleMode, kind: str) -> tuple[np.ndarray, float, float]:
    """Return values on a scale, and its limits.

    Parameters
    ----------
    values
        float32 (N,), NaN where there is none.
    mode
        Scale.
    kind
        Kinds of `LIMITS` have these whatever their values.

    Returns
    -------
    values, low, high
        float32 (N,) and the values of the ends of the colour map; equal on both sides of zero
        where values have a sign.
    """
    known = values[~np.isnan(values)]
    if kind in SIGNED:
        sizes = np.abs(known)
        is_clipped = mode is ScaleMode.PERCENTILE and len(sizes)
        largest = np.percentile(sizes, CLIPPED[1]) if is_clipped else sizes.max(initial=0.0)
        largest = float(largest)
        if mode is ScaleMode.RANK:
            # Ranks of the sizes, with their sign: zero stays in the middle.
            return np.copysign(ranks(np.abs(values)), values).astype(np.float32), -1.0, 1.0
        return values.astype(np.float32), -(largest or 1.0), largest or 1.0
    if mode is ScaleMode.RANK:
        return ranks(values), 0.0, 1.0
    if mode is ScaleMode.LOG:
        top = float(known.max()) if len(known) else 1.0
        floor = max(top * LOG_FLOOR, float(np.finfo(np.float32).tiny))
        logs = np.log10(np.maximum(values, floor)).astype(np.float32)
        known = logs[~np.isnan(logs)]
    else:
        logs = values.astype(np.float32)
        if kind in LIMITS and mode is ScaleMode.RAW:
            return logs, *LIMITS[kind]
    if not len(known):
        return logs, 0.0, 1.0
    ends = CLIPPED if mode is ScaleMode.PERCENTILE else (0.0, 100.0)
    low, high = (float(value) for value in np.percentile(known, ends))
    return logs, low, high if high > low else low + 1.0


def difference(first: np.ndarray, second: np.ndarray, mode: ScaleMode) -> tuple[np.ndarray, float]:
    """Return the difference of two maps of the same places, and the end of its colour map.

    Parameters
    ----------
    first, second
        float32 (N,), NaN where there is none; only places that have both are compared.
    mode
        `RANK` takes the difference of the ranks among these places, in [-1, 1]; otherwise that of
        the values.

    Returns
    -------
    values, limit
        float32 (N,), first less second, and the largest size of any, 1 where all are 0: colours
        reach as far on either side of zero.
    """
    known = ~(np.isnan(first) | np.isnan(second))
    one = np.where(known, first, np.nan)
    other = np.where(known, second, np.nan)
    if mode is ScaleMode.RANK:
        one = ranks(one)
        other = ranks(other)
    values = (one - other).astype(np.float32)
    largest = float(np.abs(values[known]).max()) if known.any() else 0.0
    return values, largest or 1.0
