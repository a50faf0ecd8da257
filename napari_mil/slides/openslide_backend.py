"""Reader of every format that OpenSlide opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import openslide

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.resolution import ScaleSource

WHITE = 255
"""Value of each channel of a white pixel."""


class OpenSlideBackend:
    """A slide read through OpenSlide, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise UnreadableSlideError(
                f"{path.name} looks like a slide but cannot be opened ({_reason(error)}); "
                "it may be damaged, or of a kind that OpenSlide does not read."
            ) from error
        self._handle = SharedHandle(path.name, self._file.close)
        properties = dict(self._file.properties)
        self.properties: Mapping[str, str] = properties
        self.vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown")
        self.level_dimensions = tuple((int(w), int(h)) for w, h in self._file.level_dimensions)
        self.level_downsamples = tuple(float(d) for d in self._file.level_downsamples)
        self.tile_sizes = tuple(
            _tile_size(properties, level) for level in range(self._file.level_count)
        )
        self.bounds = _bounds(properties, self.level_dimensions[0])
        self.associated_images: Mapping[str, np.ndarray] = _AssociatedImages(
            self._file, self._handle
        )
        self.mpp = _mean_mpp(properties)
        # OpenSlide fills mpp of plain TIFF files from the resolution tag, which writers often get
        # wrong.
        self.mpp_source = (
            ScaleSource.TIFF if self.vendor == "generic-tiff" else ScaleSource.OPENSLIDE
        )
        self.quick_hash = properties.get("openslide.quickhash-1", "")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether OpenSlide knows the format.

        It may still fail to open the file.
        """
        return openslide.OpenSlide.detect_format(path) is not None

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window of a level, uint8 (height, width, 3).

        `column` and `row` count pixels of `level`.
        """
        downsample = self.level_downsamples[level]
        # The nearest whole level-0 pixel: at most half a level-0 pixel beside the exact place where
        # the downsample is not whole.
        origin_level0 = (round(column * downsample), round(row * downsample))
        try:
            with self._handle.reading():
                image = self._file.read_region(origin_level0, level, (width, height))
        except (openslide.OpenSlideError, ValueError) as error:
            raise UnreadableSlideError(
                f"{self._path.name} has pixels that cannot be read ({_reason(error)}); "
                "the file may be damaged or incomplete, copy it again."
            ) from error
        return _on_white(np.asarray(image))

    def close(self) -> None:
        """Close the file once running reads have ended."""
        self._handle.close()


class _AssociatedImages(Mapping[str, np.ndarray]):
    """Label, macro and thumbnail as arrays, decoded when asked for."""

    def __init__(self, file: openslide.OpenSlide, handle: SharedHandle) -> None:
        self._images = file.associated_images
        self._handle = handle

    def __getitem__(self, name: str) -> np.ndarray:
        with self._handle.reading():
            image = self._images[name]
        return _on_white(np.asarray(image))

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)


def _on_white(rgba: np.ndarray) -> np.ndarray:
    """Composite straight-alpha RGBA (h, w, 4) on white, uint8 (h, w, 3)."""
    alpha = rgba[..., 3:]
    rgb = rgba[..., :3]
    if alpha.min(initial=WHITE) == WHITE:
        return np.ascontiguousarray(rgb)
    weight = alpha.astype(np.uint16)
    return ((rgb * weight + WHITE * (WHITE - weight) + WHITE // 2) // WHITE).astype(np.uint8)


def _mean_mpp(properties: Mapping[str, str]) -> float | None:
    """Return the mean of horizontal and vertical scale, or None."""
    try:
        values = [
            float(properties[key])
            for key in (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
        ]
    except (KeyError, ValueError):
        return None
    return sum(values) / len(values)


def _tile_size(properties: Mapping[str, str], level: int) -> tuple[int, int] | None:
    """Return (width, height) of a level's tiles, or None."""
    try:
        width = int(properties[f"openslide.level[{level}].tile-width"])
        height = int(properties[f"openslide.level[{level}].tile-height"])
    except (KeyError, ValueError):
        return None
    return width, height


def _bounds(
    properties: Mapping[str, str], dimensions: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the stored part, clipped to the slide."""
    try:
        x, y, width, height = (
            int(properties[f"openslide.bounds-{key}"]) for key in ("x", "y", "width", "height")
        )
    except (KeyError, ValueError):
        return (0, 0, *dimensions)
    x = max(x, 0)
    y = max(y, 0)
    return x, y, min(width, dimensions[0] - x), min(height, dimensions[1] - y)


def _reason(error: Exception) -> str:
    """Return OpenSlide's message on one line, unless it holds a path."""
    text = " ".join(str(error).split()).rstrip(".")
    if not text or "/" in text:
        return "OpenSlide does not support it"
    return f"OpenSlide: {text}"
