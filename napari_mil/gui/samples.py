"""What *File › Open Sample* offers."""

from __future__ import annotations

import math
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from skimage.io import imread

from napari_mil.gui.reader import AXES, LayerTuple, slide_layer
from napari_mil.slides import open_slide

SLIDE, BAG = "CMU-1-Small-Region.svs", "mixed-size"
GAP = 0.05
"""Gap between the images of a bag, as a share of a cell."""


def sample_path(name: str) -> Path:
    """Return the path of a file or folder of the sample data, from the wheel or the source tree."""
    with as_file(files("napari_mil.sample_data") / name) as path:
        return path


def sample_slide() -> list[LayerTuple]:
    """Open the sample slide."""
    return [slide_layer(open_slide(sample_path(SLIDE)))]


def sample_bag() -> list[LayerTuple]:
    """Open the sample bag: its images side by side, each a layer at its own size and contrast."""
    paths = sorted(sample_path(BAG).glob("*.tif"))
    images = [imread(path) for path in paths]
    cell = max(max(image.shape) for image in images) * (1 + GAP)
    columns = math.ceil(math.sqrt(len(images)))
    return [
        (image, _image_arguments(path, image, k, columns, cell), "image")
        for k, (path, image) in enumerate(zip(paths, images, strict=True))
    ]


def _image_arguments(
    path: Path, image: np.ndarray, k: int, columns: int, cell: float
) -> dict[str, Any]:
    return {
        "name": path.stem,
        "translate": (k // columns * cell, k % columns * cell),
        "contrast_limits": (float(image.min()), float(max(image.max(), image.min() + 1))),
        "axis_labels": AXES,
    }
