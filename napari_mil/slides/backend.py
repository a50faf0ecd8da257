"""The contract between a file format and the `Slide` that users see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_mil.slides.resolution import ScaleSource


class SlideBackend(Protocol):
    """What one reader of slides provides; adding a format is one class like this and one line in `slide.BACKENDS`."""

    vendor: str
    """OpenSlide's word for the format, or ours."""
    level_dimensions: tuple[tuple[int, int], ...]
    """(width, height) of every stored level in pixels, finest first."""
    level_downsamples: tuple[float, ...]
    """Level-0 pixels per pixel of the level."""
    tile_sizes: tuple[tuple[int, int] | None, ...]
    """(width, height) of the file's tiles per level, None where it has none."""
    bounds: tuple[int, int, int, int]
    """(x, y, width, height) in level-0 pixels outside which nothing is stored."""
    properties: Mapping[str, str]
    associated_images: Mapping[str, np.ndarray]
    """Label, macro, thumbnail: uint8 (h, w, 3), read when asked for."""
    mpp: float | None
    """Micrometres per level-0 pixel as the file says, not yet judged."""
    mpp_source: ScaleSource
    """Entry of the file that gives `mpp`."""
    quick_hash: str
    """A content hash that the format computes itself, or an empty string."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say from the content whether this backend should open the file."""

    def __init__(self, path: Path) -> None: ...

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Return uint8 (height, width, 3) of a window that lies inside the level, in that level's pixels; transparent is white."""

    def close(self) -> None:
        """Free the file: reads that run end well, later ones raise `UnreadableSlideError`."""
