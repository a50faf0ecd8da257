"""Instances that belong to groups, drawn as cells of one colour and one pattern.

Colours never carry the meaning alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.exports.colours import CATEGORIES

CELL = 6
"""Pixels of a drawn cell."""
ALPHA = 0.55


def _pattern(kind: str) -> np.ndarray:
    row, column = np.indices((CELL, CELL))
    edge = (row == 0) | (column == 0) | (row == CELL - 1) | (column == CELL - 1)
    patterns = {
        "solid": row >= 0,
        "frame": edge,
        "stripes": (row + column) % 3 == 0,
        "dots": (row % 3 == 1) & (column % 3 == 1),
    }
    return patterns[kind]


PATTERNS = {kind: _pattern(kind) for kind in ("solid", "frame", "stripes", "dots")}


@dataclass(frozen=True)
class Glyph:
    """Colour and pattern of the instances of one group."""

    colour: str
    """#RRGGBB."""
    pattern: str = "solid"
    """One of `PATTERNS`."""


MASK_GLYPHS = {
    "high": Glyph("#D55E00"),
    "low": Glyph("#0072B2", "frame"),
    "random": Glyph("#F0E442", "dots"),
}


@dataclass(frozen=True, eq=False)
class Group:
    """Some instances of a bag under one name."""

    name: str
    glyph: Glyph
    instances: np.ndarray
    """int (n,): indices."""


def cluster_glyph(cluster: int) -> Glyph:
    """Return the glyph of cluster k: twelve colours, again in the next pattern."""
    colour = CATEGORIES[cluster % len(CATEGORIES)]
    return Glyph(colour, tuple(PATTERNS)[cluster // len(CATEGORIES) % len(PATTERNS)])


def cell_of(groups: Sequence[Group]) -> int:
    """Return the pixels along a side of a drawn cell: 1 where every glyph is solid."""
    return 1 if all(group.glyph.pattern == "solid" for group in groups) else CELL


def draw_groups(layout: Layout, groups: Sequence[Group]) -> np.ndarray:
    """Draw the cells of each group, later groups on top.

    An instance of two groups shows both patterns.

    Returns
    -------
    ndarray
        uint8 (rows * c, columns * c, 4), c being `cell_of(groups)`.
    """
    cell = cell_of(groups)
    rows, columns = layout.shape
    image = np.zeros((rows, cell, columns, cell, 4), np.uint8)
    for group in groups:
        row, column = layout.cells[group.instances].T
        inked = PATTERNS[group.glyph.pattern][:cell, :cell]
        colour = (*bytes.fromhex(group.glyph.colour[1:]), round(255 * ALPHA))
        for a, b in zip(*inked.nonzero(), strict=True):
            image[row, a, column, b] = colour
    return image.reshape(rows * cell, columns * cell, 4)
