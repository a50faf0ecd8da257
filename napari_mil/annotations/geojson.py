"""Reader and writer of GeoJSON regions as QuPath has them."""

from __future__ import annotations

import gzip
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shapely import Geometry
from shapely.geometry import mapping

from napari_mil.annotations.class_names import KIND_KEYS, TILE_KINDS, find_name
from napari_mil.annotations.foreign import holds_outlines
from napari_mil.annotations.regions import Annotations, Region
from napari_mil.annotations.shapes import (
    RegionCollector,
    ShapeError,
    ellipse,
    mark,
    points_of,
    polygon,
)
from napari_mil.annotations.texts import encoding_of
from napari_mil.errors import AnnotationError, NoAnnotationsError, short_cause
from napari_mil.files import whole_or_nothing

LAYER_KEY = "layer"
"""Entry of QuPath's ``metadata`` that holds the layer of the window."""
LARGEST_BYTES = 1 << 30
"""Most bytes that are unpacked from a compressed file."""


def read_geojson(path: Path) -> Annotations:
    """Read the regions of a GeoJSON file, compressed or not.

    The file holds a FeatureCollection, a feature, a bare geometry or a list of them.
    Points and lines have no area and are marks; tiles, cells and detections, which a program
    measured and no person drew, are left out.

    Raises
    ------
    AnnotationError
        If the file is damaged, is no GeoJSON, or holds a shape that has no place on a slide.
    NoAnnotationsError
        If it is JSON about something else.
    """
    try:
        document = json.loads(_text_of(path.read_bytes()))
        features = _features_in(document)
        if features is None and not holds_outlines(document):
            raise NoAnnotationsError(f"{path.name} is JSON, but holds no regions.")
        if features is None:
            raise ShapeError("holds no features of GeoJSON")
        return _read_features(features)
    except ShapeError as error:
        raise AnnotationError(f"{path.name} {error}; export the annotations again.") from error
    except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:
        cause = short_cause(error, 100)
        raise AnnotationError(
            f"{path.name} is no readable GeoJSON ({cause}); export the annotations again."
        ) from error


def _text_of(content: bytes) -> str:
    """Return the text of a file, compressed or not."""
    if content[:2] == b"\x1f\x8b":
        content = zlib.decompressobj(wbits=31).decompress(content, LARGEST_BYTES)
    return content.decode(encoding_of(content[:4]) or "utf-8")


def _read_features(features: Sequence[dict[str, Any]]) -> Annotations:
    found = RegionCollector()
    for feature in features:
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        folded = {str(key).casefold(): value for key, value in properties.items()}
        if _is_measured(feature, folded):
            found.left_out["tiles, cells or detections"] += 1
            continue
        found_name = find_name(properties) or find_name(_foreign_members(feature))
        name, by = found_name or (None, "")
        found.add(_shapes_of(feature), name, _layer_of(folded), by)
    return found.annotations()


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


def _features_in(document: Any) -> list[dict[str, Any]] | None:
    """Return the features of a document; a bare geometry becomes a feature.

    None where it is no GeoJSON.
    """
    entries = document if isinstance(document, list) else [document]
    features: list[dict[str, Any]] = []
    for entry in entries:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "FeatureCollection":
            inside = _features_in(entry.get("features") or [])
            if inside is None:
                return None
            features += inside
        elif kind == "Feature":
            features.append(entry)
        elif kind and ("coordinates" in entry or "geometries" in entry):
            features.append({"type": "Feature", "geometry": entry})
        else:
            return None
    return features


def _shapes_of(feature: dict[str, Any]) -> list[Geometry | None]:
    """Return the polygons, lines and points of a feature."""
    geometry = feature.get("geometry")
    shapes = list(_shapes_in(geometry))
    if not (isinstance(geometry, dict) and geometry.get("isEllipse")):
        return shapes
    return [
        ellipse(*shape.bounds) if shape is not None and shape.geom_type == "Polygon" else shape
        for shape in shapes
    ]


def _shapes_in(geometry: Any) -> Iterator[Geometry | None]:
    """Yield the shapes of a geometry; None for one without points.

    Raises
    ------
    ShapeError
        If it is none, or holds coordinates that are none.
    """
    if not geometry:
        return
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(kind, str):
        raise ShapeError("holds a geometry without a type")
    kind = kind.casefold()
    raw = geometry.get("geometries" if kind == "geometrycollection" else "coordinates") or []
    if not isinstance(raw, list):
        raise ShapeError("holds a geometry whose coordinates are no list")
    if kind == "geometrycollection":
        for part in raw:
            yield from _shapes_in(part)
    elif kind == "polygon":
        yield _polygon(raw)
    elif kind == "multipolygon":
        yield from map(_polygon, raw)
    elif kind in ("point", "multipoint"):
        yield from (mark(points_of([point])) for point in ([raw] if kind == "point" else raw))
    elif kind in ("linestring", "multilinestring", "linearring"):
        lines = raw if kind == "multilinestring" else [raw]
        yield from (mark(points_of(line)) for line in lines)
    else:
        raise ShapeError(f"holds a geometry of the kind {kind[:40]!r}, which is not known")


def _polygon(rings: Any) -> Geometry | None:
    """Return a polygon of rings, of which the first is the outer one."""
    if not isinstance(rings, list):
        raise ShapeError("holds a polygon whose rings are no list")
    outlines = [points_of(ring) for ring in rings]
    return polygon(outlines[0], outlines[1:]) if outlines else None


def _foreign_members(feature: dict[str, Any]) -> dict[str, Any]:
    """Return what stands beside the properties of a feature, where some programs put a class."""
    own = ("type", "id", "geometry", "properties", "bbox", "nucleusGeometry")
    return {key: value for key, value in feature.items() if key not in own}


def _is_measured(feature: dict[str, Any], properties: dict[str, Any]) -> bool:
    """Say whether a program measured an object and no person drew it."""
    kinds = [properties.get(key) for key in KIND_KEYS]
    return any(kind in TILE_KINDS for kind in (*kinds, feature.get("id")) if isinstance(kind, str))


def _layer_of(properties: dict[str, Any]) -> str:
    """Return the layer of the window that a region was drawn in, where that is known."""
    metadata = properties.get("metadata")
    return str(metadata.get(LAYER_KEY, "")) if isinstance(metadata, dict) else ""
