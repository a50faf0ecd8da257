"""Reader of Aperio ImageScope's XML.

A layer is a class; a negative region is a hole in the regions that contain it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import shapely

from napari_mil.annotations.geojson import ellipse
from napari_mil.annotations.regions import Annotations, Region, areas
from napari_mil.errors import AnnotationError

POLYGON, RECTANGLE, ELLIPSE = "0", "1", "2"


def read_aperio(path: Path) -> Annotations:
    """Read the polygons, rectangles and ellipses of every layer.

    Arrows and rulers are left out.

    Raises
    ------
    AnnotationError
        If the file is damaged or is no such XML.
    """
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise AnnotationError(
                f"{path.name} declares entities, which annotations have no need of; "
                "export the annotations again."
            )
        root = ElementTree.fromstring(content)  # noqa: S314  (entities were refused above)
        if root.tag != "Annotations":
            raise AnnotationError(
                f"{path.name} holds no ImageScope annotations; "
                "export them again, as XML or GeoJSON."
            )
        regions: list[Region] = []
        left_out = Counter[str]()
        for layer in root.iter("Annotation"):
            regions += _regions_of(layer, left_out)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise AnnotationError(
            f"{path.name} is no readable ImageScope XML ({error}); export the annotations again."
        ) from error
    return Annotations(
        tuple(regions),
        tuple(f"{path.name}: {count} {what} left out." for what, count in left_out.items()),
    )


def _regions_of(layer: ElementTree.Element, left_out: Counter[str]) -> list[Region]:
    """Return the regions of a layer, with its holes cut out.

    Shapes without area are counted in `left_out`.
    """
    layer_name = layer.get("Name") or None
    drawn: list[Region] = []
    holes: list[shapely.Geometry] = []
    for region in layer.iter("Region"):
        area = _area_of(region)
        if area is None:
            left_out["points, lines or empty shapes"] += 1
        elif region.get("NegativeROA") == "1":
            holes.append(area)
        else:
            drawn.append(Region(area, layer_name or region.get("Text") or None))
    if not holes:
        return drawn
    union = shapely.union_all(holes)
    pierced = [(areas(region.area.difference(union)), region.name) for region in drawn]
    return [Region(area, name) for area, name in pierced if area is not None]


def _area_of(region: ElementTree.Element) -> shapely.Geometry | None:
    """Return the shape of a region, or None without area."""
    vertices = [
        (float(vertex.get("X", "nan")), float(vertex.get("Y", "nan")))
        for vertex in region.iter("Vertex")
    ]
    kind = region.get("Type", POLYGON)
    if kind in (RECTANGLE, ELLIPSE) and len(vertices) == 2:
        (x0, y0), (x1, y1) = vertices
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return areas(ellipse(*box) if kind == ELLIPSE else shapely.box(*box))
    if kind not in (POLYGON, RECTANGLE) or len(vertices) < 3:
        return None
    return areas(shapely.Polygon(vertices))
