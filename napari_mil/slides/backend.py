"""Interface between a file format and `Slide`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_mil.slides.resolution import ScaleSource


class SlideBackend(Protocol):
    """Reader of one file format.

    Adding a format takes one class like this and one line in `slide.BACKENDS`.
    """

    vendor: str
    """OpenSlide's name of the format, or ``image``."""
    level_dimensions: tuple[tuple[int, int], ...]
    """(width, height) of every stored level in pixels, finest first."""
    level_downsamples: tuple[float, ...]
    """Level-0 pixels per pixel of each stored level."""
    tile_sizes: tuple[tuple[int, int] | None, ...]
    """(width, height) of the file's tiles per level, or None."""
    bounds: tuple[int, int, int, int]
    """(x, y, width, height) of the stored part in level-0 pixels."""
    properties: Mapping[str, str]
    """Entries of the file, as OpenSlide names them."""
    associated_images: Mapping[str, np.ndarray]
    """Label, macro, thumbnail: uint8 (h, w, 3), read when asked for."""
    mpp: float | None
    """Micrometres per level-0 pixel as the file says, not yet judged."""
    mpp_source: ScaleSource
    """Entry of the file that gives `mpp`."""
    quick_hash: str
    """Hash of the content that the format provides, or an empty string."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say from the content whether this backend should open the file."""

    def __init__(self, path: Path) -> None: ...

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3).

        `column`, `row` and sizes count pixels of the level; transparent pixels are white.
        """

    def close(self) -> None:
        """Close the file.

        Reads that run end well, later ones raise `UnreadableSlideError`.
        """
