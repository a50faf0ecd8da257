"""Reader of the XML of ASAP, in which CAMELYON's annotations are kept.

A group is a class. Groups may stand in groups: the class is then written ``parent: child``, as
QuPath writes derived classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from xml.etree import ElementTree

import shapely

from napari_mil.annotations.regions import Annotations, Region, areas, left_out_words
from napari_mil.annotations.xml_files import number

ROOT = "ASAP_Annotations"
WITH_AREA = ("Polygon", "Spline", "Rectangle")
"""Types that have an area; a spline is taken as the polygon through its points."""
NO_GROUP = "None"


def read_asap(root: ElementTree.Element) -> Annotations:
    """Read polygons, splines and rectangles with their groups.

    Dots, point sets and measurements are left out.
    """
    parents = {
        group.get("Name", ""): group.get("PartOfGroup", NO_GROUP) for group in root.iter("Group")
    }
    regions: list[Region] = []
    left_out = Counter[str]()
    for annotation in root.iter("Annotation"):
        area = _area_of(annotation)
        if area is None:
            left_out["points, lines or empty shapes"] += 1
        else:
            regions.append(Region(area, _class_of(annotation.get("PartOfGroup"), parents)))
    return Annotations(tuple(regions), left_out_words(left_out))


def _class_of(group: str | None, parents: Mapping[str, str]) -> str | None:
    """Return the name of a group after those it stands in, the outermost first."""
    names: list[str] = []
    while group and group != NO_GROUP and group not in names:
        names.append(group)
        group = parents.get(group)
    return ": ".join(reversed(names)) or None


def _area_of(annotation: ElementTree.Element) -> shapely.Geometry | None:
    """Return the shape of an annotation, or None without area.

    Vertices come in the order of their numbers, whatever their order in the file.
    """
    if annotation.get("Type") not in WITH_AREA:
        return None
    vertices = sorted(annotation.iter("Coordinate"), key=lambda vertex: number(vertex.get("Order")))
    points = [(number(vertex.get("X")), number(vertex.get("Y"))) for vertex in vertices]
    return areas(shapely.Polygon(points)) if len(points) > 2 else None
