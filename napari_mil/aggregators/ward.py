"""Ward's tree of a bag: merges that add least to the variance within clusters.

Ward 1963, "Hierarchical grouping to optimize an objective function", JASA 58:236. Of bags with
more than `LARGEST_BAG` instances, so many are drawn and make the tree; every other instance joins
the nearest of them first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial import cKDTree

from napari_mil.aggregators.merge_tree import MergeTree

LARGEST_BAG = 6000
"""Instances whose distances are all computed: 144 MB."""
MOST_DIMENSIONS = 16
"""Principal directions by which instances of larger bags find their nearest one."""


def ward_tree(points: np.ndarray, on_block: Callable[[], None] = lambda: None) -> MergeTree:
    """Grow Ward's tree.

    Parameters
    ----------
    points
        (N, D): features.
    on_block
        Called between steps; what it raises ends the work.

    Returns
    -------
    MergeTree
        Of N leaves.
    """
    n = len(points)
    if n == 1:
        return MergeTree(np.empty((0, 3), np.int64), np.empty(0))
    if n <= LARGEST_BAG:
        on_block()
        return _tree(linkage(points, "ward"), n)
    drawn = np.sort(np.random.default_rng(0).choice(n, LARGEST_BAG, replace=False))
    nearest = _nearest(points, drawn, on_block)
    on_block()
    return _with_joined(linkage(points[drawn], "ward"), drawn, nearest)


def _tree(merges: np.ndarray, n: int) -> MergeTree:
    """Turn scipy's linkage (N - 1, 4) into a tree."""
    new = n + np.arange(n - 1)
    triplets = np.column_stack([merges[:, :2].astype(np.int64), new])
    return MergeTree(triplets, merges[:, 2].astype(np.float64))


def _nearest(
    points: np.ndarray, drawn: np.ndarray, on_block: Callable[[], None]
) -> np.ndarray:
    """Return for each instance the place in `drawn` of its nearest one, int (N,)."""
    centred = points[drawn] - points[drawn].mean(0)
    on_block()
    _, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, -MOST_DIMENSIONS:]
    tree = cKDTree(points[drawn] @ directions)
    nearest = np.empty(len(points), np.int64)
    for block in np.array_split(np.arange(len(points)), max(1, len(points) // 10_000)):
        on_block()
        nearest[block] = tree.query(points[block] @ directions)[1]
    nearest[drawn] = np.arange(len(drawn))
    return nearest


def _with_joined(merges: np.ndarray, drawn: np.ndarray, nearest: np.ndarray) -> MergeTree:
    """Return the tree of all instances: first they join drawn ones at height 0, then Ward's."""
    n = len(nearest)
    m = len(drawn)
    cluster = drawn.copy()
    triplets = []
    is_drawn = np.zeros(n, bool)
    is_drawn[drawn] = True
    for new, i in enumerate(np.flatnonzero(~is_drawn), n):
        triplets.append((cluster[nearest[i]], i, new))
        cluster[nearest[i]] = new
    # Clusters of scipy's numbering: drawn ones first, then its own merges.
    first = n + len(triplets)
    numbers = np.concatenate([cluster, first + np.arange(m - 1)])
    left, right = numbers[merges[:, :2].astype(np.int64)].T
    own = np.column_stack([left, right, first + np.arange(m - 1)])
    heights = np.concatenate([np.zeros(len(triplets)), merges[:, 2]])
    return MergeTree(np.concatenate([np.array(triplets, np.int64), own]), heights)
