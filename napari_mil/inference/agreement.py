"""Agreement of two answers about one bag, instance by instance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_mil.bags.layout import Layout

TOP_SHARE = 0.1
"""Share of the instances that count as the top of a map."""
SHARED_LEAST = 0.5
"""Share of the smaller bag that must be in the other one to be compared tile by tile."""


class Matching(StrEnum):
    """How instances of two answers were brought together."""

    SAME = "same"
    """Both have the same instances."""
    SHARED = "shared"
    """Instances that both have; the others are left out."""
    CENTRES = "centres"
    """The grids differ: the finer one's instances, with what lies under their centres."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """M places that two answers have a value for."""

    first: np.ndarray
    """int64 (M,): instances of the first answer."""
    second: np.ndarray
    """int64 (M,): instances of the second answer; a coarse one may come several times."""
    matching: Matching
    are_of_second: bool = False
    """Whether the places are instances of the second answer, whose grid is finer."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two maps of the same places are."""

    n: int
    """Places with a value in both."""
    spearman: float
    """Spearman's rank correlation; NaN where a map is constant or of fewer than two places."""
    jaccard: float
    """Places in the top of both maps over places in the top of either; NaN as above."""


def pair_instances(first: Layout, second: Layout) -> Pairs:
    """Bring the instances of two answers together by their places.

    Parameters
    ----------
    first, second
        Layouts of the answers, in level-0 pixels of the same subject.
    """
    if first.covers_the_same_as(second):
        every = np.arange(len(first))
        return Pairs(every, every, Matching.SAME)
    if np.isclose(first.tile_size0, second.tile_size0, rtol=1e-6):
        _, one, other = np.intersect1d(_corners(first), _corners(second), return_indices=True)
        if len(one) >= SHARED_LEAST * min(len(first), len(second)):
            order = np.argsort(one)
            return Pairs(one[order], other[order], Matching.SHARED)
    is_second_finer = second.stride0 < first.stride0
    finer, coarser = (second, first) if is_second_finer else (first, second)
    under = coarser.instances_at(finer.centres())
    place = np.flatnonzero(under >= 0)
    if is_second_finer:
        return Pairs(under[place], place, Matching.CENTRES, are_of_second=True)
    return Pairs(place, under[place], Matching.CENTRES)


def agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """Compare two maps of the same places.

    Parameters
    ----------
    first, second
        (M,), NaN where there is none; places without a value in either are left out.
    """
    # scipy's statistics take half a second to load, which opening a window does not wait for.
    from scipy.stats import rankdata

    known = ~(np.isnan(first) | np.isnan(second))
    n = int(known.sum())
    one = rankdata(first[known])
    other = rankdata(second[known])
    if n < 2 or not np.ptp(one) or not np.ptp(other):
        return Agreement(n, float("nan"), float("nan"))
    spearman = float(np.corrcoef(one, other)[0, 1])
    top = _top(one)
    other_top = _top(other)
    return Agreement(n, spearman, float((top & other_top).sum() / (top | other_top).sum()))


def _top(ranks: np.ndarray) -> np.ndarray:
    """Return which places are in the top of a map, those equal to the last of them included."""
    n_top = max(1, round(TOP_SHARE * len(ranks)))
    return ranks >= np.partition(ranks, len(ranks) - n_top)[len(ranks) - n_top]


def _corners(layout: Layout) -> np.ndarray:
    """Return the corners as complex numbers (N,), rounded as coordinates of files are."""
    x, y = np.rint(layout.coords).T
    return x + 1j * y
