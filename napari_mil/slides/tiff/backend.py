"""TIFF files as slides: SVS, OME-TIFF, QPTIFF and generic tiled or stripped files."""

from __future__ import annotations

import hashlib
import logging
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_mil.errors import UnreadableSlideError, short_cause
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides.backend import OtherBackendError
from napari_mil.slides.channels import Channel, contrast_range, default_colour, render
from napari_mil.slides.damage import Damage, DamagedPixelsError, Window, level0_box
from napari_mil.slides.fingerprint import fingerprint_file
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.openslide_backend import is_special_tiff
from napari_mil.slides.pixels import WHITE, PixelFormat, used_bits
from napari_mil.slides.tiff.chain import check_chain
from napari_mil.slides.tiff.codecs import JpegDecoder
from napari_mil.slides.tiff.layout import (
    LEFT_TO_OPENSLIDE,
    TiffLevel,
    axes_of,
    is_fluorescence,
    levels_of,
    orientation_of,
    others_left_out,
    pixel_format,
    refusal_of,
)
from napari_mil.slides.tiff.metadata import read_notes
from napari_mil.slides.tiff.philips import is_philips, read_philips, read_picture
from napari_mil.slides.tiff.segments import Segments, plane_of
from napari_mil.slides.tiff.structure import MAGIC
from napari_mil.slides.tiff.tile_store import TileStore

CACHED_BYTES = 64_000_000
"""Memory for decoded tiles of one open file.

Neighbouring reads share tiles: a row of tiles of 256 px is 0.2 MB a tile.
"""
TRIED_TILES = 5
"""Tiles spread over a file that are tried when it is opened."""
ICC_PROFILE = 34675
"""Number of the tag that holds an ICC profile."""
SAMPLED_TILES = 49
"""Tiles of the coarsest level from which depth and contrast are estimated."""

