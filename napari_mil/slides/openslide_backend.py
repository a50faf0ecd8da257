"""Reader of every format that OpenSlide opens."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import openslide

from napari_mil.errors import UnreadableSlideError
from napari_mil.findings import Finding
from napari_mil.slides.channels import Channel
from napari_mil.slides.damage import Damage, Window, level0_box
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.pixels import WHITE, on_white
from napari_mil.slides.resolution import ScaleSource

USUAL_TILE = (256, 256)
"""Parts in which damage is looked for where the file does not tell the size of its tiles."""
READ_AS_TIFF = ("aperio", "generic-tiff")
"""OpenSlide's names of formats that the reader of TIFF reads."""


class OpenSlideBackend:
    """A slide read through OpenSlide, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()
        self._handle = SharedHandle(path.name, self._free)
        self._lock = threading.Lock()
        self.files: tuple[Path, ...] = (path,)
        self.channels: tuple[Channel, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.damage = Damage()
        self.missing = 0.0
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
        self.mpp_xy = _mpp_xy(properties)
        # OpenSlide fills mpp of plain TIFF files from the resolution tag, which writers often get
        # wrong.
        self.mpp_source = (
            ScaleSource.TIFF if self.vendor == "generic-tiff" else ScaleSource.OPENSLIDE
        )
        self.quick_hash = properties.get("openslide.quickhash-1", "")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether OpenSlide knows the format.

        It may still fail to open the file. Plain TIFF files are left to the reader of TIFF: asked
        for a damaged one of absurd size, OpenSlide ends the whole process.
        """
        if not path.is_file():
            return False
        vendor = openslide.OpenSlide.detect_format(path)
        return vendor is not None and vendor not in READ_AS_TIFF

    def _open(self) -> openslide.OpenSlide:
        try:
            return openslide.OpenSlide(self._path)
        except (openslide.OpenSlideError, OSError) as error:
            vendor = openslide.OpenSlide.detect_format(self._path)
            raise UnreadableSlideError(
                f"{self._path.name} looks like a slide of the format {vendor} but cannot be opened "
                f"({_reason(error)}); it may be damaged, or of a kind that OpenSlide does not read."
            ) from error

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window of a level, uint8 (height, width, 3).

        `column` and `row` count pixels of `level`.
        """
        window = (column, row, width, height)
        pixels, reason = self._try(level, window)
        if pixels is not None:
            return pixels
        # Damaged: read tile by tile, what cannot be read is white and noted.
        pixels = np.full((height, width, 3), WHITE, np.uint8)
        for tile in _tiles_of(window, self.tile_sizes[level] or USUAL_TILE):
            part, reason = self._try(level, tile)
            if part is None:
                self.damage.add(level, level0_box(tile, self.level_downsamples[level]), reason)
                continue
            top = tile[1] - row
            left = tile[0] - column
            pixels[top : top + tile[3], left : left + tile[2]] = part
        return pixels

    def _try(self, level: int, window: Window) -> tuple[np.ndarray | None, str]:
        """Read a window, or say why it cannot be read."""
        column, row, width, height = window
        downsample = self.level_downsamples[level]
        # The nearest whole level-0 pixel: at most half a level-0 pixel beside the exact place where
        # the downsample is not whole.
        origin_level0 = (round(column * downsample), round(row * downsample))
        with self._handle.reading():
            file = self._file
            try:
                image = file.read_region(origin_level0, level, (width, height))
            except (openslide.OpenSlideError, ValueError) as error:
                self._replace(file)
                return None, _reason(error)
        return _on_white(np.asarray(image)), ""

    def _replace(self, broken: openslide.OpenSlide) -> None:
        """Open the file anew: after one error OpenSlide answers no more reads.

        Reads of other threads may still use the broken one, which Python then frees.
        """
        with self._lock:
            if self._file is broken:
                self._file = self._open()

    def read_channels(
        self, level: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Refuse: OpenSlide gives colours only."""
        raise NotImplementedError("OpenSlide gives colours only")

    def _free(self) -> None:
        self._file.close()

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
    return np.ascontiguousarray(on_white(rgba[..., :3], rgba[..., 3:]))


def _mpp_xy(properties: Mapping[str, str]) -> tuple[float, float] | None:
    """Return micrometres per level-0 pixel along x and y, or None."""
    try:
        x = float(properties[openslide.PROPERTY_NAME_MPP_X])
        y = float(properties[openslide.PROPERTY_NAME_MPP_Y])
    except (KeyError, ValueError):
        return None
    return x, y


def _tiles_of(window: Window, tile: tuple[int, int]) -> Iterator[Window]:
    """Yield the parts of a window that lie in one tile each."""
    column, row, width, height = window
    for y in range(row // tile[1] * tile[1], row + height, tile[1]):
        for x in range(column // tile[0] * tile[0], column + width, tile[0]):
            left = max(x, column)
            top = max(y, row)
            right = min(x + tile[0], column + width)
            bottom = min(y + tile[1], row + height)
            yield left, top, right - left, bottom - top


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
    """Return OpenSlide's message on one line, without paths."""
    text = re.sub(r"\S*[/\\]\S*", "", str(error))
    text = " ".join(text.split()).strip(" .:")
    return f"OpenSlide: {text}" if text else "OpenSlide does not support it"
