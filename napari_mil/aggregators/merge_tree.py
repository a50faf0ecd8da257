"""The order in which single linkage merges the instances of a bag (HAMIL, algorithm 1).

As printed, the two clusters of smallest distance merge until one is left; of equal distances, the first pair in ascending order of
cluster indices wins, and a merged cluster gets the next index. Which instance is called 0 therefore decides ties and operands.
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
"""Numbers above have no squares."""


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The merges of N instances, from the closest to the last."""

    triplets: np.ndarray
    """int64 (N - 1, 3): left, right, new. Leaves are 0 to N - 1 in the order of the bag, merged clusters N to 2 N - 2."""
    heights: np.ndarray
    """float64 (N - 1,): distance at which each merge happens, ascending."""

    @property
    def n_leaves(self) -> int:
        """N."""
        return len(self.triplets) + 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 (2 N - 1,): leaves under each node."""
        sizes = np.ones(2 * self.n_leaves - 1, np.int64)
        for left, right, new in self.triplets.tolist():
            sizes[new] = sizes[left] + sizes[right]
        return sizes

    @cached_property
    def leaf_order(self) -> np.ndarray:
        """int64 (N,): leaves from left to right, so that a drawing of the tree has no crossing lines."""
        start = np.zeros(2 * self.n_leaves - 1, np.int64)  # place of the first leaf under each node
        for left, right, new in self.triplets[::-1].tolist():
            start[left] = start[new]
            start[right] = start[new] + self.sizes[left]
        return np.argsort(start[: self.n_leaves])

    def cut(self, n_clusters: int | None = None, *, height: float | None = None) -> np.ndarray:
        """Stop merging early.

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
        kept = (
            int((self.heights <= height).sum())
            if n_clusters is None
            else max(0, self.n_leaves - n_clusters)
        )
        owner = np.arange(self.n_leaves + kept)
        owner[self.triplets[:kept, 0]] = owner[self.triplets[:kept, 1]] = self.triplets[:kept, 2]
        while not np.array_equal(above := owner[owner], owner):
            owner = above
        _, first, labels = np.unique(owner[: self.n_leaves], return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[labels]

    def linkage(self) -> np.ndarray:
        """Return the merges in scipy's layout: float64 (N - 1, 4) with left, right, height, number of leaves."""
        new = self.triplets[:, 2]
        return np.column_stack([self.triplets[:, :2], self.heights, self.sizes[new]]).astype(
            np.float64
        )

    def levels(self) -> Iterator[np.ndarray]:
        """Yield rows of `triplets` that do not depend on each other, the deepest first: each can be merged at once."""
        depth = np.zeros(2 * self.n_leaves - 1, np.int64)
        for left, right, new in self.triplets.tolist():
            depth[new] = 1 + max(depth[left], depth[right])
        of_merge = depth[self.triplets[:, 2]]
        order = np.argsort(of_merge, kind="stable")
        yield from (
            np.split(order, np.flatnonzero(np.diff(of_merge[order])) + 1) if len(order) else ()
        )


def single_linkage(
    points: np.ndarray, order: Order = "canonical", on_block: Callable[[], None] | None = None
) -> MergeTree:
    """Merge the closest clusters until one is left; exact up to float64, in memory linear in N unless very many distances are equal.

    Parameters
    ----------
    points
        float (N, D), N >= 1.
    order
        ``"index"`` as printed: ties and operands follow the order of the bag. ``"canonical"``: instances are first ranked by length
        (then by their numbers, the first that differs), ties follow the ranks, and the operand of more leaves comes first, of equal ones
        that of lower index; so the tree and what is computed along it do not depend on the order of the bag.
    on_block
        Called now and then; what it raises ends the work.

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
            "The features of this bag cannot be clustered: there are none, or they hold NaN, infinite or absurdly large numbers."
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
    """Return rows by length, the longest first, then by their numbers: int64 (N,). Equal rows are interchangeable."""
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
    """Turn the edges of a spanning tree into the merges of the printed rule; leaves are called by rank."""
    n = len(leaf_of)
    order = np.argsort(lengths, kind="stable")
    heights = lengths[order]
    book = _Book(n)
    cuts = np.flatnonzero(np.diff(heights)) + 1
    for group in np.split(order, cuts) if n > 1 else ():
        if len(group) == 1:
            book.merge(*(book.cluster(leaf) for leaf in edges[group[0]].tolist()))
        else:
            _merge_ties(
                [tuple(edge) for edge in edges[group].tolist()],
                float(lengths[group[0]]),
                book,
                points,
                leaf_of,
            )
    return np.array(book.triplets, np.int64).reshape(-1, 3), heights


class _Book:
    """Which cluster a leaf is in."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.parent = list(range(2 * n - 1))
        self.triplets: list[tuple[int, int, int]] = []

    def cluster(self, node: int) -> int:
        parent = self.parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def merge(self, a: int, b: int) -> int:
        new = self.n + len(self.triplets)
        self.triplets.append((min(a, b), max(a, b), new))
        self.parent[a] = self.parent[b] = new
        return new

    def leaves(self, cluster: int) -> list[int]:
        found, stack = [], [cluster]
        while stack:
            node = stack.pop()
            if node < self.n:
                found.append(node)
            else:
                stack.extend(self.triplets[node - self.n][:2])
        return found


def _merge_ties(
    edges: list[tuple[int, int]],
    height: float,
    book: _Book,
    points: np.ndarray,
    leaf_of: np.ndarray,
) -> None:
    """Merge all clusters at one height: again and again the first pair, in ascending order of indices, that is so close."""
    families = _families([(book.cluster(a), book.cluster(b)) for a, b in edges])
    closeness: list[_Close] = [
        _EveryPair(family)
        if height == 0 or len(family) == 2
        else _SomePairs(_close_pairs(family, height, book, points, leaf_of))
        for family in families
    ]
    waiting = [(family.first(), k) for k, family in enumerate(closeness)]
    heapq.heapify(waiting)
    while waiting:
        _, k = heapq.heappop(waiting)
        a, b = closeness[k].pair()
        if closeness[k].merged(a, b, book.merge(a, b)):
            heapq.heappush(waiting, (closeness[k].first(), k))


def _families(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Return the connected sets of clusters."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    families, seen = [], set()
    for start in neighbours:
        if start in seen:
            continue
        family, stack = [], [start]
        seen.add(start)
        while stack:
            node = stack.pop()
            family.append(node)
            fresh = [other for other in neighbours[node] if other not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        families.append(sorted(family))
    return families


class _EveryPair:
    """Clusters all of which are equally close to each other: copies of one instance, or just two."""

    def __init__(self, clusters: list[int]) -> None:
        self.clusters, self.position = clusters, 0

    def first(self) -> int:
        return self.clusters[self.position]

    def pair(self) -> tuple[int, int]:
        return self.clusters[self.position], self.clusters[self.position + 1]

    def merged(self, a: int, b: int, new: int) -> bool:
        """Take note; return whether a pair is left."""
        self.position += 2
        self.clusters.append(new)
        return len(self.clusters) - self.position > 1


class _SomePairs:
    """Clusters some pairs of which are equally close."""

    def __init__(self, close: dict[int, set[int]]) -> None:
        self.close = close
        self.order = sorted(close)
        heapq.heapify(self.order)

    def first(self) -> int:
        while not self.close.get(self.order[0]):
            heapq.heappop(self.order)
        return self.order[0]

    def pair(self) -> tuple[int, int]:
        a = self.first()
        return a, min(self.close[a])

    def merged(self, a: int, b: int, new: int) -> bool:
        """Take note; return whether a pair is left."""
        others = (self.close.pop(a) | self.close.pop(b)) - {a, b}
        for other in others:
            self.close[other] -= {a, b}
            self.close[other].add(new)
        self.close[new] = others
        heapq.heappush(self.order, new)
        return bool(others)


_Close = _EveryPair | _SomePairs


def _close_pairs(
    family: list[int], height: float, book: _Book, points: np.ndarray, leaf_of: np.ndarray
) -> dict[int, set[int]]:
    """Return which clusters are exactly so close to each other."""
    leaves = {cluster: leaf_of[book.leaves(cluster)] for cluster in family}
    family = sorted(family, key=lambda cluster: len(leaves[cluster]))
    owner = np.repeat(np.arange(len(family)), [len(leaves[cluster]) for cluster in family])
    every = np.concatenate([leaves[cluster] for cluster in family])
    close: dict[int, set[int]] = {cluster: set() for cluster in family}
    for k, cluster in enumerate(family[:-1]):
        rest = np.flatnonzero(owner > k)
        for leaf in leaves[cluster]:
            for part in np.array_split(rest, len(rest) // 4096 + 1):
                for other in np.unique(
                    owner[part[distances(points[every[part]], points[leaf]) == height]]
                ):
                    close[cluster].add(family[other])
                    close[family[other]].add(cluster)
    return close