# tifffile warns of oddities that the findings of a slide tell better.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class TiffBackend:
    """A TIFF file whose tiles are read by position, from any thread."""

    caches_tiles = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage = Damage()
        self.store = TileStore(CACHED_BYTES)
        self._descriptors: dict[Any, int] = {}
        # A slide that nobody closes gives its descriptors back all the same.
        self._finalizer = weakref.finalize(self, _close_all, self._descriptors)
        self._handle = SharedHandle(path.name, self._free)
        try:
            self._read_directories(path)
            self._try_tiles()
        except (UnreadableSlideError, OtherBackendError):
            self.close()
            raise
        except Exception as error:  # tifffile meets damage with errors of many kinds
            self.close()
            raise UnreadableSlideError(
                f"{path.name} is a TIFF file that cannot be read ({short_cause(error)}); "
                "it may be damaged or incomplete, copy it again."
            ) from error

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether the file begins like a TIFF."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in MAGIC

    def _read_directories(self, path: Path) -> None:
        check_chain(path)
        with tifffile.TiffFile(path) as file:
            if any(getattr(file, flag) for flag in LEFT_TO_OPENSLIDE) and is_special_tiff(path):
                raise OtherBackendError
            series = file.series[0]
            self._axes = axes_of(series)
            notes = read_notes(file, series)
            self._notes = notes.channels
            refusal = refusal_of(file)
            if refusal:
                raise UnreadableSlideError(f"{path.name} cannot be shown as a slide: {refusal}.")
            levels = levels_of(file)
            self._n_others = others_left_out(file, levels)
            self._orientation = orientation_of(series.keyframe)
            self._open_files(path, levels)
            page = series.keyframe
            is_named = any(note.name or note.colour for note in notes.channels)
            self._is_fluorescence = is_fluorescence(page, self._axes, is_named)
            self._format = pixel_format(page)
            self.icc_profile = bytes(page.tags.valueof(ICC_PROFILE) or b"")
            self._planes = [self._planes_of(level) for level in levels]
            self._associated = associated_series(file, series)
        self.vendor = notes.vendor
        self.properties: Mapping[str, str] = notes.properties
        self.mpp_xy = notes.mpp_xy
        self.mpp_source = notes.source
        first = [planes[0] for planes in self._planes]
        self.level_dimensions = tuple(level.size for level in levels)
        self.level_downsamples = tuple(level.downsample for level in levels)
        self.tile_sizes: tuple[tuple[int, int] | None, ...] = tuple(
            plane.tile if plane.across > 1 or plane.down > 1 else None for plane in first
        )
        self.bounds = (0, 0, *self.level_dimensions[0])

    def _open_files(self, path: Path, levels: list[TiffLevel]) -> None:
        """Open every file that holds planes: OME-TIFF may spread them over several."""
        files = {path: None}
        for level in levels:
            for page in level.series.pages:
                if page is None or page.parent in self._descriptors:
                    continue
                name = Path(page.parent.filehandle.dirname) / page.parent.filehandle.name
                self._descriptors[page.parent] = os.open(name, os.O_RDONLY)
                files[name] = None
        self.files = tuple(files)

    def _planes_of(self, level: TiffLevel) -> list[Segments]:
        """Return the planes of a level: one a channel of fluorescence, otherwise one."""
        n_channels = self._axes.n_channels if self._is_fluorescence else 1
        planes = [
            plane_of(level, self._axes.plane(channel), self._descriptors)
            for channel in range(n_channels)
        ]
        if any(plane is None for plane in planes):
            raise UnreadableSlideError(
                f"{self._path.name} has channels in other files that are not there; "
                "put the files of one acquisition into one folder."
            )
        n_beyond = sum(plane.count_beyond_the_end() for plane in planes if plane is not None)
        if n_beyond:
            raise UnreadableSlideError(
                f"{self._path.name} is cut short: {n_beyond} of its tiles lie beyond its end; "
                "copy it again."
            )
        return planes  # type: ignore[return-value]

    def _try_tiles(self) -> None:
        """Decode some tiles of the finest level; one must be readable.

        Where each of them makes libjpeg-turbo warn, warnings are a habit of the writer.
        """
        plane = self._planes[0][0]
        stored = np.flatnonzero(plane.is_stored)
        if len(stored) == 0:
            raise UnreadableSlideError(f"{self._path.name} holds no pixels; copy the slide again.")
        chosen = stored[np.linspace(0, len(stored) - 1, TRIED_TILES).astype(int)]
        places = [divmod(int(index), plane.across) for index in dict.fromkeys(chosen.tolist())]
        reason = _first_reason(plane, places)
        if reason and isinstance(plane.decode, JpegDecoder):
            self._set_strict(False)
            reason = _first_reason(plane, places)
            self._set_strict(bool(reason))
        if reason:
            raise UnreadableSlideError(
                f"{self._path.name} cannot be decoded ({reason}); "
                "it may be damaged or incomplete, copy it again."
            )

    def _set_strict(self, strict: bool) -> None:
        for planes in self._planes:
            for plane in planes:
                if isinstance(plane.decode, JpegDecoder):
                    plane.decode.strict = strict

    @cached_property
    def quick_hash(self) -> str:
        """Hash of all files where there are several; of one, its content says what it is."""
        if len(self.files) == 1:
            return ""
        prints = sorted(fingerprint_file(file) for file in self.files)
        return hashlib.sha256("".join(prints).encode()).hexdigest()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about the file, known from its directories."""
        found = []
        left_out = self._axes.left_out()
        if left_out:
            text = f"The file is a stack; shown is {left_out}."
            found.append(Finding(FindingKind.LEFT_OUT, self._path, text))
        if self._n_others:
            text = f"The file holds {self._n_others + 1} images; shown is the first."
            found.append(Finding(FindingKind.LEFT_OUT, self._path, text))
        if self._orientation != 1:
            text = f"The file says that it is turned (orientation {self._orientation}); "
            text += "it is shown as it is stored."
            found.append(Finding(FindingKind.LEFT_OUT, self._path, text))
        stored_bits = 8 * self._pixels.dtype.itemsize
        if stored_bits > 8 and self._pixels.bits not in (1, stored_bits):
            text = f"{self._pixels.bits} of {stored_bits} bits are used."
            found.append(Finding(FindingKind.DEPTH, self._path, text))
        return tuple(found)

    @property
    def missing(self) -> float:
        """Share of the finest level's tiles that the file does not store."""
        return 1 - float(self._planes[0][0].is_stored.mean())

    @cached_property
    def _pixels(self) -> PixelFormat:
        """Format of the pixels with the bits that are used."""
        stored = self._format
        if stored.dtype.itemsize == 1 or self._is_fluorescence or stored.palette is not None:
            return stored
        largest = max((float(values.max(initial=0)) for values in self._sampled(0)), default=0.0)
        bits = used_bits(largest, stored.dtype)
        return replace(stored, bits=bits)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Channels of a fluorescence slide; empty for colours."""
        if not self._is_fluorescence:
            return ()
        planes = self._planes[0]
        samples = self._format.samples
        count = samples if len(planes) == 1 else len(planes)
        channels = []
        for k in range(count):
            plane, sample = (0, k) if len(planes) == 1 else (k, 0)
            note = self._notes[k] if k < len(self._notes) else None
            values = [tile[..., sample].ravel() for tile in self._sampled(plane)]
            channels.append(
                Channel(
                    (note and note.name) or f"Channel {k + 1}",
                    (note and note.colour) or default_colour(k, count),
                    contrast_range(np.concatenate(values) if values else np.zeros(0)),
                    str(self._format.dtype),
                )
            )
        return tuple(channels)

    def _sampled(self, plane: int) -> Iterator[np.ndarray]:
        """Decode tiles of the coarsest level, spread over it."""
        segments = self._planes[-1][plane]
        stored = np.flatnonzero(segments.is_stored)
        if len(stored) == 0:
            return
        chosen = stored[np.linspace(0, len(stored) - 1, SAMPLED_TILES).astype(int)]
        for index in dict.fromkeys(chosen.tolist()):
            try:
                with self._handle.reading():
                    buffer = np.empty(segments.buffer_shape, np.uint8)
                    row, column = divmod(index, segments.across)
                    tile = segments.tile_at(row, column, buffer)
            except DamagedPixelsError:
                continue
            if tile is not None:
                yield tile

    @cached_property
    def associated_images(self) -> Mapping[str, np.ndarray]:
        """Label, macro, thumbnail: uint8 (h, w, 3), decoded when asked for."""
        return AssociatedImages(self._path, self._associated, self._handle)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3)."""
        window = (column, row, width, height)
        if self._is_fluorescence:
            return render(self.read_channels(level, *window), self.channels)
        if self._pixels.is_rgb8:
            return self._assemble(level, 0, window, None)
        return self._assemble(level, 0, window, self._pixels.to_rgb)

    @cached_property
    def reductions(self) -> tuple[tuple[int, ...], ...]:
        """By how much each level can be shrunk while it is decoded."""
        if self._is_fluorescence:
            return tuple(() for _ in self._planes)
        return tuple(
            planes[0].decode.factors if planes[0].planes == 1 else () for planes in self._planes
        )

    def read_reduced(
        self, level: int, factor: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read a window at 1 / `factor` of a level, in pixels of the result, for display."""
        convert = None if self._pixels.is_rgb8 else self._pixels.to_rgb
        return self._assemble(level, 0, (column, row, width, height), convert, factor=factor)

    def read_channels(
        self, level: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read raw values of a window that lies inside a level: (height, width, channels)."""
        window = (column, row, width, height)
        planes = [
            self._assemble(level, plane, window, _unchanged, fill=0)
            for plane in range(len(self._planes[level]))
        ]
        return planes[0] if len(planes) == 1 else np.concatenate(planes, -1)

    def _assemble(
        self,
        level: int,
        plane: int,
        window: Window,
        convert: Callable[[np.ndarray], np.ndarray] | None,
        fill: int = WHITE,
        factor: int = 1,
    ) -> np.ndarray:
        """Put a window together from the tiles it touches; one copy of each pixel."""
        column, row, width, height = window
        tile_width, tile_height = (side // factor for side in self._planes[level][plane].tile)
        raw = convert is _unchanged
        samples = self._format.samples if raw else 3
        target = np.empty((height, width, samples), self._format.dtype if raw else np.uint8)
        for i in range(row // tile_height, -(-(row + height) // tile_height)):
            for j in range(column // tile_width, -(-(column + width) // tile_width)):
                top = i * tile_height - row
                left = j * tile_width - column
                part = target[max(top, 0) : top + tile_height, max(left, 0) : left + tile_width]
                with self._tile(level, plane, i, j, factor) as tile:
                    if tile is None:
                        part[...] = fill
                        continue
                    y = max(-top, 0)
                    x = max(-left, 0)
                    inside = tile[y : y + part.shape[0], x : x + part.shape[1]]
                    part[...] = inside if convert is None else convert(inside)
        return target

    @contextmanager
    def _tile(
        self, level: int, plane: int, i: int, j: int, factor: int
    ) -> Iterator[np.ndarray | None]:
        """Hold a decoded tile, None where it is missing or damaged."""
        segments = self._planes[level][plane]
        try:
            with (
                self._handle.reading(),
                self.store.tile(
                    (level, plane, i, j, factor),
                    segments.buffer_shape,
                    lambda buffer: segments.tile_at(i, j, buffer, factor),
                ) as tile,
            ):
                yield tile
        except DamagedPixelsError as error:
            box = level0_box(segments.window(i, j), self.level_downsamples[level])
            self.damage.add(level, box, str(error))
            yield None

    def close(self) -> None:
        """Close the file once running reads have ended."""
        self._handle.close()

    def _free(self) -> None:
        self._finalizer()
        self.store.clear()


class AssociatedImages(Mapping[str, np.ndarray]):
    """Label, macro and thumbnail as arrays, decoded when asked for."""

    def __init__(self, path: Path, series: Mapping[str, int | None], handle: SharedHandle) -> None:
        self._path = path
        self._series = series
        self._handle = handle

    def __getitem__(self, name: str) -> np.ndarray:
        index = self._series[name]
        with self._handle.reading():
            try:
                with tifffile.TiffFile(self._path) as file:
                    if index is None:
                        return read_picture(file.pages.first.description, name)
                    page = file.series[index].keyframe
                    pixels = page.asarray()
                    stored = pixel_format(page)
            except Exception as error:  # tifffile meets damage with errors of many kinds
                reason = short_cause(error)
                raise UnreadableSlideError(
                    f"{self._path.name} has a {name} image that cannot be read ({reason})."
                ) from error
        return stored.to_rgb(pixels.reshape(*pixels.shape[:2], -1))

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)


def _close_all(descriptors: dict[Any, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
    descriptors.clear()


def associated_series(file: Any, series: Any) -> dict[str, int | None]:
    """Return the numbers of the series of label, macro and thumbnail by their names.

    None is a picture in the XML of a Philips file.
    """
    found: dict[str, int | None] = {}
    if is_philips(file):
        found = dict.fromkeys(read_philips(file.pages.first.description).pictures)
    elif series.kind not in ("svs", "qpi"):
        return {}
    names = {"thumbnail": "thumbnail", "label": "label", "macro": "macro", "overview": "macro"}
    for index, other in enumerate(file.series):
        name = names.get(other.name.lower())
        if name is not None and other is not series:
            found[name] = index
    return found


def _unchanged(tile: np.ndarray) -> np.ndarray:
    return tile


def _first_reason(plane: Segments, places: list[tuple[int, int]]) -> str:
    """Return why no tile of some places can be decoded, or an empty string if one can."""
    reason = ""
    for place in places:
        try:
            row, column = place
            plane.tile_at(row, column, np.empty(plane.buffer_shape, np.uint8))
        except DamagedPixelsError as error:
            reason = reason or str(error)
        else:
            return ""
    return reason
