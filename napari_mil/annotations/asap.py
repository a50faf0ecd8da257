"""Reader of the XML of ASAP, in which CAMELYON's annotations are kept.

A group is a class. Groups may stand in groups: the class is then written ``parent: child``, as
QuPath writes derived classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from shapely import Geometry

from napari_mil.annotations.regions import Annotations
from napari_mil.annotations.shapes import RegionCollector, mark, number, points_of, polygon

ROOT = "ASAP_Annotations"
WITH_AREA = ("Polygon", "Spline", "Rectangle")
"""Types that have an area; a spline is taken as the polygon through its points."""
NO_GROUP = "None"


def read_asap(root: ElementTree.Element) -> Annotations:
    """Read polygons, splines and rectangles with their groups.

    Dots, point sets and measurements are marks.

    Raises
    ------
    ShapeError
        If a coordinate is no number.
    """
    parents = {
        group.get("Name", ""): group.get("PartOfGroup", NO_GROUP) for group in root.iter("Group")
    }
    found = RegionCollector()
    for annotation in root.iter("Annotation"):
        name = _class_of(annotation.get("PartOfGroup"), parents)
        found.add([_shape_of(annotation)], name)
    return found.annotations()


def _class_of(group: str | None, parents: Mapping[str, str]) -> str | None:
    """Return the name of a group after those it stands in, the outermost first."""
    names: list[str] = []
    while group and group != NO_GROUP and group not in names:
        names.append(group)
        group = parents.get(group)
    return ": ".join(reversed(names)) or None


def _shape_of(annotation: ElementTree.Element) -> Geometry | None:
    """Return the shape of an annotation; None without points.

    Vertices come in the order of their numbers, whatever their order in the file.
    """
    vertices = list(annotation.iter("Coordinate"))
    if any(vertex.get("Order") for vertex in vertices):
        vertices.sort(key=lambda vertex: number(vertex.get("Order")))
    points = points_of([(number(vertex.get("X")), number(vertex.get("Y"))) for vertex in vertices])
    return polygon(points) if annotation.get("Type") in WITH_AREA else mark(points)
