"""From napari shapes over a slide to regions in level-0 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from napari_mil.annotations import Region
from napari_mil.annotations.regions import areas
from napari_mil.annotations.shapes import ELLIPSE_VERTICES
from napari_mil.gui.model.placement import placement_of
from napari_mil.slides import Slide


def regions_of_shapes(layer: Any, slide: Slide, name: str | None) -> list[Region]:
    """Return what has an area of a Shapes layer; lines and paths are left out.

    napari counts from the centre of pixel 0, regions from its corner.
    """
    placement = placement_of(slide)
    regions = []
    for vertices, kind in zip(layer.data, layer.shape_type, strict=True):
        if kind in ("line", "path"):
            continue
        world = np.array([layer.data_to_world(vertex)[-2:] for vertex in np.asarray(vertices)])
        drawn = _polygon(placement.level0(world), kind)
        area = None if drawn is None else areas(drawn)
        if area is not None:
            regions.append(Region(area, name, layer.name))
    return regions


def _polygon(corners: np.ndarray, kind: str) -> shapely.Polygon | None:
    """Return a shape (n, 2) in level-0 pixels as a polygon, or None where it has no area."""
    if kind == "ellipse":
        return _ellipse(corners)
    return shapely.Polygon(corners) if len(corners) >= 3 else None


def _ellipse(corners: np.ndarray) -> shapely.Polygon:
    """Return the ellipse in a box (4, 2) that may be turned."""
    middle = corners.mean(0)
    across = (corners[1] - corners[0]) / 2
    down = (corners[3] - corners[0]) / 2
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)[:, None]
    return shapely.Polygon(middle + np.cos(angle) * across + np.sin(angle) * down)
