"""Trees of a bag by the distance of whole clusters: Ward's and average linkage.

Ward 1963, "Hierarchical grouping to optimize an objective function", JASA 58:236; Sokal and
Michener 1958, "A statistical method for evaluating systematic relationships", Univ. Kansas Sci.
Bull. 38:1409. Of a bag with more than `LARGEST_BAG` instances, that many are drawn and make the
tree; every other instance joins the nearest drawn one first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial import cKDTree

from napari_mil.aggregators.merge_tree import MergeTree

LARGEST_BAG = 6000
"""Largest number of instances whose distances are all computed.

They take 144 MB.
"""
MOST_DIMENSIONS = 16
"""Principal directions in which nearest drawn instances are searched."""


def ward_tree(points: np.ndarray, on_block: Callable[[], None] = lambda: None) -> MergeTree:
    """Compute Ward's tree of the instances of a bag.

    Parameters
    ----------
    points
        Features, float (N, D), N >= 1.
    on_block
        Called between steps; an exception that it raises ends the work.

    Returns
    -------
    MergeTree
        Tree of N leaves; heights are Ward's distances, 0 where instances join drawn ones.
    """
    return _agglomerate(points, "ward", on_block)


def average_tree(points: np.ndarray, on_block: Callable[[], None] = lambda: None) -> MergeTree:
    """Compute the tree of average linkage of the instances of a bag.

    Parameters
    ----------
    points
        Features, float (N, D), N >= 1.
    on_block
        Called between steps; an exception that it raises ends the work.

    Returns
    -------
    MergeTree
        Tree of N leaves; heights are mean distances of the instances of two clusters, 0 where
        instances join drawn ones.
    """
    return _agglomerate(points, "average", on_block)


def _agglomerate(
    points: np.ndarray, method: Literal["ward", "average"], on_block: Callable[[], None]
) -> MergeTree:
    n = len(points)
    if n == 1:
        return MergeTree(np.empty((0, 3), np.int64), np.empty(0))
    if n <= LARGEST_BAG:
        on_block()
        return _as_merge_tree(linkage(points, method), n)
    drawn = np.sort(np.random.default_rng(0).choice(n, LARGEST_BAG, replace=False))
    nearest = _find_nearest_drawn(points, drawn, on_block)
    on_block()
    return _join_undrawn(linkage(points[drawn], method), drawn, nearest)


def _as_merge_tree(merges: np.ndarray, n: int) -> MergeTree:
    """Convert scipy's linkage (N - 1, 4) to a tree of N leaves."""
    new = n + np.arange(n - 1)
    triplets = np.column_stack([merges[:, :2].astype(np.int64), new])
    return MergeTree(triplets, merges[:, 2].astype(np.float64))


def _find_nearest_drawn(
    points: np.ndarray, drawn: np.ndarray, on_block: Callable[[], None]
) -> np.ndarray:
    """Return each instance's nearest drawn one, int64 (N,) positions in `drawn`."""
    centred = points[drawn] - points[drawn].mean(0)
    on_block()
    # In many dimensions a k-d tree is slow: the search takes the principal directions only.
    _, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, -MOST_DIMENSIONS:]
    tree = cKDTree(points[drawn] @ directions)
    nearest = np.empty(len(points), np.int64)
    for block in np.array_split(np.arange(len(points)), max(1, len(points) // 10_000)):
        on_block()
        nearest[block] = tree.query(points[block] @ directions)[1]
    nearest[drawn] = np.arange(len(drawn))
    return nearest


def _join_undrawn(merges: np.ndarray, drawn: np.ndarray, nearest: np.ndarray) -> MergeTree:
    """Extend scipy's linkage of the drawn instances to all.

    The others join their nearest drawn ones at height 0, before the merges of those.
    """
    n = len(nearest)
    m = len(drawn)
    cluster = drawn.copy()
    triplets = []
    is_drawn = np.zeros(n, bool)
    is_drawn[drawn] = True
    for new, i in enumerate(np.flatnonzero(~is_drawn), n):
        triplets.append((cluster[nearest[i]], i, new))
        cluster[nearest[i]] = new
    # scipy numbers the drawn instances first, then its own merges.
    new_clusters = n + len(triplets) + np.arange(m - 1)
    cluster_of_number = np.concatenate([cluster, new_clusters])
    left, right = cluster_of_number[merges[:, :2].astype(np.int64)].T
    drawn_triplets = np.column_stack([left, right, new_clusters])
    heights = np.concatenate([np.zeros(len(triplets)), merges[:, 2]])
    return MergeTree(np.concatenate([np.array(triplets, np.int64), drawn_triplets]), heights)
