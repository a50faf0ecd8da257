"""Reader and writer of GeoJSON regions as QuPath has them."""

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

from napari_mil.annotations.regions import Annotations, Region, areas, left_out_words
from napari_mil.errors import AnnotationError, short_cause
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
"""Kinds of objects that a program measured and no person drew."""
OTHER_KINDS = ("annotation", "PathAnnotationObject", "tmaCore", "TMACoreObject", "root", "Feature")
"""Further kinds of objects, which are no classes where they stand under ``type``."""
KIND_KEYS = ("objecttype", "object_type", "type")
"""Properties that hold the kind of an object, casefolded."""
CLASS_KEYS = ("classification", "class", "label", "type", "name")
"""Properties in which programs keep the class of a region, casefolded, the surest first."""
LAYER_KEY = "layer"
"""Entry of QuPath's ``metadata`` that holds the layer of the window."""
LARGEST_BYTES = 1 << 30
"""Most bytes that are unpacked from a compressed file."""


def read_geojson(path: Path) -> Annotations:
    """Read the regions of a GeoJSON file, compressed or not.

    The file holds a FeatureCollection, a feature, a bare geometry or a list of them.
    Points and lines have no area and are left out; so are tiles, cells and detections, which
    a program measured and no person drew.

    Raises
    ------
    AnnotationError
        If the file is damaged or is no GeoJSON.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = zlib.decompressobj(wbits=31).decompress(content, LARGEST_BYTES)
        features = _features_in(json.loads(content.decode("utf-8-sig")))
    except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:
        cause = short_cause(error, 100)
        raise AnnotationError(
            f"{path.name} is no readable GeoJSON ({cause}); export the annotations again."
        ) from error
    regions: list[Region] = []
    left_out = Counter[str]()
    for feature in features:
        properties = _properties_of(feature)
        if _is_measured(feature, properties):
            left_out["tiles, cells or detections"] += 1
            continue
        area = _area_of(feature)
        if area is None:
            left_out["points, lines or empty shapes"] += 1
        else:
            regions.append(Region(area, _class_of(properties), _layer_of(properties)))
    return Annotations(tuple(regions), left_out_words(left_out))


def write_geojson(regions: Sequence[Region], path: str | os.PathLike[str]) -> None:
    """Write regions as a FeatureCollection, whole or not at all.

    Raises
    ------
    AnnotationError
        If the file cannot be written.
    """
    target = Path(path)
    features = [_feature_of(region) for region in regions]
    content = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    try:
        with whole_or_nothing(target) as part:
            part.write_bytes(gzip.compress(content) if target.suffix == ".gz" else content)
    except OSError as error:
        raise AnnotationError(
            f"{target.name} cannot be written ({error.strerror or error}); choose another folder."
        ) from error


def _feature_of(region: Region) -> dict[str, Any]:
    """Return a region as QuPath writes an annotation."""
    properties: dict[str, Any] = {"objectType": "annotation"}
    if region.drawn_in:
        properties["metadata"] = {LAYER_KEY: region.drawn_in}
    if region.name:
        properties["classification"] = {"name": region.name, "color": [200, 0, 0]}
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": mapping(region.area),
        "properties": properties,
    }


def _features_in(document: Any) -> list[dict[str, Any]]:
    """Return the features of a document; a bare geometry becomes a feature."""
    entries = document if isinstance(document, list) else [document]
    features: list[dict[str, Any]] = []
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "FeatureCollection":
            features += _features_in(entry.get("features") or [])
        elif kind == "Feature":
            features.append(entry)
        elif kind and ("coordinates" in entry or "geometries" in entry):
            features.append({"type": "Feature", "geometry": entry})
        else:
            raise ValueError("it holds no features")
    return features


def _area_of(feature: dict[str, Any]) -> shapely.Geometry | None:
    """Return the shape of a feature, or None without area."""
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
    x = (left + right) / 2 + (right - left) / 2 * np.cos(angle)
    y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle)
    return shapely.Polygon(np.stack([x, y], 1))


def _properties_of(feature: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a feature, their names casefolded."""
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(key).casefold(): value for key, value in properties.items()}


def _is_measured(feature: dict[str, Any], properties: dict[str, Any]) -> bool:
    """Say whether a program measured an object and no person drew it."""
    kinds = [properties.get(key) for key in KIND_KEYS]
    return any(kind in TILE_KINDS for kind in (*kinds, feature.get("id")) if isinstance(kind, str))


def _layer_of(properties: dict[str, Any]) -> str:
    """Return the layer of the window that a region was drawn in, where that is known."""
    metadata = properties.get("metadata")
    return str(metadata.get(LAYER_KEY, "")) if isinstance(metadata, dict) else ""


def _class_of(properties: dict[str, Any]) -> str | None:
    """Return the name of a feature's class, wherever its program put it.

    Several names are joined as QuPath joins them.
    """
    for key in CLASS_KEYS:
        value = properties.get(key)
        if isinstance(value, dict):
            value = value.get("name") or ": ".join(map(str, value.get("names") or ()))
        name = "" if value is None or isinstance(value, list | bool) else str(value).strip()
        if name and name not in (*TILE_KINDS, *OTHER_KINDS):
            return name
    return None
