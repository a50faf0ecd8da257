"""Regions as GeoJSON, in the dialect QuPath reads and writes."""

from __future__ import annotations

import gzip
import json
import os
import uuid
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import mapping, shape

from napari_mil.annotations.regions import Annotations, Region, areas
from napari_mil.errors import AnnotationError
from napari_mil.files import whole_or_nothing

ELLIPSE_VERTICES = 90
TILE_KINDS = (
    "tile",
    "detection",
    "cell",
    "PathTileObject",
    "PathDetectionObject",
    "PathCellObject",
)
"""Objects that another program measured; nobody drew them."""
LARGEST_BYTES = 1 << 30


def read_geojson(path: Path) -> Annotations:
    """Read a FeatureCollection, a feature, a bare geometry or a list of them; ``.gz`` too.

    Points and lines have no area and are left out; so are tiles, cells and detections, which nobody drew.

    Raises
    ------
    AnnotationError
        If the file is damaged or no GeoJSON.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = zlib.decompressobj(wbits=31).decompress(content, LARGEST_BYTES)
        features = _features(json.loads(content.decode("utf-8-sig")))
    except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:
        raise AnnotationError(
            f"{path.name} is no readable GeoJSON ({' '.join(str(error).split())[:100]}); export the annotations again."
        ) from error
    regions, left_out = [], Counter[str]()
    for feature in features:
        properties = feature.get("properties") or {}
        if (
            properties.get("objectType") or properties.get("object_type") or feature.get("id")
        ) in TILE_KINDS:
            left_out["tiles, cells or detections"] += 1
            continue
        area = _area(feature)
        if area is None:
            left_out["points, lines or empty shapes"] += 1
        else:
            regions.append(Region(area, _class_of(properties), str(properties.get("name") or "")))
    return Annotations(
        tuple(regions),
        tuple(f"{path.name}: {count} {what} left out." for what, count in left_out.items()),
    )


def write_geojson(regions: Sequence[Region], path: str | os.PathLike[str]) -> None:
    """Write regions as a FeatureCollection of annotations, as a whole or not at all.

    Raises
    ------
    AnnotationError
        If the file cannot be written.
    """
    target = Path(path)
    features = [
        {
            "type": "Feature",
            "id": str(uuid.uuid4()),
            "geometry": mapping(region.area),
            "properties": {
                "objectType": "annotation",
                **({"name": region.drawn_in} if region.drawn_in else {}),
                **(
                    {"classification": {"name": region.name, "color": [200, 0, 0]}}
                    if region.name
                    else {}
                ),
            },
        }
        for region in regions
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    try:
        with whole_or_nothing(target) as part:
            part.write_bytes(gzip.compress(content) if target.suffix == ".gz" else content)
    except OSError as error:
        raise AnnotationError(
            f"{target.name} cannot be written ({error.strerror or error}); choose another folder."
        ) from error


def _features(document: Any) -> list[dict[str, Any]]:
    entries = document if isinstance(document, list) else [document]
    found: list[dict[str, Any]] = []
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "FeatureCollection":
            found += _features(entry.get("features") or [])
        elif kind == "Feature":
            found.append(entry)
        elif kind and ("coordinates" in entry or "geometries" in entry):
            found.append({"type": "Feature", "geometry": entry})
        else:
            raise ValueError("it holds no features")
    return found


def _area(feature: dict[str, Any]) -> shapely.Geometry | None:
    geometry = feature.get("geometry") or {}
    try:
        drawn = shape(geometry)
    except (
        shapely.errors.ShapelyError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ):
        return None
    if geometry.get("isEllipse") and not drawn.is_empty:
        return areas(ellipse(*drawn.bounds))
    return areas(drawn)


def ellipse(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Return the ellipse inside a box as a polygon."""
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)
    x, y = (
        (left + right) / 2 + (right - left) / 2 * np.cos(angle),
        (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle),
    )
    return shapely.Polygon(np.stack([x, y], 1))


def _class_of(properties: dict[str, Any]) -> str | None:
    given = properties.get("classification")
    if isinstance(given, dict):
        given = given.get("name") or ": ".join(map(str, given.get("names") or ()))
    return str(given) if given else None
