"""Lazy arrays of slide levels over a shared cache of chunks.

Indexing is safe from several threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from copy import copy
from typing import Any

import numpy as np

from napari_mil.slides.cache import PixelCache
from napari_mil.slides.pixels import WHITE

Chunk = tuple[int, int]
"""(row, column) of a chunk in the lattice of chunks."""
Window = tuple[int, int, int, int]
"""(top, bottom, left, right) in pixels of a level."""
ReadWindow = Callable[[int, int, int, int], np.ndarray]
"""Reader of a window of a level.

(row, column, height, width) in pixels of the level -> uint8 (height, width, 3).
"""


class Level:
    """Lazy array of one level of a slide.

    Indexing reads just the chunks it needs. The level has what napari and dask ask of an array
    (`shape`, `dtype`, `ndim`, `size`, `chunks`, `__getitem__`, `__array__`), and takes basic slices
    of rows, columns and channels only, as a viewer asks for.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        index: int,
        size: tuple[int, int],
        chunk_size: tuple[int, int],
        read: ReadWindow,
        cache: PixelCache,
        pool: Executor | None = None,
        extent: tuple[int, int, int, int] | None = None,
        in_parts: bool = False,
    ) -> None:
        width, height = size
        self.index = index
        self.shape = (height, width, 3)
        self.extent = extent or (0, 0, width, height)
        """(column0, row0, column1, row1) outside which the level is white and nothing is read."""
        self._chunk_width = min(chunk_size[0], width)
        self._chunk_height = min(chunk_size[1], height)
        self._read = read
        self._cache = cache
        self._pool = pool
        self._in_parts = in_parts

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole level, which is never held whole."""
        return self.size

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Chunk sizes per axis, as dask writes them.

        napari widens the windows it asks for to whole chunks.
        """
        height, width, _ = self.shape
        return _split(height, self._chunk_height), _split(width, self._chunk_width), (3,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        key = _expand(key) if Ellipsis in key else (key + (slice(None),) * 3)[:3]
        rows, columns, channels = key
        row_span, drop_row = _span(rows, self.shape[0])
        column_span, drop_column = _span(columns, self.shape[1])
        window = self.window(
            row_span.start, row_span.stop, column_span.start, column_span.stop, pool=self._pool
        )
        window = window[:: row_span.step, :: column_span.step][:, :, channels]
        if drop_column:
            window = window[:, 0]
        return window[0] if drop_row else window

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype)

    def window(
        self, top: int, bottom: int, left: int, right: int, pool: Executor | None = None
    ) -> np.ndarray:
        """Read a window: uint8 (bottom - top, right - left, 3).

        Chunks that are not in the cache are decoded, on `pool` where there are several. Where the
        reader keeps what it decodes, only the needed part of a chunk is read.
        """
        if self._in_parts:
            return self._window_in_parts(top, bottom, left, right, pool)
        out = np.full((max(bottom - top, 0), max(right - left, 0), 3), WHITE, np.uint8)
        chunks = self._stored_chunks(top, bottom, left, right)
        if out.size == 0 or not chunks:
            return out
        fetch = pool.map if pool is not None and len(chunks) > 1 else map
        for (i, j), pixels in zip(chunks, fetch(self._read_chunk, chunks), strict=True):
            chunk_top = i * self._chunk_height
            chunk_left = j * self._chunk_width
            # Part of the window that this chunk covers, in pixels of the level.
            y0 = max(top, chunk_top)
            y1 = min(bottom, chunk_top + pixels.shape[0])
            x0 = max(left, chunk_left)
            x1 = min(right, chunk_left + pixels.shape[1])
            out[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[
                y0 - chunk_top : y1 - chunk_top, x0 - chunk_left : x1 - chunk_left
            ]
        return out

    def _window_in_parts(
        self, top: int, bottom: int, left: int, right: int, pool: Executor | None
    ) -> np.ndarray:
        """Read a window at once, or on `pool` the parts of it that lie in one chunk each."""
        chunks = self._stored_chunks(top, bottom, left, right)
        if chunks and (pool is None or len(chunks) == 1):
            return self._read(top, left, bottom - top, right - left)
        out = np.full((max(bottom - top, 0), max(right - left, 0), 3), WHITE, np.uint8)

        def fill(chunk: Chunk) -> None:
            y0 = max(top, chunk[0] * self._chunk_height)
            y1 = min(bottom, (chunk[0] + 1) * self._chunk_height)
            x0 = max(left, chunk[1] * self._chunk_width)
            x1 = min(right, (chunk[1] + 1) * self._chunk_width)
            out[y0 - top : y1 - top, x0 - left : x1 - left] = self._read(y0, x0, y1 - y0, x1 - x0)

        if pool is not None:
            for _ in pool.map(fill, chunks):
                pass
        return out

    def ring(self, top: int, bottom: int, left: int, right: int) -> list[Window]:
        """Return the windows of the chunks around a window, the nearest to its centre first.

        They are (top, bottom, left, right), lie within what is stored, and one chunk deep.
        """
        middle = ((top + bottom) / 2, (left + right) / 2)
        inner = set(self._stored_chunks(top, bottom, left, right))
        outer = self._stored_chunks(
            max(0, top - self._chunk_height),
            min(self.shape[0], bottom + self._chunk_height),
            max(0, left - self._chunk_width),
            min(self.shape[1], right + self._chunk_width),
        )
        windows = [self._window_of(chunk) for chunk in outer if chunk not in inner]
        return sorted(windows, key=lambda window: _distance(window, middle))

    def _window_of(self, chunk: Chunk) -> Window:
        """Return (top, bottom, left, right) of a chunk."""
        top = chunk[0] * self._chunk_height
        left = chunk[1] * self._chunk_width
        return (
            top,
            min(top + self._chunk_height, self.shape[0]),
            left,
            min(left + self._chunk_width, self.shape[1]),
        )

    def without_pool(self) -> Level:
        """Return the same level, read by the thread that asks alone."""
        twin = copy(self)
        twin._pool = None
        return twin

    def _stored_chunks(self, top: int, bottom: int, left: int, right: int) -> list[Chunk]:
        """List the chunks of a window's stored part, row by row."""
        column0, row0, column1, row1 = self.extent
        y0 = max(top, row0)
        y1 = min(bottom, row1)
        x0 = max(left, column0)
        x1 = min(right, column1)
        if y0 >= y1 or x0 >= x1:
            return []
        rows = range(y0 // self._chunk_height, math.ceil(y1 / self._chunk_height))
        columns = range(x0 // self._chunk_width, math.ceil(x1 / self._chunk_width))
        return [(i, j) for i in rows for j in columns]

    def _read_chunk(self, chunk: Chunk) -> np.ndarray:
        """Return a chunk from the cache, or decode it."""
        cached = self._cache.get((self.index, chunk))
        if cached is not None:
            return cached
        row = chunk[0] * self._chunk_height
        column = chunk[1] * self._chunk_width
        pixels = self._read(
            row,
            column,
            min(self._chunk_height, self.shape[0] - row),
            min(self._chunk_width, self.shape[1] - column),
        )
        self._cache.put((self.index, chunk), pixels)
        return pixels

    def is_white(self, top: int, bottom: int, left: int, right: int) -> bool:
        """Say whether the window lies outside of what the file stores."""
        column0, row0, column1, row1 = self.extent
        return top >= row1 or bottom <= row0 or left >= column1 or right <= column0


def chunk_size_for(tile: tuple[int, int] | None, wanted: int) -> tuple[int, int]:
    """Choose the chunk size (width, height) nearest to a wanted side.

    It is the file's tile times a power of two; strips and tiles of odd sizes give squares.
    """
    if tile is None:
        return wanted, wanted
    has_odd_size = not all(16 <= side <= 4 * wanted for side in tile)
    is_strip = max(tile) > 4 * min(tile)
    if has_odd_size or is_strip:
        return wanted, wanted
    width, height = (side * 2 ** max(0, round(math.log2(wanted / side))) for side in tile)
    return width, height


def _split(length: int, chunk: int) -> tuple[int, ...]:
    """Return the sizes of the chunks of an axis."""
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())


def _distance(window: Window, middle: tuple[float, float]) -> float:
    """Return the squared distance of the centre of a window from a point (row, column)."""
    top, bottom, left, right = window
    return ((top + bottom) / 2 - middle[0]) ** 2 + ((left + right) / 2 - middle[1]) ** 2


def _expand(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replace the ellipsis of a key by full slices."""
    at = next(k for k, part in enumerate(key) if part is Ellipsis)
    return key[:at] + (slice(None),) * (4 - len(key)) + key[at + 1 :]


def _span(part: Any, length: int) -> tuple[slice, bool]:
    """Turn the index of one axis into a slice.

    Returns
    -------
    span, dropped
        Slice with a positive step inside the axis, and whether the axis is dropped.
    """
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        if step < 1:
            raise IndexError("a level is read with positive steps only")
        return slice(start, max(start, stop), step), False
    position = int(part)
    position += length if position < 0 else 0
    if not 0 <= position < length:
        raise IndexError(f"index {part} is out of bounds for an axis of size {length}")
    return slice(position, position + 1, 1), True
