"""Merge trees of single linkage over instances (HAMIL, algorithm 1).

As printed, the two clusters of smallest distance merge until one is left; of equal distances, the
first pair in ascending order of cluster indices wins, and a merged cluster gets the next index.
Which instance is called 0 therefore decides ties and operands.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from napari_mil.aggregators.spanning_tree import distances, minimum_spanning_tree
from napari_mil.errors import BagError

Order = Literal["canonical", "index"]
LARGEST = 1e150
"""Largest number whose square is safely finite in float64."""


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The merges of N instances, from the closest to the farthest."""

    triplets: np.ndarray
    """Left, right and new cluster of each merge, int64 (N - 1, 3).

    Leaves are 0 to N - 1 in the order of the bag, merged clusters N to 2 N - 2.
    """
    heights: np.ndarray
    """Distance at which each merge happens, float64 (N - 1,), ascending."""

    @property
    def n_leaves(self) -> int:
        """Number of leaves N."""
        return len(self.triplets) + 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of leaves under each node, int64 (2 N - 1,)."""
        sizes = np.ones(2 * self.n_leaves - 1, np.int64)
        for left, right, new in self.triplets.tolist():
            sizes[new] = sizes[left] + sizes[right]
        return sizes

    @cached_property
    def leaf_order(self) -> np.ndarray:
        """Leaves from left to right, int64 (N,).

        In this order a drawing of the tree has no crossing lines.
        """
        # The place of the first leaf under each node.
        start = np.zeros(2 * self.n_leaves - 1, np.int64)
        for left, right, new in self.triplets[::-1].tolist():
            start[left] = start[new]
            start[right] = start[new] + self.sizes[left]
        return np.argsort(start[: self.n_leaves])

    def cut(self, n_clusters: int | None = None, *, height: float | None = None) -> np.ndarray:
        """Cut the tree into clusters by merging less far.

        Parameters
        ----------
        n_clusters
            How many clusters to leave, at most N.
        height
            Instead: the largest distance that still merges.

        Returns
        -------
        ndarray
            int64 (N,): cluster of each leaf, from 0 in order of the first leaf of each.

        Raises
        ------
        ValueError
            If not exactly one of the two is given, or there are fewer clusters than one.
        """
        if (n_clusters is None) == (height is None) or (n_clusters is not None and n_clusters < 1):
            raise ValueError("a tree is cut into a number of clusters, at least 1, or at a height")
        if n_clusters is None:
            n_merges = int((self.heights <= height).sum())
        else:
            n_merges = max(0, self.n_leaves - n_clusters)
        left, right, new = self.triplets[:n_merges].T
        owner = np.arange(self.n_leaves + n_merges)
        owner[left] = new
        owner[right] = new
        # Pointers to the cluster above are doubled until all of them end at a root.
        above = owner[owner]
        while not np.array_equal(above, owner):
            owner = above
            above = owner[owner]
        _, first, labels = np.unique(owner[: self.n_leaves], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[labels]

    def linkage(self) -> np.ndarray:
        """Return the merges in scipy's layout.

        float64 (N - 1, 4) with left, right, height, number of leaves.
        """
        new = self.triplets[:, 2]
        columns = [self.triplets[:, :2], self.heights, self.sizes[new]]
        return np.column_stack(columns).astype(np.float64)

    def levels(self) -> Iterator[np.ndarray]:
        """Yield rows of `triplets` that do not depend on each other.

        The deepest come first; the merges of one level can be made at once.
        """
        depth = np.zeros(2 * self.n_leaves - 1, np.int64)
        for left, right, new in self.triplets.tolist():
            depth[new] = 1 + max(depth[left], depth[right])
        merge_depth = depth[self.triplets[:, 2]]
        order = np.argsort(merge_depth, kind="stable")
        if len(order):
            cuts = np.flatnonzero(np.diff(merge_depth[order])) + 1
            yield from np.split(order, cuts)


def single_linkage(
    points: np.ndarray, order: Order = "canonical", on_block: Callable[[], None] | None = None
) -> MergeTree:
    """Merge the closest clusters until one is left.

    Exact up to float64, in memory linear in N unless very many distances are equal.

    Parameters
    ----------
    points
        float (N, D), N >= 1.
    order
        ``"index"`` as printed: ties and operands follow the order of the bag. ``"canonical"``:
        instances are first ranked by length (then by their numbers, the first that differs), ties
        follow the ranks, and the operand of more leaves comes first, of equal ones that of lower
        index; so the tree and what is computed along it do not depend on the order of the bag.
    on_block
        Called before each block of distances; an exception that it raises ends the work.

    Returns
    -------
    MergeTree

    Raises
    ------
    BagError
        If there are no points, or numbers that have no distances.
    """
    if (
        not len(points)
        or not np.isfinite(points).all()
        or float(np.abs(points).max(initial=0)) > LARGEST
    ):
        raise BagError(
            "The features of this bag cannot be clustered: there are none, "
            "or they hold NaN, infinite or absurdly large numbers."
        )
    points = np.ascontiguousarray(points.reshape(len(points), -1))
    leaf_of = canonical_ranking(points) if order == "canonical" else np.arange(len(points))
    rank_of = np.argsort(leaf_of)
    edges, lengths = minimum_spanning_tree(points, on_block)
    triplets, heights = _merges(rank_of[edges], lengths, points, leaf_of)
    if order == "canonical":
        sizes = MergeTree(triplets, heights).sizes
        swap = sizes[triplets[:, 1]] > sizes[triplets[:, 0]]
        triplets[swap, :2] = triplets[swap, 1::-1]
    leaves = triplets < len(points)
    triplets[leaves] = leaf_of[triplets[leaves]]
    return MergeTree(triplets, heights)


def canonical_ranking(points: np.ndarray) -> np.ndarray:
    """Rank rows independently of their order: int64 (N,).

    By length, the longest first, then by their numbers. Equal rows are interchangeable.
    """
    origin = np.zeros(points.shape[1])
    lengths = np.concatenate(
        [distances(part, origin) for part in np.array_split(points, len(points) // 1024 + 1)]
    )
    order = np.argsort(-lengths, kind="stable")
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(lengths[order])) + 1, [len(order)]])
    for k in np.flatnonzero(np.diff(bounds) > 1):
        equal = slice(bounds[k], bounds[k + 1])
        order[equal] = sorted(order[equal], key=lambda i: tuple(points[i].tolist()), reverse=True)
    return order


def _merges(
    edges: np.ndarray, lengths: np.ndarray, points: np.ndarray, leaf_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the edges of a spanning tree into merges by the printed rule.

    Leaves are called by rank.
    """
    n = len(leaf_of)
    order = np.argsort(lengths, kind="stable")
    heights = lengths[order]
    clusters = _Clusters(n)
    cuts = np.flatnonzero(np.diff(heights)) + 1
    for group in np.split(order, cuts) if n > 1 else ():
        if len(group) == 1:
            a, b = edges[group[0]].tolist()
            clusters.merge(clusters.cluster(a), clusters.cluster(b))
        else:
            tied = [tuple(edge) for edge in edges[group].tolist()]
            _merge_ties(tied, float(lengths[group[0]]), clusters, points, leaf_of)
    return np.array(clusters.triplets, np.int64).reshape(-1, 3), heights


