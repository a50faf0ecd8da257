"""Finding and opening the annotations of a slide."""

from __future__ import annotations

import os
from pathlib import Path

from napari_mil.annotations import asap, layers
from napari_mil.annotations.asap import read_asap
from napari_mil.annotations.geojson import read_geojson
from napari_mil.annotations.layers import read_layers
from napari_mil.annotations.regions import Annotations
from napari_mil.annotations.xml_files import parse_xml
from napari_mil.errors import AnnotationError

ENDINGS = (".geojson", ".geojson.gz", ".json", ".json.gz", ".xml", ".annotations")
FOLDER = "annotations"
DRAWN = ".regions.geojson"
"""Ending of the file of regions drawn in this window.

Files of other programs are never written to.
"""


def find_annotations(slide: Path) -> tuple[Path, ...]:
    """Return all annotation files of a slide.

    They have the slide's name and stand beside it or in a folder ``annotations`` there.
    """
    stems = dict.fromkeys((slide.stem, slide.name))
    names = [f"{stem}{ending}" for stem in stems for ending in (DRAWN, *ENDINGS)]
    paths = [folder / name for folder in (slide.parent, slide.parent / FOLDER) for name in names]
    return tuple(path for path in paths if path.is_file())


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
            start = opened.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise AnnotationError(
            f"{file.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    if start.startswith(b"<"):
        return _read_xml(file)
    if start.startswith((b"{", b"[", b"\x1f\x8b")):
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
    """
    root = parse_xml(file)
    if root.tag == asap.ROOT:
        return read_asap(root)
    if root.tag == layers.ROOT:
        return read_layers(root)
    raise AnnotationError(
        f"{file.name} is XML, but no annotations of ImageScope, HALO or ASAP; "
        "export the annotations as one of these or as GeoJSON."
    )
