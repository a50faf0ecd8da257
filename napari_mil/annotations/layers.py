"""Reader of the XML of Aperio ImageScope and HALO.

Both hold layers of regions; a layer is a class, and a negative region is a hole in the regions
that contain it. They differ in the names of shapes and vertices.
"""

from __future__ import annotations

from xml.etree import ElementTree

import shapely
from shapely import Geometry

from napari_mil.annotations.regions import Annotations, areas
from napari_mil.annotations.shapes import (
    RegionCollector,
    ellipse,
    mark,
    number,
    points_of,
    polygon,
)

POLYGONS = ("0", "Polygon")
"""Type of a freehand shape in ImageScope and in HALO."""
RECTANGLES = ("1", "Rectangle")
ELLIPSES = ("2", "Ellipse")
VERTICES = ("Vertex", "V")
ROOT = "Annotations"


def read_layers(root: ElementTree.Element) -> Annotations:
    """Read the polygons, rectangles and ellipses of every layer.

    Arrows, rulers and pins are marks.

    Raises
    ------
    ShapeError
        If a coordinate is no number.
    """
    found = RegionCollector()
    for layer in root.iter("Annotation"):
        _add_layer(layer, found)
    return found.annotations()


def _add_layer(layer: ElementTree.Element, found: RegionCollector) -> None:
    """Add the regions of a layer, with its holes cut out."""
    layer_name = layer.get("Name") or _description_of(layer)
    drawn: list[tuple[Geometry | None, str | None]] = []
    holes: list[Geometry] = []
    for region in layer.iter("Region"):
        shape = _shape_of(region)
        if region.get("NegativeROA") == "1":
            hole = None if shape is None else areas(shape)
            if hole is not None:
                holes.append(hole)
        else:
            drawn.append((shape, layer_name or region.get("Text") or None))
    union = shapely.union_all(holes)
    for shape, name in drawn:
        area = None if shape is None else areas(shape)
        if area is None:
            found.add([shape], name)
        elif not area.within(union):
            found.add([area.difference(union)], name)


def _description_of(layer: ElementTree.Element) -> str | None:
    """Return the description of a layer, which ImageScope's users write instead of a name."""
    for attribute in layer.findall("Attributes/Attribute"):
        if attribute.get("Name") == "Description" and attribute.get("Value"):
            return attribute.get("Value")
    return None


def _shape_of(region: ElementTree.Element) -> Geometry | None:
    """Return the shape of a region; None without points."""
    vertices = points_of(
        [
            (number(vertex.get("X")), number(vertex.get("Y")))
            for vertex in region.iter()
            if vertex.tag in VERTICES
        ]
    )
    kind = region.get("Type", POLYGONS[0])
    if kind in (*RECTANGLES, *ELLIPSES) and len(vertices) == 2:
        (left, top), (right, bottom) = vertices.min(0), vertices.max(0)
        box = (left, top, right, bottom)
        return ellipse(*box) if kind in ELLIPSES else shapely.box(*box)
    return polygon(vertices) if kind in (*POLYGONS, *RECTANGLES) else mark(vertices)
