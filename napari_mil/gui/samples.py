"""What *File › Open Sample* offers."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from napari_mil.bags import open_image_bag
from napari_mil.events import CancellationToken
from napari_mil.gui.mosaic import Mosaic
from napari_mil.gui.reader import AXES, LayerTuple, slide_layer
from napari_mil.settings import Settings
from napari_mil.slides import open_slide

SLIDE = "CMU-1-Small-Region.svs"
BAG = "mixed-size"
CASE = "colorectal-case"
"""A biopsy case that no shipped classifier has seen."""


def sample_path(name: str) -> Path:
    """Return the path of a file or folder of the sample data, from the wheel or the source tree."""
    with as_file(files("napari_mil.sample_data") / name) as path:
        return path


def sample_slide() -> list[LayerTuple]:
    """Open the sample slide."""
    return [slide_layer(open_slide(sample_path(SLIDE)))]


def sample_bag() -> list[LayerTuple]:
    """Open the sample bag: its images side by side."""
    return _images_side_by_side(BAG)


def sample_case() -> list[LayerTuple]:
    """Open the sample case: its images side by side."""
    return _images_side_by_side(CASE)


def _images_side_by_side(name: str) -> list[LayerTuple]:
    mosaic = Mosaic(open_image_bag(sample_path(name)), Settings().reader_threads)
    mosaic.make_thumbnails(CancellationToken())
    pixels = mosaic.pixels()
    arguments = {"name": name, "rgb": True, "axis_labels": AXES, "multiscale": pixels.multiscale}
    return [(pixels.data, arguments, "image")]
