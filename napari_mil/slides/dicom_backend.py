"""DICOM slides that OpenSlide does not read, through wsidicom."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from napari_mil.errors import UnreadableSlideError, short_cause
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
from napari_mil.slides.folders import dicom_files, is_dicom, series_of
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.resolution import ScaleSource

JPEG_START = b"\xff\xd8"


class DicomBackend(WholeLevels):
    """A DICOM series: colours as YBR_FULL, JPEG 2000 and what else wsidicom decodes."""

    vendor = "dicom"
    mpp_source = ScaleSource.DICOM
    channels: tuple[Channel, ...] = ()
    findings: tuple[Finding, ...] = ()
    missing = 0.0

    def __init__(self, path: Path) -> None:
        # Imported here: it takes half a second, and few slides need it.
        from wsidicom import WsiDicom

        self._path = path
        self.damage = Damage()
        self.files = tuple(_series_files(path))
        self._slide: Any = None
        try:
            self._slide = WsiDicom.open(list(self.files))
            self._levels = list(self._slide.pyramid)
            first = self._levels[0]
            self._slide.read_region((0, 0), first.level, (1, 1), threads=1)
        except Exception as error:  # pydicom and its decoders have errors of many kinds
            if self._slide is not None:
                self._slide.close()
            reason = short_cause(error)
            raise UnreadableSlideError(
                f"{path.name} is a DICOM file or series that cannot be read as a slide ({reason})."
            ) from error
        self._handle = SharedHandle(path.name, self._slide.close)
        self._lock = threading.Lock()
        self._verified: set[tuple[int, int, int]] = set()
        self.level_dimensions = tuple(_size(level.size) for level in self._levels)
        width, height = self.level_dimensions[0]
        self.level_downsamples = tuple(
            (width / w + height / h) / 2 for w, h in self.level_dimensions
        )
        self.tile_sizes: tuple[tuple[int, int] | None, ...] = tuple(
            _size(level.tile_size) for level in self._levels
        )
        self.bounds = (0, 0, width, height)
        self.mpp_xy: tuple[float, float] | None = (float(first.mpp.width), float(first.mpp.height))
        self.properties: Mapping[str, str] = {
            "openslide.vendor": self.vendor,
            "openslide.mpp-x": repr(float(first.mpp.width)),
            "openslide.mpp-y": repr(float(first.mpp.height)),
        }

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether it is a DICOM file, or a folder of them."""
        return bool(dicom_files(path)) if path.is_dir() else is_dicom(path)

    @cached_property
    def quick_hash(self) -> str:
        """Hash of the identifiers of the series' images."""
        uids = sorted(str(uid) for level in self._levels for uid in level.instances)
        return hashlib.sha256("".join(uids).encode()).hexdigest()

    @cached_property
    def associated_images(self) -> Mapping[str, np.ndarray]:
        """Label and macro: uint8 (h, w, 3), decoded when asked for."""
        readers = {}
        if self._slide.labels:
            readers["label"] = self._slide.read_label
        if self._slide.overviews:
            readers["macro"] = self._slide.read_overview
        return _AssociatedImages(readers)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3)."""
        downsample = self.level_downsamples[level]
        tile = self.tile_sizes[level]
        assert tile is not None
        return read_around_damage(
            lambda window: self._read(level, window),
            (column, row, width, height),
            tile,
            lambda part, reason: self.damage.add(level, level0_box(part, downsample), reason),
        )

    def _read(self, level: int, window: Window) -> np.ndarray:
        with self._handle.reading(), self._lock:
            try:
                self._verify(level, window)
                pixels = self._slide.read_region(
                    window[:2], self._levels[level].level, window[2:], threads=1, as_array=True
                )
            except Exception as error:  # decoders have errors of many kinds
                raise DamagedPixelsError(short_cause(error)) from error
        return _rgb(pixels)

    def _verify(self, level: int, window: Window) -> None:
        """Decode JPEG tiles strictly, once: wsidicom goes on where data are broken."""
        column, row, width, height = window
        tile = self.tile_sizes[level]
        assert tile is not None
        for j in range(row // tile[1], -(-(row + height) // tile[1])):
            for i in range(column // tile[0], -(-(column + width) // tile[0])):
                if (level, i, j) in self._verified:
                    continue
                data = self._slide.read_encoded_tile(self._levels[level].level, (i, j))
                if data[:2] == JPEG_START:
                    simplejpeg.decode_jpeg(data, "GRAY", strict=True)
                self._verified.add((level, i, j))

    def close(self) -> None:
        """Close the files once running reads have ended."""
        self._handle.close()


class _AssociatedImages(Mapping[str, np.ndarray]):
    """Label and macro as arrays, decoded when asked for."""

    def __init__(self, readers: Mapping[str, Callable[[], Any]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> np.ndarray:
        return _rgb(np.asarray(self._readers[name]()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def _series_files(path: Path) -> list[Path]:
    """Return the files of a series, of which one or the folder is given."""
    if path.is_dir():
        return dicom_files(path)
    series = series_of(path)
    return [path, *(p for p in dicom_files(path.parent) if p != path and series_of(p) == series)]


def _size(size: Any) -> tuple[int, int]:
    return int(size.width), int(size.height)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 (h, w, 3) of grey or coloured pixels."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.ascontiguousarray(np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3)))
