"""Euclidean minimum spanning tree in memory linear in the number of points.

Borůvka's algorithm over lists of nearest neighbours. One pass of blocked float32 matrix products finds, for every point, its k nearest
others and a bound below the distance to all the rest; listed distances are then computed exactly in float64. A component may take its
shortest known edge out when no bound of its points is shorter. Where lists run out, the points of all but the largest such component are
looked up again, outside their own component; where float32 cannot tell, in float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch

NEIGHBOURS = 8
BLOCK_ROWS = 128
"""Points whose distances to all others are held at a time: 5 MB for 10 000 points."""


def minimum_spanning_tree(
    points: np.ndarray, on_block: Callable[[], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Connect points with the least total length.

    Parameters
    ----------
    points
        float (N, D), N >= 1; finite and small enough to be squared.
    on_block
        Called now and then; what it raises ends the work.

    Returns
    -------
    tuple
        int64 (N - 1, 2) edges and their float64 lengths, in no order.
    """
    firsts, twins = _twins(points)
    edges, lengths = [twins], [np.zeros(len(twins))]
    if len(firsts) > 1:
        between, length = _Boruvka(points, firsts, on_block or (lambda: None)).run()
        edges.append(firsts[between])
        lengths.append(length)
    return np.concatenate(edges), np.concatenate(lengths)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Euclidean distance of (..., D) to (..., D) in float64: the same bits for the same two points, whoever asks."""
    difference = left.astype(np.float64) - right
    return np.sqrt(np.square(difference, out=difference).sum(-1))


def _twins(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first of equal points (n,), and edges (N - n, 2) from them to the others."""
    seen: dict[bytes, int] = {}
    twins = []
    for i, row in enumerate(points):
        first = seen.setdefault(
            hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest(), i
        )  # -0.0 is 0.0
        if first != i:
            twins.append((first, i))
    return np.fromiter(seen.values(), np.int64), np.array(twins, np.int64).reshape(-1, 2)


