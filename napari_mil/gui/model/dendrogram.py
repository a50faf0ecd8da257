"""Drawing of a merge tree: places of its nodes, and the lines that a view of it needs.

Leaves lie at 0, 1, 2, … along x in an order without crossings, every node at the height of its
merge, over the middle of its leaves. What is drawn has the level of detail of the screen: branches
narrower than a pixel are one line, and lines that share their pixels are drawn once, so that the
number of lines is bounded by the pixels and not by the tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_mil.aggregators.merge_tree import MergeTree


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """Places of the nodes of a tree of N leaves: 0 to N - 1, then the merges in their order."""

    children: np.ndarray
    """int64 (N - 1, 2): nodes that each merge joins, the left one first."""
    parent: np.ndarray
    """int64 (2 N - 1,): node above each node; -1 for the last merge."""
    first: np.ndarray
    """int64 (2 N - 1,): place of the leftmost leaf under each node."""
    last: np.ndarray
    """int64 (2 N - 1,): place of the rightmost leaf under each node."""
    height: np.ndarray
    """float64 (2 N - 1,): height of each node; 0 for leaves that are instances."""
    order: np.ndarray
    """int64 (N,): leaves from left to right."""

    @property
    def n_leaves(self) -> int:
        """Number of leaves N."""
        return len(self.order)

    def x(self, nodes: np.ndarray) -> np.ndarray:
        """Return the middle of the leaves under each of some nodes, float64, same shape."""
        middle: np.ndarray = (self.first[nodes] + self.last[nodes]) / 2
        return middle

    @property
    def top(self) -> float:
        """Height of the highest node, or 1 where all heights are 0."""
        return float(self.height.max()) or 1.0

    def leaves(self, node: int) -> np.ndarray:
        """Return the leaves under a node from left to right, int64 (n,)."""
        return self.order[self.first[node] : self.last[node] + 1]

    def path(self, node: int) -> np.ndarray:
        """Return the nodes from a node up to the last merge, int64 (n,)."""
        nodes = []
        while node >= 0:
            nodes.append(node)
            node = int(self.parent[node])
        return np.array(nodes, np.int64)

    def highest_between(self, left: float, right: float) -> float:
        """Return the height of the highest merge whose leaves all lie between two places.

        Where there is none, of the lowest one that reaches in; 1 where that is 0.
        """
        n = self.n_leaves
        first, last, heights = self.first[n:], self.last[n:], self.height[n:]
        inside = heights[(first >= left) & (last <= right)]
        across = heights[(first <= right) & (last >= left)]
        highest = inside.max() if len(inside) else across.min() if len(across) else 0.0
        return float(highest) or 1.0

    def branch_at(self, x: float, y: float) -> int:
        """Return the node whose branch a point is in: its leaves span x, its upward line y.

        The branches at one height do not overlap, so there is one; above the tree it is the whole,
        below the leaves a leaf.
        """
        place = min(max(round(x), 0), self.n_leaves - 1)
        node = int(self.order[place])
        while self.parent[node] >= 0 and self.height[self.parent[node]] <= y:
            node = int(self.parent[node])
        return node


@dataclass(frozen=True, slots=True)
class Axis:
    """What is seen along x or y, and in how many pixels."""

    low: float
    high: float
    n_px: int

    @property
    def px(self) -> float:
        """Size of a pixel."""
        return (self.high - self.low) / max(1, self.n_px)


@dataclass(frozen=True, slots=True)
class View:
    """Part of a dendrogram that is seen: leaves along x, heights along y."""

    columns: Axis
    rows: Axis


@dataclass(frozen=True, eq=False)
class Lines:
    """Horizontal and vertical lines: every two points are the ends of one."""

    x: np.ndarray
    """float64 (2 n,)."""
    y: np.ndarray
    """float64 (2 n,)."""


def dendrogram_of(tree: MergeTree) -> Dendrogram:
    """Place the nodes of a tree whose leaves are all instances."""
    n = tree.n_leaves
    height = np.concatenate([np.zeros(n), tree.heights])
    return _placed(tree.triplets[:, :2], tree.sizes, height, np.asarray(tree.leaf_order))


def dendrogram_of_clusters(tree: MergeTree, n_clusters: int) -> tuple[Dendrogram, np.ndarray]:
    """Place the nodes of the top of a tree, whose leaves are the clusters of a cut.

    Returns
    -------
    Dendrogram
        Of as many leaves as there are clusters; their heights are those of their last merges.
    ndarray
        int64 (n_clusters,): node of the whole tree that each leaf stands for.
    """
    n = tree.n_leaves
    n_clusters = min(n_clusters, n)
    merged = n - n_clusters
    upper = tree.triplets[merged:, :2]
    height = np.concatenate([np.zeros(n), tree.heights])
    roots = np.array([2 * n - 2]) if n_clusters == 1 else np.unique(upper[upper < n + merged])
    number = np.full(2 * n - 1, -1)
    number[roots] = np.arange(n_clusters)
    number[n + merged :] = n_clusters + np.arange(n_clusters - 1)
    children = number[upper].reshape(-1, 2)
    sizes = np.ones(2 * n_clusters - 1, np.int64)
    for k, (left, right) in enumerate(children.tolist(), n_clusters):
        sizes[k] = sizes[left] + sizes[right]
    heights = np.concatenate([height[roots], tree.heights[merged:]])
    place = np.empty(n, np.int64)
    place[tree.leaf_order] = np.arange(n)
    order = np.argsort(place[_leftmost(tree.triplets[:, :2], n)[roots]])
    return _placed(children, sizes, heights, order), roots


def _placed(
    children: np.ndarray, sizes: np.ndarray, height: np.ndarray, order: np.ndarray
) -> Dendrogram:
    n = len(order)
    parent = np.full(2 * n - 1, -1)
    parent[children.ravel()] = np.repeat(np.arange(n, 2 * n - 1), 2)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    first = place[_leftmost(children, n)]
    return Dendrogram(children, parent, first, first + sizes - 1, height, order)


def _leftmost(children: np.ndarray, n: int) -> np.ndarray:
    """Return the leftmost leaf under each node, int64 (2 N - 1,)."""
    below = np.concatenate([np.arange(n), children[:, 0]])
    # Pointers down to the left are doubled until all of them end at a leaf.
    further = below[below]
    while not np.array_equal(further, below):
        below = further
        further = below[below]
    return below


def clusters_at(heights: np.ndarray, height: float, most: int) -> int:
    """Return how many clusters a cut at a height leaves, from 1 to a number at most.

    Parameters
    ----------
    heights
        Heights of the merges, float (N - 1,), ascending.
    height
        The largest height that still merges.
    most
        Clusters at most.
    """
    left = len(heights) + 1 - int(np.searchsorted(heights, height, "right"))
    return min(max(left, 1), most)


def height_of_cut(heights: np.ndarray, n_clusters: int) -> float:
    """Return the height in the middle between the last merge of a cut and the next one."""
    merged = len(heights) + 1 - n_clusters
    lower = heights[merged - 1] if merged > 0 else 0.0
    upper = heights[merged] if merged < len(heights) else 1.05 * heights[-1]
    return float(lower + upper) / 2


def nodes_of_clusters(dendrogram: Dendrogram, ranks: np.ndarray, merged: int) -> np.ndarray:
    """Return the cluster of each node, int64 (2 N - 1,); -1 for nodes above the cut.

    Parameters
    ----------
    dendrogram
        Of the whole tree.
    ranks
        Cluster of each leaf, int64 (N,).
    merged
        Merges below the cut.
    """
    n = dendrogram.n_leaves
    clusters = ranks[dendrogram.order][dendrogram.first]
    clusters[n + merged :] = -1
    return clusters


def visible_lines(dendrogram: Dendrogram, view: View, colours: np.ndarray) -> dict[int, Lines]:
    """Return the lines that a view of a dendrogram needs, by colour.

    Parameters
    ----------
    dendrogram
        What is drawn.
    view
        Part that is seen, and the pixels that show it.
    colours
        int64 (2 N - 1,): number of the colour of each node's bar and of the lines down from it.

    Returns
    -------
    dict
        Lines by colour; each pixel row and column holds each of its parts once.
    """
    kept = _kept_merges(dendrogram, view)
    nodes = kept + dendrogram.n_leaves
    children = dendrogram.children[kept]
    top = dendrogram.height[nodes]
    ends = dendrogram.x(children)
    low = _lower_ends(dendrogram, children, view)
    colour = colours[nodes]
    found: dict[int, Lines] = {}
    for each in np.unique(colour):
        of = colour == each
        bars_y, bars_x = _unite(top[of], ends[of, 0], ends[of, 1], view.rows, view.columns)
        legs_x, legs_y = _unite(
            ends[of].ravel(), low[of].ravel(), np.repeat(top[of], 2), view.columns, view.rows
        )
        found[int(each)] = Lines(np.concatenate([bars_x, legs_x]), np.concatenate([bars_y, legs_y]))
    return found


def _kept_merges(dendrogram: Dendrogram, view: View) -> np.ndarray:
    """Return the merges in view that are wider than a pixel, int64 (n,)."""
    n = dendrogram.n_leaves
    first, last = dendrogram.first[n:], dendrogram.last[n:]
    seen = (
        (last >= view.columns.low)
        & (first <= view.columns.high)
        & (dendrogram.height[n:] >= view.rows.low)
    )
    wide = last - first >= view.columns.px
    # The whole tree is drawn however narrow it is.
    wide[-1:] = True
    return np.flatnonzero(seen & wide)


def _lower_ends(dendrogram: Dendrogram, nodes: np.ndarray, view: View) -> np.ndarray:
    """Return where the line up from each node begins: at its bar, or at 0 where that is not drawn.

    A branch narrower than a pixel is one line.
    """
    narrow = dendrogram.last[nodes] - dendrogram.first[nodes] < view.columns.px
    return np.where(narrow & (nodes >= dendrogram.n_leaves), 0.0, dendrogram.height[nodes])


def _unite(
    across: np.ndarray, start: np.ndarray, end: np.ndarray, rows: Axis, columns: Axis
) -> tuple[np.ndarray, np.ndarray]:
    """Unite parallel lines that lie in the same row of pixels and touch, within what is seen.

    Parameters
    ----------
    across
        Where each line lies, float (n,).
    start, end
        Its ends, float (n,), the lower one first.
    rows
        What is seen across the lines.
    columns
        What is seen along them.

    Returns
    -------
    ndarray, ndarray
        Both ends of every united line, across and along, float (2 m,) each.
    """
    seen = (
        (across >= rows.low)
        & (across <= rows.high)
        & (end >= columns.low)
        & (start <= columns.high)
    )
    across = across[seen]
    start = np.maximum(start[seen], columns.low)
    end = np.minimum(end[seen], columns.high)
    if not len(across):
        return across, start
    # All rows of pixels lie behind each other along one axis, each on a stretch of its own.
    stretch = 2 * (columns.high - columns.low + columns.px)
    offset = np.floor((across - rows.low) / rows.px) * stretch
    begin = start + offset
    order = np.argsort(begin)
    begin = begin[order]
    reached = np.maximum.accumulate((end + offset)[order])
    at = np.flatnonzero(begin[1:] > reached[:-1] + columns.px) + 1
    at = np.concatenate([[0], at])
    until = np.append(at[1:], len(order)) - 1
    offset = offset[order[at]]
    along = np.column_stack([begin[at], reached[until]]) - offset[:, None]
    return np.repeat(across[order[at]], 2), along.ravel()


def path_lines(dendrogram: Dendrogram, nodes: np.ndarray, view: View) -> Lines:
    """Return the lines of a path, int64 (n,), as `Dendrogram.path` gives it."""
    below, above = nodes[:-1], nodes[1:]
    if not len(below):
        return Lines(np.empty(0), np.empty(0))
    x_below, x_above = dendrogram.x(below), dendrogram.x(above)
    height = dendrogram.height
    legs_x, legs_y = _unite(x_below, height[below], height[above], view.columns, view.rows)
    low = np.minimum(x_below, x_above)
    high = np.maximum(x_below, x_above)
    bars_y, bars_x = _unite(height[above], low, high, view.rows, view.columns)
    return Lines(np.concatenate([legs_x, bars_x]), np.concatenate([legs_y, bars_y]))


def marked_places(dendrogram: Dendrogram, leaves: np.ndarray, view: View) -> np.ndarray:
    """Return where leaves are marked, float64 (n,): one place for each pixel of the view."""
    place = np.empty(dendrogram.n_leaves, np.int64)
    place[dendrogram.order] = np.arange(dendrogram.n_leaves)
    places = place[leaves]
    places = places[(places >= view.columns.low) & (places <= view.columns.high)]
    _, index = np.unique(np.floor((places - view.columns.low) / view.columns.px), return_index=True)
    return places[index].astype(float)


def first_merged_leaves(children: np.ndarray, n_leaves: int, labels: np.ndarray) -> np.ndarray:
    """Return a leaf of each cluster that stands for it: of its pair that merged first.

    Parameters
    ----------
    children
        int64 (N - 1, 2): nodes of each merge.
    n_leaves
        Number of leaves N.
    labels
        Cluster of each leaf, int64 (N,), from 0.

    Returns
    -------
    ndarray
        int64 (n_clusters,).
    """
    # A cluster of one has no pair.
    found = np.zeros(int(labels.max()) + 1, np.int64)
    found[labels[::-1]] = np.arange(n_leaves)[::-1]
    pairs = np.flatnonzero((children < n_leaves).all(1))[::-1]
    leaves = children[pairs, 0]
    same = labels[leaves] == labels[children[pairs, 1]]
    found[labels[leaves[same]]] = leaves[same]
    return found
