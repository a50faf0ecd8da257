"""Regions of a slide and the share of tiles that they cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from shapely import Geometry
from shapely.affinity import translate

IGNORED_ENDING = "*"
"""QuPath's mark of classes that are not measured, as in ``Ignore*``."""


@dataclass(frozen=True, eq=False)
class Region:
    """An area of one slide."""

    area: Geometry
    """Polygon or multipolygon in level-0 pixels.

    (x, y) counts from the corner of the full canvas; valid, not empty.
    """
    name: str | None
    """Class of the region; None where the file names none."""
    drawn_in: str = ""
    """Layer of the window it was drawn in, where that is known."""

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

    def moved(self, x: float, y: float) -> Annotations:
        """Return the same regions moved by so many level-0 pixels."""
        if x == y == 0:
            return self
        moved = (replace(region, area=translate(region.area, x, y)) for region in self.regions)
        return replace(self, regions=tuple(moved))


def left_out_words(left_out: Mapping[str, int]) -> tuple[str, ...]:
    """Return a sentence for each kind of object that a reader left out."""
    return tuple(f"{count} {what} left out." for what, count in left_out.items())


def areas(geometry: Geometry) -> Geometry | None:
    """Return the polygons of a geometry, or None where it has none.

    Rings that cross themselves are mended; points and lines are left out.
    """
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    parts = [
        part
        for part in shapely.get_parts(shapely.get_parts(np.atleast_1d(valid)))
        if part.geom_type == "Polygon" and part.area > 0
    ]
    return shapely.union_all(parts) if parts else None


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
    x, y = np.asarray(corners, float).T
    tiles: Any = shapely.box(x, y, x + size0, y + size0)
    # Only tiles on the border of the union need their intersection computed.
    touched = np.flatnonzero(shapely.intersects(union, tiles))
    inside = shapely.contains(union, tiles[touched])
    cover[touched[inside]] = 1
    edge = touched[~inside]
    cover[edge] = shapely.area(shapely.intersection(union, tiles[edge])) / size0**2
    return cover
