"""Tiles that belong to groups, drawn as cells of one colour and one pattern: colours never carry the meaning alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mil.bags import TileGrid
from napari_mil.gui.overlays import overlay_arguments
from napari_mil.slides import Slide

CELL = 6
"""Pixels of a drawn cell."""
ALPHA = 0.55
CATEGORIES = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#E69F00",
    "#882255",
    "#44AA99",
    "#999933",
    "#332288",
    "#DDDDDD",
)
"""Twelve colours told apart also by the colour blind (after Tol 2021 and Okabe & Ito 2008)."""


def _pattern(kind: str) -> np.ndarray:
    row, column = np.indices((CELL, CELL))
    edge = (row == 0) | (column == 0) | (row == CELL - 1) | (column == CELL - 1)
    return {
        "solid": row >= 0,
        "frame": edge,
        "stripes": (row + column) % 3 == 0,
        "dots": (row % 3 == 1) & (column % 3 == 1),
    }[kind]


PATTERNS = {kind: _pattern(kind) for kind in ("solid", "frame", "stripes", "dots")}


@dataclass(frozen=True)
class Glyph:
    """How the tiles of one group are drawn."""

    colour: str
    """#RRGGBB."""
    pattern: str = "solid"
    """One of `PATTERNS`."""


MASK_GLYPHS = {
    "high": Glyph("#D55E00"),
    "low": Glyph("#0072B2", "frame"),
    "random": Glyph("#F0E442", "dots"),
}


def cluster_glyph(cluster: int) -> Glyph:
    """Return what cluster k looks like: twelve colours, again in the next pattern."""
    return Glyph(
        CATEGORIES[cluster % len(CATEGORIES)],
        tuple(PATTERNS)[cluster // len(CATEGORIES) % len(PATTERNS)],
    )


def draw_groups(grid: TileGrid, groups: list[tuple[Glyph, np.ndarray]]) -> np.ndarray:
    """Draw each group's tiles (indices into the grid) in its glyph, later groups on top: a tile of two groups shows both patterns.

    Returns
    -------
    ndarray
        uint8 (rows * c, columns * c, 4), c being `CELL`, or 1 where every glyph is solid.
    """
    cell = 1 if all(glyph.pattern == "solid" for glyph, _ in groups) else CELL
    rows, columns = grid.shape
    cells = np.zeros((rows, columns, cell, cell, 4), np.uint8)
    for glyph, indices in groups:
        row, column = grid.cells[indices].T
        drawn = cells[row, column]
        drawn[:, PATTERNS[glyph.pattern][:cell, :cell]] = (
            *bytes.fromhex(glyph.colour[1:]),
            round(255 * ALPHA),
        )
        cells[row, column] = drawn
    return cells.swapaxes(1, 2).reshape(rows * cell, columns * cell, 4)


def glyph_arguments(slide: Slide, grid: TileGrid, image: np.ndarray) -> dict[str, Any]:
    """Place drawn groups over the tiles they stand for."""
    arguments = overlay_arguments(slide, grid)
    (side, _), (offset, _) = arguments["scale"], arguments["translate"]
    cell = image.shape[0] // grid.shape[0]
    return {
        **arguments,
        "scale": (side / cell,) * 2,
        "translate": (offset - side / 2 + side / cell / 2,) * 2,
    }
