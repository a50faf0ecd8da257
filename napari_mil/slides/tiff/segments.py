"""Tiles and strips of one plane of one level, read by position."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from napari_mil.slides.damage import DamagedPixelsError
from napari_mil.slides.tiff.codecs import Decoder, decoder_for
from napari_mil.slides.tiff.layout import TiffLevel, stored_size

ROWS_OF_A_BLOCK = 256
"""Rows read at once of pixels that are neither compressed nor tiled."""
LARGEST_SEGMENT_BYTES = 1e9
"""Largest tile or strip that is decoded, bytes of its pixels."""


class Segments:
    """Tiles or strips of one plane of one level.

    Parameters
    ----------
    page
        Directory with the layout (a `tifffile.TiffPage`).
    offsets, counts
        Position and number of bytes of each tile in the file.
    descriptor
        Descriptor of the open file.
    decode
        Decoder of a tile.
    tile
        (width, height) of a tile in pixels.
    size
        (width, height) of the level where more is stored; None where not.
    """

    def __init__(
        self,
        page: Any,
        offsets: np.ndarray,
        counts: np.ndarray,
        descriptor: int,
        decode: Decoder,
        tile: tuple[int, int],
        size: tuple[int, int] | None = None,
    ) -> None:
        stored = stored_size(page)
        self.width, self.height = size or stored
        self.tile = tile
        self.across = math.ceil(self.width / tile[0])
        self.down = math.ceil(self.height / tile[1])
        self._stored_across = math.ceil(stored[0] / tile[0])
        self._area = self._stored_across * math.ceil(stored[1] / tile[1])
        self.offsets = offsets
        self.counts = counts
        self.decode = decode
        self.samples = int(page.samplesperpixel)
        """Samples of a pixel."""
        self.planes = page.samplesperpixel if page.planarconfig == 2 else 1
        """Planes of samples that are stored one after another."""
        self._dtype = np.dtype(page.dtype).newbyteorder("=")
        self._descriptor = descriptor
        wanted = self._area * self.planes
        if len(counts) < wanted or len(offsets) < wanted:
            raise DamagedPixelsError(f"it lists {len(counts)} tiles where its size needs {wanted}")

    @property
    def is_stored(self) -> np.ndarray:
        """Which tiles have pixels: bool (down, across)."""
        first_plane = self.counts[: self._area].reshape(-1, self._stored_across)
        return first_plane[: self.down, : self.across] > 0

    def count_beyond_the_end(self) -> int:
        """Count the tiles whose bytes are not all in the file."""
        size = os.fstat(self._descriptor).st_size
        return int(np.count_nonzero((self.counts > 0) & (self.offsets + self.counts > size)))

    def window(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Return (column, row, width, height) of a tile's part inside the level, in its pixels."""
        left = column * self.tile[0]
        top = row * self.tile[1]
        width = min(self.tile[0], self.width - left)
        height = min(self.tile[1], self.height - top)
        return left, top, width, height

    @property
    def buffer_shape(self) -> tuple[int, int, int]:
        """Shape (h, w, samples) of a buffer for `tile_at`."""
        return self.tile[1], self.tile[0], 1 if self.planes > 1 else self.samples

    def tile_at(
        self, row: int, column: int, buffer: np.ndarray, factor: int = 1
    ) -> np.ndarray | None:
        """Decode a tile: (h, w, samples), or None where nothing is stored.

        `buffer`, uint8 of `buffer_shape`, may hold the result; with a factor, one of those of the
        decoder, the tile is as much smaller.

        Raises
        ------
        DamagedPixelsError
            If it cannot be read or decoded.
        """
        index = row * self._stored_across + column
        if self.planes == 1:
            return self._segment(index, buffer, factor)
        planes = []
        for plane in range(self.planes):
            tile = self._segment(plane * self._area + index, buffer)
            if tile is None:
                return None
            planes.append(tile.copy())
        return np.concatenate(planes, -1)

    def _segment(self, index: int, buffer: np.ndarray, factor: int = 1) -> np.ndarray | None:
        count = int(self.counts[index])
        if count == 0:
            return None
        data = os.pread(self._descriptor, count, int(self.offsets[index]))
        if len(data) < count:
            raise DamagedPixelsError("a tile beyond the end of the file")
        if factor > 1:
            tile = self.decode.reduced(data, index, factor)
        else:
            tile = self.decode(data, index, buffer)
        if tile.shape[-1] != self.buffer_shape[-1] or tile.dtype != self._dtype:
            raise DamagedPixelsError(
                f"{tile.shape[-1]} samples of {tile.dtype} in a tile of others"
            )
        return tile


