"""Reader of every format that OpenSlide opens."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openslide

from napari_mil.errors import UnreadableSlideError
from napari_mil.findings import Finding
from napari_mil.slides.backend import WholeLevels
from napari_mil.slides.channels import Channel
from napari_mil.slides.damage import (
    Damage,
    DamagedPixelsError,
    Window,
    level0_box,
    read_around_damage,
)
from napari_mil.slides.folders import dicom_files
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.pixels import on_white
from napari_mil.slides.resolution import ScaleSource

USUAL_TILE = (256, 256)
"""Parts in which damage is looked for where the file does not tell the size of its tiles."""
READ_AS_TIFF = ("aperio", "generic-tiff", "philips")
"""OpenSlide's names of formats that the reader of TIFF reads."""


def is_special_tiff(path: Path) -> bool:
    """Say whether OpenSlide takes a TIFF for one of a vendor whose layout it knows."""
    vendor = openslide.OpenSlide.detect_format(path)
    return vendor is not None and vendor not in READ_AS_TIFF


class OpenSlideBackend(WholeLevels):
    """A slide read through OpenSlide, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = _file_of(path)
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
            path, lambda: self._file.associated_images, self._handle
        )
        self.mpp_xy = _mpp_xy(properties)
        # OpenSlide fills mpp of plain TIFF files from the resolution tag, which writers often get
        # wrong.
        self.mpp_source = (
            ScaleSource.TIFF if self.vendor == "generic-tiff" else ScaleSource.OPENSLIDE
        )
        self.icc_profile = _icc_profile(self._file)
        self.quick_hash = properties.get("openslide.quickhash-1", "")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether OpenSlide knows the format.

        It may still fail to open the file. Plain TIFF files are left to the reader of TIFF: asked
        for a damaged one of absurd size, OpenSlide ends the whole process.
        """
        if path.is_dir() and not dicom_files(path):
            return False
        vendor = openslide.OpenSlide.detect_format(_file_of(path))
        return vendor is not None and vendor not in READ_AS_TIFF

    def _open(self) -> openslide.OpenSlide:
        try:
            return openslide.OpenSlide(self._first)
        except (openslide.OpenSlideError, OSError) as error:
            vendor = openslide.OpenSlide.detect_format(self._first)
            raise UnreadableSlideError(
                f"{self._path.name} looks like a slide of the format {vendor} but cannot be opened "
                f"({_reason(error)}); it may be damaged, or of a kind that OpenSlide does not read."
            ) from error

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window of a level, uint8 (height, width, 3).

        `column` and `row` count pixels of `level`.
        """
        downsample = self.level_downsamples[level]
        return read_around_damage(
            lambda window: self._read(level, window),
            (column, row, width, height),
            self.tile_sizes[level] or USUAL_TILE,
            lambda part, reason: self.damage.add(level, level0_box(part, downsample), reason),
        )

    def _read(self, level: int, window: Window) -> np.ndarray:
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
                raise DamagedPixelsError(_reason(error)) from error
        return _on_white(np.asarray(image))

    def _replace(self, broken: openslide.OpenSlide) -> None:
        """Open the file anew: after one error OpenSlide answers no more reads.

        Reads of other threads may still use the broken one, which Python then frees.
        """
        with self._lock:
            if self._file is broken:
                self._file = self._open()

    def _free(self) -> None:
        self._file.close()

    def close(self) -> None:
        """Close the file once running reads have ended."""
        self._handle.close()


class _AssociatedImages(Mapping[str, np.ndarray]):
    """Label, macro and thumbnail as arrays, decoded when asked for."""

    def __init__(
        self, path: Path, images: Callable[[], Mapping[str, Any]], handle: SharedHandle
    ) -> None:
        self._path = path
        self._images = images
        self._handle = handle

    def __getitem__(self, name: str) -> np.ndarray:
        with self._handle.reading():
            try:
                image = self._images()[name]
            except openslide.OpenSlideError as error:
                raise UnreadableSlideError(
                    f"{self._path.name} has a {name} image that cannot be read ({_reason(error)})."
                ) from error
        return _on_white(np.asarray(image))

    def __iter__(self) -> Iterator[str]:
        return iter(self._images())

    def __len__(self) -> int:
        return len(self._images())


def _file_of(path: Path) -> Path:
    """Return the file that opens a slide: of a DICOM folder any that it holds."""
    return dicom_files(path)[0] if path.is_dir() else path


def _icc_profile(file: openslide.OpenSlide) -> bytes:
    """Return the ICC profile of a slide's colours, or nothing."""
    try:
        profile = file.color_profile
    except openslide.OpenSlideError:
        return b""
    return b"" if profile is None else bytes(profile.tobytes())


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
