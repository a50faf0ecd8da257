"""Reader of plain pictures (PNG, JPEG, BMP).

They have one level, are held in memory, and say no scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides.resolution import ScaleSource

MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
"""First bytes of PNG, JPEG and BMP files."""
LARGEST_MP = 500
"""Size limit of a picture in megapixels.

A picture is decoded whole: 500 MP take 1.5 GB.
"""
EIGHT_BIT_MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
)
"""Pillow's modes with at most 8 bits per channel."""


class ImageBackend:
    """A plain picture as a slide of one level without tiles.

    Its dpi tag says how to print it, not how large the tissue is, so `mpp` is None.
    """

    vendor = "image"
    mpp: float | None = None
    mpp_source = ScaleSource.UNKNOWN
    quick_hash = ""

    def __init__(self, path: Path) -> None:
        try:
            with _open_of_any_size(path) as image:
                width, height = image.size
                if image.mode not in EIGHT_BIT_MODES:
                    raise UnreadableSlideError(
                        f"{path.name} is a picture with more than 8 bits per channel; "
                        "save it with 8 bits."
                    )
                if width * height > LARGEST_MP * 1e6:
                    raise UnreadableSlideError(
                        f"{path.name} is a plain picture of {width * height / 1e6:.0f} MP, "
                        f"more than {LARGEST_MP}; convert it to a tiled TIFF."
                    )
                self.properties: Mapping[str, str] = {
                    "image.format": image.format or "",
                    "image.mode": image.mode,
                }
                self._pixels = _rgb_on_white(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableSlideError(
                f"{path.name} is a damaged picture that cannot be decoded; copy it again."
            ) from error
        self.level_dimensions: tuple[tuple[int, int], ...] = ((width, height),)
        self.level_downsamples: tuple[float, ...] = (1.0,)
        self.tile_sizes: tuple[tuple[int, int] | None, ...] = (None,)
        self.bounds = (0, 0, width, height)
        self.associated_images: Mapping[str, np.ndarray] = {}

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether the file begins like a PNG, JPEG or BMP."""
        with path.open("rb") as file:
            return file.read(8).startswith(MAGIC)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Return a copy of the window, uint8 (height, width, 3)."""
        return self._pixels[row : row + height, column : column + width].copy()

    def close(self) -> None:
        """Do nothing: no file is held open."""


def _open_of_any_size(path: Path) -> Image.Image:
    """Open a picture without Pillow's own limit of size and its warning."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        return Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _rgb_on_white(image: Image.Image) -> np.ndarray:
    """Return a picture as uint8 (h, w, 3), transparent pixels white."""
    if "A" in image.mode or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))