def segments_of(
    page: Any, layout: Any, descriptor: int, size: tuple[int, int] | None = None
) -> Segments:
    """Return the tiles or strips of a directory.

    Parameters
    ----------
    page
        Directory with the positions (`tifffile.TiffPage` or `TiffFrame`).
    layout
        Directory with the layout, the same or the first of its series.
    descriptor
        Descriptor of the open file.
    size
        (width, height) of the level where more is stored.
    """
    offsets = np.asarray(page.dataoffsets, np.int64)
    counts = np.asarray(page.databytecounts, np.int64)
    if layout.is_tiled:
        tile = (int(layout.tilewidth), int(layout.tilelength))
    elif is_plain(layout) and len(offsets) and is_one_run(offsets, counts):
        return plain_rows(layout, int(offsets[0]), descriptor)
    else:
        tile = (int(layout.imagewidth), min(int(layout.rowsperstrip), int(layout.imagelength)))
    pixel_bytes = int(layout.samplesperpixel) * np.dtype(layout.dtype).itemsize
    if tile[0] * tile[1] * pixel_bytes > LARGEST_SEGMENT_BYTES:
        raise DamagedPixelsError(
            f"a tile of {tile[0]} x {tile[1]} pixels, which is more than is decoded at once"
        )
    return Segments(layout, offsets, counts, descriptor, decoder_for(layout), tile, size)


def is_plain(page: Any) -> bool:
    """Say whether pixels lie in the file as in memory."""
    has_whole_bytes = page.bitspersample in (8, 16, 32, 64)
    is_plain = page.compression == 1 and page.predictor == 1 and page.planarconfig == 1
    return bool(is_plain and has_whole_bytes and page.fillorder == 1 and page.dtype is not None)


def is_one_run(offsets: np.ndarray, counts: np.ndarray) -> bool:
    """Say whether each strip begins where the one before it ends."""
    return bool((offsets[:-1] + counts[:-1] == offsets[1:]).all())


def plain_rows(page: Any, start: int, descriptor: int) -> Segments:
    """Return blocks of rows of pixels that lie in the file as in memory.

    Parameters
    ----------
    page
        Directory with the layout (a `tifffile.TiffPage`).
    start
        Position of the first pixel in the file.
    descriptor
        Descriptor of the open file.
    """
    width = int(page.imagewidth)
    height = int(page.imagelength)
    samples = int(page.samplesperpixel)
    stored = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    row_bytes = width * samples * stored.itemsize
    tops = np.arange(0, height, ROWS_OF_A_BLOCK)
    rows = np.minimum(ROWS_OF_A_BLOCK, height - tops)
    decode = PlainDecoder(width, samples, stored)
    tile = (width, min(ROWS_OF_A_BLOCK, height))
    return Segments(page, start + tops * row_bytes, rows * row_bytes, descriptor, decode, tile)


class PlainDecoder:
    """Rows of pixels that lie in the file as in memory."""

    factors: tuple[int, ...] = ()

    def __init__(self, width: int, samples: int, stored: np.dtype[Any]) -> None:
        self._width = width
        self._samples = samples
        self._stored = stored

    def __call__(self, data: bytes, index: int, buffer: np.ndarray) -> np.ndarray:
        """Return the pixels of some rows: (h, w, samples)."""
        rows = np.frombuffer(data, self._stored).reshape(-1, self._width, self._samples)
        return rows.astype(self._stored.newbyteorder("="), copy=False)

    def reduced(self, data: bytes, index: int, factor: int) -> np.ndarray:
        """Refuse: rows are read whole."""
        raise NotImplementedError("rows are read whole")


def plane_of(level: TiffLevel, index: int, descriptors: dict[Any, int]) -> Segments | None:
    """Return one plane of a level; None where its file is missing.

    Parameters
    ----------
    level
        The level: one directory a plane, or one for all planes that follow each other.
    index
        Number of the plane.
    descriptors
        Descriptor of each open file, by its `tifffile` handle.
    """
    series = level.series
    pages = series.pages
    layout = series.keyframe
    n_planes = math.prod(series.get_shape(squeeze=False)) // max(1, math.prod(layout.shaped))
    if len(pages) == 1 and n_planes > 1 and index > 0:
        # ImageJ lists one directory for a stack whose planes follow each other.
        plane_bytes = math.prod(layout.shaped) * np.dtype(layout.dtype).itemsize
        start = int(pages[0].dataoffsets[0]) + index * plane_bytes
        return plain_rows(layout, start, descriptors[layout.parent])
    page = pages[index]
    if page is None:
        return None
    return segments_of(page, layout, descriptors[page.parent], level.size)
