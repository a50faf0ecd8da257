"""Regions of a slide and the share of tiles that they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from shapely import Geometry
from shapely.affinity import translate

BLOCK = 32
"""Tiles to a side of a block in which an outline is cut first."""
IGNORED_ENDING = "*"
"""QuPath's mark of classes that are not measured, as in ``Ignore*``."""
SAME_OUTLINE = 0.95
"""Intersection over union from which two regions have the same outline."""


@dataclass(frozen=True, eq=False)
class Region:
    """An area of one slide."""

    area: Geometry
    """Polygon or multipolygon in level-0 pixels; of a mark, a point or a line.

    (x, y) counts from the corner of the full canvas; valid, not empty.
    """
    name: str | None
    """Class of the region; None where the file names none."""
    drawn_in: str = ""
    """Layer of the window it was drawn in, where that is known."""
    named_by: str = ""
    """Property of the file that names it, where that is none of those that hold classes."""

    @property
    def ignored(self) -> bool:
        """Whether the area inside belongs to no class."""
        return self.name is not None and (
            self.name.endswith(IGNORED_ENDING) or self.name.lower() in ("ignore", "exclusion")
        )


@dataclass(frozen=True, eq=False)
class Annotations:
    """The regions of one file."""

    regions: tuple[Region, ...]
    remarks: tuple[str, ...] = ()
    """Sentences about what was left out, without the name of the file."""
    marks: tuple[Region, ...] = ()
    """Points, lines and outlines without area: only their place is known."""

    def moved(self, x: float, y: float) -> Annotations:
        """Return the same regions moved by so many level-0 pixels."""
        if x == y == 0:
            return self
        regions, marks = (
            tuple(replace(region, area=translate(region.area, x, y)) for region in drawn)
            for drawn in (self.regions, self.marks)
        )
        return replace(self, regions=regions, marks=marks)


def areas(geometry: Geometry) -> Geometry | None:
    """Return the polygons of a geometry, or None where it has none.

    Rings that cross themselves are mended, each by itself: what lies in the outer ring and in no
    hole is inside. Points and lines are left out.
    """
    valid = geometry
    if not geometry.is_valid:
        valid = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(np.atleast_1d(valid)))
        if part.geom_type == "Polygon" and part.area > 0
    ]
    return shapely.union_all(parts) if parts else None


def same_outlines(regions: Sequence[Region]) -> list[tuple[int, int]]:
    """Return the pairs of regions that were drawn around the same thing, as two numbers.

    Their intersection is nearly their union (`SAME_OUTLINE`).
    """
    outlines = np.array([region.area for region in regions], object)
    pairs = shapely.STRtree(outlines).query(outlines)
    first, second = pairs[:, pairs[0] < pairs[1]]
    sizes = shapely.area(outlines)
    smaller = np.minimum(sizes[first], sizes[second])
    alike = smaller >= SAME_OUTLINE * np.maximum(sizes[first], sizes[second])
    first, second = first[alike], second[alike]
    common = shapely.area(shapely.intersection(outlines[first], outlines[second]))
    same = common >= SAME_OUTLINE * (sizes[first] + sizes[second] - common)
    return sorted(zip(first[same].tolist(), second[same].tolist(), strict=True))


def tiles_of(corners: np.ndarray, size0: float) -> Any:
    """Return tiles as boxes, an object array (N,); see `tile_cover`."""
    x, y = np.asarray(corners, float).reshape(-1, 2).T
    return shapely.box(x, y, x + size0, y + size0)


def tile_cover(regions: Sequence[Region], corners: np.ndarray, size0: float) -> np.ndarray:
    """Return the share of each tile that regions cover together.

    Parameters
    ----------
    regions
        Any number of them; where they overlap, counted once.
    corners
        (N, 2): (x, y) of top left corners in level-0 pixels.
    size0
        Side of a tile in level-0 pixels.

    Returns
    -------
    np.ndarray
        float64 (N,) in [0, 1].
    """
    cover = np.zeros(len(corners))
    if not regions or not len(corners):
        return cover
    union = shapely.union_all([region.area for region in regions])
    shapely.prepare(union)
    tiles = tiles_of(corners, size0)
    # Only tiles on the border of the union need their intersection computed.
    touched = np.flatnonzero(shapely.intersects(union, tiles))
    inside = shapely.contains(union, tiles[touched])
    cover[touched[inside]] = 1
    edge = touched[~inside]
    for block in _blocks(corners[edge], size0):
        some = edge[block]
        # An outline of a whole slide has many vertices, of which few lie near a tile.
        near = shapely.intersection(union, shapely.box(*shapely.total_bounds(tiles[some])))
        cover[some] = shapely.area(shapely.intersection(near, tiles[some])) / size0**2
    return cover


def _blocks(corners: np.ndarray, size0: float) -> list[np.ndarray]:
    """Return the places of tiles that lie together, at most `BLOCK` by `BLOCK` of them."""
    cells = np.floor(np.asarray(corners, float) / (BLOCK * size0)).astype(np.int64)
    block_of = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(block_of, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(block_of[order])) + 1) if len(order) else []
