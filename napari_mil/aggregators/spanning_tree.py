"""Euclidean minimum spanning tree in memory linear in the number of points.

Borůvka's algorithm over lists of nearest neighbours. One pass of blocked float32 matrix products
finds, for every point, its k nearest others and a bound below the distance to all the rest; listed
distances are then computed exactly in float64. A component may take its shortest known edge out
when no bound of its points is shorter. Where lists run out, the points of all but the largest such
component are looked up again, outside their own component; where float32 cannot tell, in float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch

NEIGHBOURS = 8
"""Nearest neighbours that are listed for each point."""
BLOCK_ROWS = 128
"""Points whose distances to all others are held at a time.

They take 5 MB for 10 000 points.
"""


def minimum_spanning_tree(
    points: np.ndarray, on_block: Callable[[], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the edges that connect points with the least total length.

    Parameters
    ----------
    points
        float (N, D), N >= 1; finite and small enough to be squared.
    on_block
        Called before each block of distances; an exception that it raises ends the work.

    Returns
    -------
    tuple
        int64 (N - 1, 2) edges and their float64 lengths, in no order.
    """
    firsts, duplicates = _find_duplicates(points)
    edges = [duplicates]
    lengths = [np.zeros(len(duplicates))]
    if len(firsts) > 1:
        between, length = _Boruvka(points, firsts, on_block or (lambda: None)).run()
        edges.append(firsts[between])
        lengths.append(length)
    return np.concatenate(edges), np.concatenate(lengths)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return Euclidean distances of (..., D) to (..., D) in float64.

    The same two points always have bitwise the same distance.
    """
    difference = left.astype(np.float64) - right
    return np.sqrt(np.square(difference, out=difference).sum(-1))


def _find_duplicates(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find equal points.

    Returns the first of each (n,), and edges (N - n, 2) from these to the others.
    """
    first_of: dict[bytes, int] = {}
    duplicates = []
    for i, row in enumerate(points):
        # Adding 0.0 turns -0.0 into 0.0.
        digest = hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()
        first = first_of.setdefault(digest, i)
        if first != i:
            duplicates.append((first, i))
    firsts = np.fromiter(first_of.values(), np.int64)
    return firsts, np.array(duplicates, np.int64).reshape(-1, 2)