class _Clusters:
    """Clusters that have merged so far."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.parent = list(range(2 * n - 1))
        self.triplets: list[tuple[int, int, int]] = []

    def cluster(self, node: int) -> int:
        """Return the cluster that holds a node now."""
        parent = self.parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def merge(self, a: int, b: int) -> int:
        """Merge two clusters and return the new one."""
        new = self.n + len(self.triplets)
        self.triplets.append((min(a, b), max(a, b), new))
        self.parent[a] = new
        self.parent[b] = new
        return new

    def leaves(self, cluster: int) -> list[int]:
        """Return the leaves of a cluster."""
        leaves = []
        stack = [cluster]
        while stack:
            node = stack.pop()
            if node < self.n:
                leaves.append(node)
            else:
                stack.extend(self.triplets[node - self.n][:2])
        return leaves


def _merge_ties(
    edges: list[tuple[int, int]],
    height: float,
    clusters: _Clusters,
    points: np.ndarray,
    leaf_of: np.ndarray,
) -> None:
    """Merge all clusters that are equally close, at one height.

    Each time the first close pair in ascending order of indices merges.
    """
    families = _connected_sets([(clusters.cluster(a), clusters.cluster(b)) for a, b in edges])
    queues: list[_PairQueue] = []
    for family in families:
        if height == 0 or len(family) == 2:
            queues.append(_AllPairs(family))
        else:
            queues.append(_SomePairs(_close_pairs(family, height, clusters, points, leaf_of)))
    waiting = [(queue.lowest(), k) for k, queue in enumerate(queues)]
    heapq.heapify(waiting)
    while waiting:
        _, k = heapq.heappop(waiting)
        a, b = queues[k].next_pair()
        if queues[k].replace(a, b, clusters.merge(a, b)):
            heapq.heappush(waiting, (queues[k].lowest(), k))


def _connected_sets(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Return the connected sets of clusters, each sorted."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    families = []
    seen = set()
    for start in neighbours:
        if start in seen:
            continue
        family = []
        stack = [start]
        seen.add(start)
        while stack:
            node = stack.pop()
            family.append(node)
            unseen = [other for other in neighbours[node] if other not in seen]
            seen.update(unseen)
            stack.extend(unseen)
        families.append(sorted(family))
    return families


class _AllPairs:
    """Pairs of clusters that are all equally close.

    They are copies of one instance, or just two clusters.
    """

    def __init__(self, clusters: list[int]) -> None:
        self.clusters = clusters
        self.position = 0

    def lowest(self) -> int:
        """Return the lowest cluster that has a close one."""
        return self.clusters[self.position]

    def next_pair(self) -> tuple[int, int]:
        """Return the first pair in ascending order of indices."""
        return self.clusters[self.position], self.clusters[self.position + 1]

    def replace(self, a: int, b: int, new: int) -> bool:
        """Replace two clusters by a new one; return whether a pair is left."""
        self.position += 2
        self.clusters.append(new)
        return len(self.clusters) - self.position > 1


class _SomePairs:
    """Pairs of clusters of which some are equally close."""

    def __init__(self, close: dict[int, set[int]]) -> None:
        self.close = close
        self.order = sorted(close)
        heapq.heapify(self.order)

    def lowest(self) -> int:
        """Return the lowest cluster that has a close one."""
        while not self.close.get(self.order[0]):
            heapq.heappop(self.order)
        return self.order[0]

    def next_pair(self) -> tuple[int, int]:
        """Return the first pair in ascending order of indices."""
        a = self.lowest()
        return a, min(self.close[a])

    def replace(self, a: int, b: int, new: int) -> bool:
        """Replace two clusters by a new one; return whether a pair is left."""
        others = (self.close.pop(a) | self.close.pop(b)) - {a, b}
        for other in others:
            self.close[other] -= {a, b}
            self.close[other].add(new)
        self.close[new] = others
        heapq.heappush(self.order, new)
        return bool(others)


_PairQueue = _AllPairs | _SomePairs


def _close_pairs(
    family: list[int], height: float, clusters: _Clusters, points: np.ndarray, leaf_of: np.ndarray
) -> dict[int, set[int]]:
    """Return the clusters at exactly this distance from each cluster."""
    leaves = {cluster: leaf_of[clusters.leaves(cluster)] for cluster in family}
    family = sorted(family, key=lambda cluster: len(leaves[cluster]))
    owner = np.repeat(np.arange(len(family)), [len(leaves[cluster]) for cluster in family])
    all_leaves = np.concatenate([leaves[cluster] for cluster in family])
    close: dict[int, set[int]] = {cluster: set() for cluster in family}
    for k, cluster in enumerate(family[:-1]):
        later = np.flatnonzero(owner > k)
        for leaf in leaves[cluster]:
            for part in np.array_split(later, len(later) // 4096 + 1):
                is_close = distances(points[all_leaves[part]], points[leaf]) == height
                for other in np.unique(owner[part[is_close]]):
                    close[cluster].add(family[other])
                    close[family[other]].add(cluster)
    return close
