"""Where the instances of a bag lie: tiles on a slide, images side by side, or coordinates alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.grid import TileGrid

GAP = 0.06
"""Gap between the images of a bag, as a share of a cell."""


@dataclass(frozen=True, eq=False)
class Layout:
    """N instances in the cells of a lattice, in level-0 pixels of their subject."""

    coords: np.ndarray
    """float64 (N, 2): (x, y) of the top left corners."""
    cells: np.ndarray
    """int64 (N, 2): (row, column) of each instance in the lattice."""
    shape: tuple[int, int]
    """(rows, columns) of the lattice."""
    tile_size0: float
    """Width of an instance."""
    stride0: float
    """Distance from one cell to the next along x."""
    origin: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the top left corner of an instance in cell (0, 0)."""
    aspect: float = 1.0
    """Height of a level-0 pixel by its width: an instance is `tile_size0` / `aspect` high."""

    @property
    def size0(self) -> tuple[float, float]:
        """(width, height) of an instance."""
        return self.tile_size0, self.tile_size0 / self.aspect

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def index(self) -> np.ndarray:
        """int32 (rows, columns): instance in each cell, -1 where there is none."""
        index = np.full(self.shape, -1, np.int32)
        index[self.cells[:, 0], self.cells[:, 1]] = np.arange(len(self), dtype=np.int32)
        return index

    def covers_the_same_as(self, other: Layout) -> bool:
        """Say whether every instance lies where the one of the same number lies in another."""
        same_size = self.tile_size0 == other.tile_size0
        return same_size and np.array_equal(self.coords, other.coords)

    def columns_at(self, x: np.ndarray, parts: int = 1) -> np.ndarray:
        """Return the columns of cells at positions along x in level-0 pixels.

        Beside the lattice they are negative or too large; `parts` divides each cell.
        """
        inset = (self.tile_size0 - self.stride0) / 2
        return np.floor((x - self.origin[0] - inset) * (parts / self.stride0)).astype(np.int64)

    def rows_at(self, y: np.ndarray, parts: int = 1) -> np.ndarray:
        """Return the rows of cells at positions along y in level-0 pixels; see `columns_at`."""
        inset = (self.tile_size0 - self.stride0) / 2
        down = (y - self.origin[1]) * self.aspect - inset
        return np.floor(down * (parts / self.stride0)).astype(np.int64)

    def instances_at(self, points: np.ndarray) -> np.ndarray:
        """Return the instances whose cells hold points.

        Parameters
        ----------
        points
            (..., 2): (x, y) in level-0 pixels.

        Returns
        -------
        np.ndarray
            int64 (...), -1 where there is none.
        """
        columns = self.columns_at(points[..., 0])
        rows = self.rows_at(points[..., 1])
        n_rows, n_columns = self.shape
        inside = (columns >= 0) & (columns < n_columns) & (rows >= 0) & (rows < n_rows)
        found = np.full(inside.shape, -1, np.int64)
        found[inside] = self.index[rows[inside], columns[inside]]
        return found

    def instance_at(self, x: float, y: float) -> int | None:
        """Return the instance whose cell holds a point in level-0 pixels, or None."""
        instance = int(self.instances_at(np.array([x, y])))
        return None if instance < 0 else instance

    def centres(self) -> np.ndarray:
        """Return float64 (N, 2): (x, y) of the centres in level-0 pixels."""
        return self.coords + np.array(self.size0) / 2

    def spread(self, instances: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return float32 (rows, columns) with values in the cells of instances, NaN elsewhere."""
        image = np.full(self.shape, np.nan, np.float32)
        cells = self.cells[instances]
        image[cells[:, 0], cells[:, 1]] = values
        return image

    def spread_mean(self, values: np.ndarray, parts: int) -> np.ndarray:
        """Return float32 (rows * parts, columns * parts) with the means of overlapping instances.

        Parameters
        ----------
        values
            float32 (N,), NaN where there is none.
        parts
            Elements along the side of a cell; the edge of an instance is rounded to one.
        """
        beyond = round((self.tile_size0 / self.stride0 - 1) * parts / 2)
        side = parts + 2 * beyond
        known = ~np.isnan(values)
        shape = (self.shape[0] * parts + 2 * beyond + 1, self.shape[1] * parts + 2 * beyond + 1)
        corners = self.cells[known] * parts
        sums = _boxes(shape, corners, side, values[known])
        counts = np.rint(_boxes(shape, corners, side, np.ones(len(corners))))
        means = np.full(counts.shape, np.nan, np.float32)
        np.divide(sums, counts, out=means, where=counts > 0, casting="unsafe")
        inner = slice(beyond, -beyond or None)
        return np.ascontiguousarray(means[inner, inner])


def _boxes(
    shape: tuple[int, int], corners: np.ndarray, side: int, values: np.ndarray
) -> np.ndarray:
    """Add values over squares by their corners: differences along both axes, summed once."""
    steps = np.zeros(shape)
    rows, columns = corners.T
    for down, right, sign in ((0, 0, 1), (side, 0, -1), (0, side, -1), (side, side, 1)):
        np.add.at(steps, (rows + down, columns + right), sign * values)
    return steps.cumsum(0).cumsum(1)[:-1, :-1]


def layout_of_grid(grid: TileGrid) -> Layout:
    """Return the layout of the tiles of a slide."""
    return Layout(
        coords=grid.cells[:, ::-1] * grid.stride0 / (1.0, grid.aspect),
        cells=grid.cells,
        shape=grid.shape,
        tile_size0=grid.tile_size0,
        stride0=grid.stride0,
        aspect=grid.aspect,
    )


def layout_of_images(n: int, cell: float) -> Layout:
    """Return the layout of n images in a square arrangement with cells of a side in pixels."""
    columns = max(1, math.ceil(math.sqrt(n)))
    rows = max(1, math.ceil(n / columns))
    number = np.arange(n)
    cells = np.stack([number // columns, number % columns], 1)
    side = cell / (1 + GAP)
    inset = (cell - side) / 2
    return Layout(
        coords=cells[:, ::-1] * cell + inset,
        cells=cells,
        shape=(rows, columns),
        tile_size0=side,
        stride0=cell,
        origin=(inset, inset),
    )


def layout_of_bag(bag: Bag) -> Layout:
    """Return the layout of the coordinates of a feature bag, or a square one without any."""
    if bag.coords is None:
        return layout_of_images(len(bag), 1.0)
    return layout_of_coords(bag.coords, bag.tile_size0)


def layout_of_coords(corners: np.ndarray, tile_size0: float | None) -> Layout:
    """Return the layout of instances whose lattice is told by their positions alone.

    Parameters
    ----------
    corners
        (N, 2): (x, y) of the top left corners in level-0 pixels.
    tile_size0
        Side of an instance; None takes the distance between neighbours.
    """
    coords = np.asarray(corners, float)
    stride = _stride(coords, tile_size0)
    origin = coords.min(0)
    cells = np.floor((coords - origin) / stride + 0.5).astype(np.int64)[:, ::-1]
    rows, columns = (int(side) + 1 for side in cells.max(0))
    return Layout(
        coords=coords,
        cells=cells,
        shape=(rows, columns),
        tile_size0=tile_size0 or stride,
        stride0=stride,
        origin=(float(origin[0]), float(origin[1])),
    )


def _stride(coords: np.ndarray, tile_size0: float | None) -> float:
    """Return the distance between neighbours: the smallest common step along either axis."""
    steps = []
    for axis in range(2):
        places = np.unique(coords[:, axis])
        if len(places) > 1:
            # Rounded coordinates jitter by a pixel: the median step is the grid's.
            steps.append(float(np.median(np.diff(places))))
    step = min(steps, default=0.0)
    if tile_size0 is not None and (step <= 0 or step > tile_size0):
        return tile_size0
    return step if step > 0 else 1.0