class _Boruvka:
    """Borůvka's algorithm over the chosen points, all of which differ."""

    def __init__(
        self, points: np.ndarray, chosen: np.ndarray, on_block: Callable[[], None]
    ) -> None:
        self.points = points
        self.chosen = chosen
        self.on_block = on_block
        n = len(chosen)
        self.k = min(NEIGHBOURS, n - 1)
        self.component = np.arange(n)
        self.neighbours = np.zeros((n, self.k), np.int64)
        self.length = np.zeros((n, self.k))
        self.bound = np.zeros(n)
        """Lower bound of the distance to points that are not listed.

        It does not hold for points of the same component.
        """
        self.products = _SquaredDistances(points, chosen, torch.float32)

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges of the tree and their lengths.

        Edges are positions among the chosen points.
        """
        self.list_neighbours(np.arange(len(self.chosen)), self.products, outside=False)
        edges: list[np.ndarray] = []
        lengths: list[float] = []
        while self.component.any():
            if not self.join(edges, lengths):
                self.refresh()
                if not self.join(edges, lengths):
                    raise ArithmeticError(
                        "no component found its shortest edge out, "
                        "although all distances were computed exactly"
                    )
        return np.array(edges, np.int64).reshape(-1, 2), np.array(lengths)

    def join(self, edges: list[np.ndarray], lengths: list[float]) -> bool:
        """Add the shortest edges that are certain; return whether there was one."""
        point, neighbour, length = self.shortest()
        component_bound = np.full(len(self.chosen), np.inf)
        np.minimum.at(component_bound, self.component, self.bound)
        components = self.component[point]
        is_certain = length <= component_bound[components]
        if not is_certain.any():
            return False
        root = np.arange(len(self.chosen))
        certain = np.flatnonzero(is_certain)
        for e in certain[np.argsort(length[certain], kind="stable")]:
            a = _find_root(root, components[e])
            b = _find_root(root, self.component[neighbour[e]])
            if a != b:
                root[max(a, b)] = min(a, b)
                edges.append(np.array((point[e], neighbour[e])))
                lengths.append(float(length[e]))
        # Pointers are doubled until all of them end at a root.
        further = root[root]
        while not np.array_equal(further, root):
            root = further
            further = root[root]
        self.component = root[self.component]
        return True

    def shortest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the shortest listed edge out of each component.

        Its point, neighbour and length, for components that have such an edge.
        """
        inside = self.component[self.neighbours] == self.component[:, None]
        outward = np.where(inside, np.inf, self.length)
        column = outward.argmin(1)
        rows = np.arange(len(column))
        length = outward[rows, column]
        order = np.lexsort((length, self.component))
        first = order[np.unique(self.component[order], return_index=True)[1]]
        first = first[np.isfinite(length[first])]
        return first, self.neighbours[first, column[first]], length[first]

    def refresh(self) -> None:
        """Look up again the points of all components but the largest.

        Those whose lists are not exact enough to decide are looked up more exactly.
        """
        sizes = np.bincount(self.component)
        points = np.flatnonzero(self.component != sizes.argmax())
        self.list_neighbours(points, self.products, outside=True)
        points = self.undecided(points)
        if len(points):
            exact_products = _SquaredDistances(self.points, self.chosen, torch.float64)
            self.list_neighbours(points, exact_products, outside=True)
        for p in self.undecided(points):
            others = np.flatnonzero(self.component != self.component[p])
            point = self.points[self.chosen[p]]
            exact = np.concatenate(
                [
                    distances(self.points[self.chosen[part]], point)
                    for part in np.array_split(others, len(others) // 4096 + 1)
                ]
            )
            nearest = exact.argmin()
            self.neighbours[p] = others[nearest]
            self.length[p] = exact[nearest]
            self.bound[p] = exact[nearest]

    def undecided(self, points: np.ndarray) -> np.ndarray:
        """Return those points whose shortest edge out is not certain yet.

        Their bound is below the shortest known edge of their component.
        """
        point, _, length = self.shortest()
        best = np.full(len(self.chosen), np.inf)
        best[self.component[point]] = length
        return points[self.bound[points] < best[self.component[points]]]

    def list_neighbours(
        self, points: np.ndarray, products: _SquaredDistances, outside: bool
    ) -> None:
        """List the nearest neighbours of points again.

        With `outside`, only those outside their own component.
        """
        component = torch.from_numpy(self.component)
        for start in range(0, len(points), BLOCK_ROWS):
            self.on_block()
            block = points[start : start + BLOCK_ROWS]
            squared = products.squared_distances(block)
            if outside:
                squared.masked_fill_(component[block][:, None] == component, torch.inf)
            else:
                squared[torch.arange(len(block)), torch.from_numpy(block)] = torch.inf
            nearest, nearest_index = squared.topk(self.k, largest=False)
            index = nearest_index.numpy()
            exact = np.stack(
                [
                    distances(self.points[self.chosen[block]], self.points[self.chosen[column]])
                    for column in index.T
                ],
                1,
            )
            is_listed = torch.isfinite(nearest).numpy()
            self.neighbours[block] = index
            self.length[block] = np.where(is_listed, exact, np.inf)
            bound = products.lower_bounds(nearest[:, -1], block)
            self.bound[block] = np.where(is_listed[:, -1], bound, np.inf)


def _find_root(root: np.ndarray, i: int) -> int:
    """Return the root of a component, halving the path to it."""
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


class _SquaredDistances:
    """Squared distances by matrix products, with a bound of their rounding."""

    def __init__(self, points: np.ndarray, chosen: np.ndarray, dtype: torch.dtype) -> None:
        # Products lose small differences of long vectors: points are measured from their mean, in
        # units of the largest number.
        parts = np.array_split(np.arange(len(chosen)), len(chosen) // 1024 + 1)
        sums = [points[chosen[part]].sum(0, dtype=np.float64) for part in parts]
        mean = np.sum(sums, 0) / len(chosen)
        self.unit = max(float(np.abs(points[chosen[part]] - mean).max()) for part in parts)
        self.centred = torch.empty(len(chosen), points.shape[1], dtype=dtype)
        for part in parts:
            scaled = (points[chosen[part]] - mean) / self.unit
            self.centred[part] = torch.from_numpy(scaled).to(dtype)
        self.norms = torch.linalg.vector_norm(self.centred, dim=1).square()
        longest = float(self.norms.max()) ** 0.5
        # Rounding of a product of D terms grows as sqrt(D); 8 times its standard deviation.
        self.error = (
            8 * (points.shape[1] ** 0.5 + 4) * torch.finfo(dtype).eps * longest * self.norms.sqrt()
        )

    def squared_distances(self, block: np.ndarray) -> torch.Tensor:
        """Return squared distances (n, N) in squared units.

        They lack the squared length of the row's point.
        """
        return torch.addmm(self.norms, self.centred[block], self.centred.T, alpha=-2)

    def lower_bounds(self, squared: torch.Tensor, block: np.ndarray) -> np.ndarray:
        """Return distances that are certainly not larger, float64 (n,)."""
        certain = (squared + self.norms[block] - self.error[block]).clamp(min=0)
        return self.unit * certain.double().sqrt().numpy()
