"""Order in which tiles are encoded: coarse over the whole tissue, then the view, then the rest."""

from __future__ import annotations

import numpy as np

from napari_mil.bags import TileGrid

COARSE_TILES = 128
"""Tiles of the first pass: one to two seconds on one core at 64 to 130 tiles a second."""
Focus = tuple[float, float] | tuple[float, float, float, float]
"""(x, y), or the part in view as (x, y, width, height), in level-0 pixels."""


def visiting_order(grid: TileGrid, focus: Focus) -> np.ndarray:
    """Return the order of tiles: few of all first, then those in view, then the rest.

    Those in view and the rest go from coarse to fine. Within each pass, tiles are ordered by their
    distance from the middle of the view.

    Parameters
    ----------
    grid
        N tiles.
    focus
        Part in view or its middle.

    Returns
    -------
    np.ndarray
        int (N,): indices of the tiles.
    """
    centres = grid.coords + np.array([grid.tile_size0, grid.tile_size0 / grid.aspect]) / 2
    corner = np.array(focus[:2])
    size = np.array(focus[2:] or (0.0, 0.0))
    passes = _passes(grid.cells)
    in_view = ((centres >= corner) & (centres <= corner + size)).all(1)
    parts = np.select([passes == 0, in_view], [0, 1], 2)
    distance = np.hypot(*((centres - corner - size / 2) * (1, grid.aspect)).T)
    return np.lexsort((distance, passes, parts))


def _passes(cells: np.ndarray) -> np.ndarray:
    """Return the pass of each tile: 0 for every tile of a coarse lattice, then twice as fine."""
    steps = [1]
    while _on_lattice(cells, steps[-1]).sum() > COARSE_TILES:
        steps.append(2 * steps[-1])
    passes = np.zeros(len(cells), int)
    # The coarsest last: it decides where lattices share a tile.
    for number, step in zip(range(len(steps) - 1, -1, -1), steps, strict=True):
        passes[_on_lattice(cells, step)] = number
    return passes


def _on_lattice(cells: np.ndarray, step: int) -> np.ndarray:
    """Say which tiles lie in the middle of squares of `step` cells a side: bool (N,)."""
    result: np.ndarray = (cells % step == step // 2).all(1)
    return result
