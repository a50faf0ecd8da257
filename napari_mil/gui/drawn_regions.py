"""From napari shapes over a slide to regions in level-0 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from napari_mil.annotations import Region
from napari_mil.annotations.geojson import ellipse
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
        drawn = ellipse(*corners.min(0), *corners.max(0)) if kind == "ellipse" else shapely.Polygon(corners) if len(corners) >= 3 else None
        area = None if drawn is None else areas(drawn)
        if area is not None:
            found.append(Region(area, name))
    return found