class _Boruvka:
    def __init__(
        self, points: np.ndarray, chosen: np.ndarray, on_block: Callable[[], None]
    ) -> None:
        self.points, self.chosen, self.on_block = points, chosen, on_block
        n = len(chosen)
        self.k = min(NEIGHBOURS, n - 1)
        self.component = np.arange(n)
        self.neighbours = np.zeros((n, self.k), np.int64)
        self.length = np.zeros((n, self.k))
        self.bound = np.zeros(n)
        """Nothing that is not listed is closer, unless it lies in the same component."""
        self.single = _Products(points, chosen, torch.float32)

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        self.look_up(np.arange(len(self.chosen)), self.single, outside=False)
        edges: list[np.ndarray] = []
        lengths: list[float] = []
        while self.component.any():
            if not self.join(edges, lengths):
                self.refresh()
                if not self.join(edges, lengths):
                    raise ArithmeticError(
                        "no component found its shortest way out, although all distances were computed exactly"
                    )
        return np.array(edges, np.int64).reshape(-1, 2), np.array(lengths)

    def join(self, edges: list[np.ndarray], lengths: list[float]) -> bool:
        """Let every component that may take its shortest edge; return whether one did."""
        point, neighbour, length = self.shortest()
        certain = np.full(len(self.chosen), np.inf)
        np.minimum.at(certain, self.component, self.bound)
        components = self.component[point]
        sure = length <= certain[components]
        if not sure.any():
            return False
        root = np.arange(len(self.chosen))

        def find(i: int) -> int:
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        order = np.flatnonzero(sure)
        for e in order[np.argsort(length[order], kind="stable")]:
            a, b = find(components[e]), find(self.component[neighbour[e]])
            if a != b:
                root[max(a, b)] = min(a, b)
                edges.append(np.array((point[e], neighbour[e])))
                lengths.append(float(length[e]))
        while True:
            further = root[root]
            if np.array_equal(further, root):
                break
            root = further
        self.component = root[self.component]
        return True

    def shortest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for each component that knows a way out, its shortest: point, neighbour, length."""
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
        """Look up the points of all components but the largest again, more exactly those that were not exact enough to decide."""
        sizes = np.bincount(self.component)
        points = np.flatnonzero(self.component != sizes.argmax())
        self.look_up(points, self.single, outside=True)
        if len(points := self.undecided(points)):
            self.look_up(points, _Products(self.points, self.chosen, torch.float64), outside=True)
        for p in self.undecided(points):
            others = np.flatnonzero(self.component != self.component[p])
            here = self.points[self.chosen[p]]
            exact = np.concatenate(
                [
                    distances(self.points[self.chosen[part]], here)
                    for part in np.array_split(others, len(others) // 4096 + 1)
                ]
            )
            nearest = exact.argmin()
            self.neighbours[p], self.length[p], self.bound[p] = (
                others[nearest],
                exact[nearest],
                exact[nearest],
            )

    def undecided(self, points: np.ndarray) -> np.ndarray:
        """Return those points that may have a shorter way out than the shortest known of their component."""
        point, _, length = self.shortest()
        best = np.full(len(self.chosen), np.inf)
        best[self.component[point]] = length
        return points[self.bound[points] < best[self.component[points]]]

    def look_up(self, points: np.ndarray, products: _Products, outside: bool) -> None:
        """Renew the lists of points; `outside` their component only."""
        component = torch.from_numpy(self.component)
        for start in range(0, len(points), BLOCK_ROWS):
            self.on_block()
            block = points[start : start + BLOCK_ROWS]
            squared = products.squared_distances(block)
            if outside:
                squared.masked_fill_(component[block][:, None] == component, torch.inf)
            else:
                squared[torch.arange(len(block)), torch.from_numpy(block)] = torch.inf
            nearest, listing = squared.topk(self.k, largest=False)
            index = listing.numpy()
            exact = np.stack(
                [
                    distances(self.points[self.chosen[block]], self.points[self.chosen[column]])
                    for column in index.T
                ],
                1,
            )
            listed = torch.isfinite(nearest).numpy()
            self.neighbours[block], self.length[block] = index, np.where(listed, exact, np.inf)
            self.bound[block] = np.where(
                listed[:, -1], products.at_least(nearest[:, -1], block), np.inf
            )


class _Products:
    """Squared distances by matrix products, with a bound of their rounding."""

    def __init__(self, points: np.ndarray, chosen: np.ndarray, dtype: torch.dtype) -> None:
        # Products lose what is small beside the lengths of the points: these are measured from the middle, in units of the largest number.
        parts = np.array_split(np.arange(len(chosen)), len(chosen) // 1024 + 1)
        middle = np.sum([points[chosen[part]].sum(0, dtype=np.float64) for part in parts], 0) / len(
            chosen
        )
        self.unit = max(float(np.abs(points[chosen[part]] - middle).max()) for part in parts)
        self.centred = torch.empty(len(chosen), points.shape[1], dtype=dtype)
        for part in parts:
            self.centred[part] = torch.from_numpy((points[chosen[part]] - middle) / self.unit).to(
                dtype
            )
        self.norms = torch.linalg.vector_norm(self.centred, dim=1).square()
        longest = float(self.norms.max()) ** 0.5
        # Rounding of a product of D terms grows as sqrt(D); 8 times its standard deviation.
        self.error = (
            8 * (points.shape[1] ** 0.5 + 4) * torch.finfo(dtype).eps * longest * self.norms.sqrt()
        )

    def squared_distances(self, block: np.ndarray) -> torch.Tensor:
        """Return (n, N) squared distances in squared units, short of the squared length of the row's point."""
        return torch.addmm(self.norms, self.centred[block], self.centred.T, alpha=-2)

    def at_least(self, squared: torch.Tensor, block: np.ndarray) -> np.ndarray:
        """Return float64 (n,) distances that are certainly not larger than these."""
        return (
            self.unit
            * (squared + self.norms[block] - self.error[block]).clamp(min=0).double().sqrt().numpy()
        )
