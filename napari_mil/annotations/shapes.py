"""Shapes made of what files of annotations hold, whatever that is.

Readers collect them here, so that all of them refuse the same coordinates and leave out the same
objects.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely import Geometry

from napari_mil.annotations.regions import Annotations, Region, areas

FARTHEST = 1e9
"""Largest coordinate that a pixel of a slide can have, generously."""
ELLIPSE_VERTICES = 90
WITHOUT_AREA = "points, lines or empty shapes"
"""What is left out for want of an area."""


class ShapeError(ValueError):
    """Raised when a file holds a shape that has no place on any slide.

    Its message is a clause that follows the name of the file.
    """


def points_of(raw: Iterable[Any]) -> np.ndarray:
    """Return positions as points (n, 2); what follows x and y in each is left out.

    Raises
    ------
    ShapeError
        If a coordinate is no number, is not finite, or is beyond any slide.
    """
    try:
        points = np.array([_numbers(position) for position in raw], float)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError("holds a coordinate that is no number") from error
    if not points.size:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError("holds a point without x and y")
    far = points[~(np.abs(points) <= FARTHEST)]
    if far.size:
        raise ShapeError(f"holds the coordinate {far[0]:g}, which no slide has")
    return points


def _numbers(position: Any) -> list[float]:
    if not isinstance(position, list | tuple):
        raise TypeError("a position is a list")
    return [float(value) for value in position[:2]]


def number(text: str | None) -> float:
    """Return a number of an XML file; some locales write a decimal comma.

    Raises
    ------
    ShapeError
        If it is missing, no number or not finite.
    """
    written = text or ""
    try:
        value = float(written.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ShapeError(f"holds {written[:40]!r} where a number should be")
    return value


def polygon(shell: np.ndarray, holes: Iterable[np.ndarray] = ()) -> Geometry | None:
    """Return the polygon of a ring (n, 2) and its holes; of fewer than three points, a mark.

    None where there is no point.
    """
    ring = _opened(shell)
    if len(ring) < 3:
        return mark(ring)
    rings = [hole for hole in map(_opened, holes) if len(hole) > 2]
    return shapely.Polygon(ring, rings)


def mark(points: np.ndarray) -> Geometry | None:
    """Return points (n, 2) as a point or a line; None where there is none."""
    if len(points) < 2:
        return shapely.Point(points[0]) if len(points) else None
    return shapely.LineString(points)


def ellipse(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Return the ellipse inside a box as a polygon."""
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)
    x = (left + right) / 2 + (right - left) / 2 * np.cos(angle)
    y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle)
    return shapely.Polygon(np.stack([x, y], 1))


def _opened(ring: np.ndarray) -> np.ndarray:
    """Return a ring without the point that closes it."""
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring


class RegionCollector:
    """Regions and marks of one file, and what a reader left out of it."""

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self.left_out = Counter[str]()
        self._marks: list[Region] = []

    def add(
        self, shapes: Sequence[Geometry | None], name: str | None, drawn_in: str = "", by: str = ""
    ) -> None:
        """Add the shapes of one object; those without area are its marks.

        Parameters
        ----------
        shapes
            Polygons, points and lines; None is nothing.
        name
            Class of the object; None where it has none.
        drawn_in
            Layer of the window it was drawn in.
        by
            Property that names it; see `Region.named_by`.
        """
        parts = []
        for shape in shapes:
            if shape is None or shape.is_empty:
                continue
            area = areas(shape)
            if area is not None:
                parts.append(area)
            else:
                line = shapely.boundary(shape) if shape.geom_type == "Polygon" else shape
                self._marks.append(Region(line, name, drawn_in, by))
        if parts:
            self.regions.append(Region(shapely.union_all(parts), name, drawn_in, by))
        else:
            self.left_out[WITHOUT_AREA] += 1

    def annotations(self) -> Annotations:
        """Return what was collected, with a sentence for each kind that was left out."""
        remarks = tuple(f"{count} {what} left out." for what, count in self.left_out.items())
        return Annotations(tuple(self.regions), remarks, tuple(self._marks))
