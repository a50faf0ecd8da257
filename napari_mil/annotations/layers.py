"""Reader of the XML of Aperio ImageScope and HALO.

Both hold layers of regions; a layer is a class, and a negative region is a hole in the regions
that contain it. They differ in the names of shapes and vertices.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import shapely

from napari_mil.annotations.geojson import ellipse
from napari_mil.annotations.regions import Annotations, Region, areas, left_out_words
from napari_mil.annotations.xml_files import number

POLYGONS = ("0", "Polygon")
"""Type of a freehand shape in ImageScope and in HALO."""
RECTANGLES = ("1", "Rectangle")
ELLIPSES = ("2", "Ellipse")
VERTICES = ("Vertex", "V")
ROOT = "Annotations"


def read_layers(root: ElementTree.Element) -> Annotations:
    """Read the polygons, rectangles and ellipses of every layer.

    Arrows, rulers and pins are left out.
    """
    regions: list[Region] = []
    left_out = Counter[str]()
    for layer in root.iter("Annotation"):
        regions += _regions_of(layer, left_out)
    return Annotations(tuple(regions), left_out_words(left_out))


def _regions_of(layer: ElementTree.Element, left_out: Counter[str]) -> list[Region]:
    """Return the regions of a layer, with its holes cut out.

    Shapes without area are counted in `left_out`.
    """
    layer_name = layer.get("Name") or _description_of(layer)
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


def _description_of(layer: ElementTree.Element) -> str | None:
    """Return the description of a layer, which ImageScope's users write instead of a name."""
    for attribute in layer.findall("Attributes/Attribute"):
        if attribute.get("Name") == "Description" and attribute.get("Value"):
            return attribute.get("Value")
    return None


def _area_of(region: ElementTree.Element) -> shapely.Geometry | None:
    """Return the shape of a region, or None without area."""
    vertices = [
        (number(vertex.get("X")), number(vertex.get("Y")))
        for vertex in region.iter()
        if vertex.tag in VERTICES
    ]
    kind = region.get("Type", POLYGONS[0])
    if kind in (*RECTANGLES, *ELLIPSES) and len(vertices) == 2:
        (x0, y0), (x1, y1) = vertices
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        return areas(ellipse(*box) if kind in ELLIPSES else shapely.box(*box))
    if kind not in (*POLYGONS, *RECTANGLES) or len(vertices) < 3:
        return None
    return areas(shapely.Polygon(vertices))
