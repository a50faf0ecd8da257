"""Opening the annotations of a slide."""

from __future__ import annotations

import os
from pathlib import Path

from napari_mil.annotations import asap, layers
from napari_mil.annotations.asap import read_asap
from napari_mil.annotations.foreign import xml_holds_outlines
from napari_mil.annotations.geojson import read_geojson
from napari_mil.annotations.layers import read_layers
from napari_mil.annotations.regions import Annotations
from napari_mil.annotations.shapes import ShapeError
from napari_mil.annotations.texts import first_character
from napari_mil.annotations.xml_files import parse_xml
from napari_mil.errors import AnnotationError, NoAnnotationsError


def read_annotations(
    path: str | os.PathLike[str], origin: tuple[float, float] = (0.0, 0.0)
) -> Annotations:
    """Read the regions of a GeoJSON or XML file.

    QuPath's GeoJSON and the XML of ImageScope, HALO and ASAP are recognised by content.

    Parameters
    ----------
    path
        The file.
    origin
        (x, y) in level-0 pixels that GeoJSON counts from: QuPath counts from the corner of the
        scanned area where a slide has one (``openslide.bounds-x``, ``-y``); the others count from
        the corner of the canvas.

    Returns
    -------
    Annotations
        In level-0 pixels of the canvas.

    Raises
    ------
    AnnotationError
        If the file is damaged or is of none of these formats.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            start = opened.read(256)
    except OSError as error:
        raise AnnotationError(
            f"{file.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    first = first_character(start)
    if first == "<":
        return _read_xml(file)
    if first in ("{", "[") or start.startswith(b"\x1f\x8b"):
        return read_geojson(file).moved(*origin)
    raise AnnotationError(
        f"{file.name} is neither GeoJSON nor XML; export the annotations as one of them."
    )


def _read_xml(file: Path) -> Annotations:
    """Read XML by the tool that its root names.

    Raises
    ------
    AnnotationError
        If the file is damaged, or is of another tool.
    NoAnnotationsError
        If it is about something else.
    """
    root = parse_xml(file)
    try:
        if root.tag == asap.ROOT:
            return read_asap(root)
        if root.tag == layers.ROOT:
            return read_layers(root)
    except ShapeError as error:
        raise AnnotationError(f"{file.name} {error}; export the annotations again.") from error
    if not xml_holds_outlines(root):
        raise NoAnnotationsError(f"{file.name} is XML, but holds no regions.")
    raise AnnotationError(
        f"{file.name} is XML, but no annotations of ImageScope, HALO or ASAP; "
        "export the annotations as one of these or as GeoJSON."
    )
