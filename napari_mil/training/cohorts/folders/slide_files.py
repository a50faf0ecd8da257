"""TIFF files that are slides, and those that are pictures."""

from __future__ import annotations

from pathlib import Path

import tifffile

from napari_mil.slides.tiff.layout import LevelsError, levels_of

TIFF_ENDINGS = (".tif", ".tiff")
"""Endings of files that may be slides as well as images of one bag."""


def is_slide_file(path: Path) -> bool:
    """Say whether a TIFF is a slide rather than a picture: tiled, with levels or a scanner's."""
    try:
        with tifffile.TiffFile(path) as file:
            if not file.pages.first.is_tiled:
                return False
            scanner = file.is_svs or file.is_ndpi or file.is_scn or file.is_bif or file.is_qpi
            return bool(scanner) or len(levels_of(file)) > 1
    except (OSError, ValueError, LookupError, tifffile.TiffFileError, LevelsError):
        return False
