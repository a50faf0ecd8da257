"""From napari shapes over a slide to regions in level-0 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from napari_mil.annotations import Region
from napari_mil.annotations.geojson import ELLIPSE_VERTICES
from napari_mil.annotations.regions import areas
from napari_mil.slides import Slide


def regions_of_shapes(layer: Any, slide: Slide, name: str | None) -> list[Region]:
    """Return what has an area of a Shapes layer; lines and paths are left out.

    napari counts from the centre of pixel 0, regions from its corner.
    """
    unit = slide.mpp or 1.0
    found = []
    for vertices, kind in zip(layer.data, layer.shape_type, strict=True):
        if kind in ("line", "path"):
            continue
        world = np.array([layer.data_to_world(vertex)[-2:] for vertex in np.asarray(vertices)])
        corners = world[:, ::-1] / unit + 0.5  # (x, y)
        drawn = (
            _ellipse(corners)
            if kind == "ellipse"
            else shapely.Polygon(corners)
            if len(corners) >= 3
            else None
        )
        area = None if drawn is None else areas(drawn)
        if area is not None:
            found.append(Region(area, name, layer.name))
    return found


def _ellipse(corners: np.ndarray) -> shapely.Polygon:
    """Return the ellipse in a box (4, 2) that may be turned."""
    middle, across, down = (
        corners.mean(0),
        (corners[1] - corners[0]) / 2,
        (corners[3] - corners[0]) / 2,
    )
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)[:, None]
    return shapely.Polygon(middle + np.cos(angle) * across + np.sin(angle) * down)
