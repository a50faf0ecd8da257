"""Masks drawn by hand, from looking at the pictures, and what others are compared with.

``drawn.json`` holds outlines as (x, y) in pixels of the picture at most `LONGEST_PX` a side. Lumens
count as tissue; torn holes through which glass shows do not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.color import rgb2hsv
from skimage.filters import threshold_otsu

from napari_mil.slides import open_slide
from tests.bags.tissue.pictures import LONGEST_PX, SHARED, sample

DRAWN_FILE = Path(__file__).with_name("drawn.json")


@dataclass(frozen=True)
class DrawnMask:
    """Outlines of the tissue of one picture."""

    name: str
    picture: str
    """``sample``, or a path within the shared data."""
    outlines: tuple[list[list[int]], ...]
    holes: tuple[list[list[int]], ...]

    @property
    def is_available(self) -> bool:
        """Whether the picture is on this machine."""
        return self.picture == "sample" or (SHARED / self.picture).is_file()

    def read(self) -> np.ndarray:
        """Read the picture, uint8 (h, w, 3)."""
        if self.picture == "sample":
            return sample()
        with open_slide(SHARED / self.picture) as slide:
            width, height = slide.dimensions
            share = min(1, LONGEST_PX / max(width, height))
            return slide.thumbnail((max(1, round(width * share)), max(1, round(height * share))))

    def fill(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the mask, bool (h, w)."""
        image = Image.new("1", (shape[1], shape[0]))
        draw = ImageDraw.Draw(image)
        for value, polygons in ((1, self.outlines), (0, self.holes)):
            for polygon in polygons:
                draw.polygon([tuple(corner) for corner in polygon], fill=value)
        return np.asarray(image)


def drawn_masks() -> list[DrawnMask]:
    """Return the masks drawn by hand."""
    entries = json.loads(DRAWN_FILE.read_text(encoding="utf-8"))
    return [
        DrawnMask(name, entry["picture"], tuple(entry["outlines"]), tuple(entry["holes"]))
        for name, entry in entries.items()
    ]


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    """Return the overlap of two masks, 1 where both are empty."""
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0


def otsu_on_saturation(picture: np.ndarray) -> np.ndarray:
    """Segment as most tools do: HSV saturation above Otsu's threshold."""
    saturation = rgb2hsv(picture)[..., 1]
    return saturation > threshold_otsu(saturation)
