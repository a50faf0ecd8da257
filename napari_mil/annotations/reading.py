"""Finding and opening the annotations of a slide."""

from __future__ import annotations

import os
from pathlib import Path

from napari_mil.annotations.aperio import read_aperio
from napari_mil.annotations.geojson import read_geojson
from napari_mil.annotations.regions import Annotations
from napari_mil.errors import AnnotationError

ENDINGS = (".geojson", ".geojson.gz", ".json", ".json.gz", ".xml")
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
    """Read the regions of a GeoJSON or ImageScope file.

    QuPath's GeoJSON and Aperio ImageScope's XML are recognised by content.

    Parameters
    ----------
    path
        The file.
    origin
        (x, y) in level-0 pixels that GeoJSON counts from: QuPath counts from the corner of the
        scanned area where a slide has one (``openslide.bounds-x``, ``-y``); ImageScope counts from
        the corner of the canvas.

    Returns
    -------
    Annotations
        In level-0 pixels of the canvas.

    Raises
    ------
    AnnotationError
        If the file is damaged or is of neither format.
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
        return read_aperio(file)
    if start.startswith((b"{", b"[", b"\x1f\x8b")):
        return read_geojson(file).moved(*origin)
    raise AnnotationError(
        f"{file.name} is neither GeoJSON nor ImageScope XML; export the annotations as one of them."
    )
