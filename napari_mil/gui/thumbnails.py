"""Thumbnails of slides and bags, made in a thread from what is quickly read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.bags.readers import is_bag, is_features
from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.settings import Settings
from napari_mil.slides import open_slide


def thumbnail_of(
    path: Path, size: tuple[int, int], settings: Settings, cancel: CancellationToken
) -> np.ndarray | None:
    """Return a small picture of a slide, or of the first image of a folder.

    Parameters
    ----------
    path
        Slide, folder of images or feature file.
    size
        (width, height) to fit into, in pixels.
    settings
        Cache sizes and thread counts.
    cancel
        Asked once per block of a slide.

    Returns
    -------
    np.ndarray or None
        uint8 (h, w, 3); None where there are no pixels or they cannot be read.

    Raises
    ------
    CancelledError
        If it was cancelled.
    """
    cancel.raise_if_cancelled()
    try:
        if is_features(path):
            return None
        if is_bag(path):
            return _fitted(open_image_bag(path).read(0), size)
        return _thumbnail_of_slide(path, size, settings, cancel)
    except (NapariMilError, OSError):
        cancel.raise_if_cancelled()
        return None


def _thumbnail_of_slide(
    path: Path, size: tuple[int, int], settings: Settings, cancel: CancellationToken
) -> np.ndarray | None:
    with open_slide(path, settings=settings) as slide:
        if not slide.lacks_overview or slide.has_stored_overview:
            return slide.thumbnail(size, cancel)
        # Averaging all of it would take minutes; a picture of the file's own is at hand.
        for name in ("thumbnail", "macro"):
            if name in slide.associated_images:
                return _fitted(slide.associated_images[name], size)
        return None


def _fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(pixels)
    image.thumbnail(size)
    return np.asarray(image)
