"""A pyramid level as a lazily indexed, thread-safe array over a shared cache of decoded chunks."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np

Chunk = tuple[int, int]
ReadWindow = Callable[[int, int, int, int], np.ndarray]
"""(row, column, height, width) in pixels of the level -> uint8 (height, width, 3)."""
WHITE = 255


class ChunkCache:
    """The most recently used chunks of all levels of one slide, bounded in bytes."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._used = 0
        self._chunks: OrderedDict[tuple[int, Chunk], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, level: int, chunk: Chunk) -> np.ndarray | None:
        """Return the chunk if it is held, as the most recently used from now on."""
        with self._lock:
            pixels = self._chunks.get((level, chunk))
            if pixels is not None:
                self._chunks.move_to_end((level, chunk))
            return pixels

    def put(self, level: int, chunk: Chunk, pixels: np.ndarray) -> None:
        """Hold the chunk and let go of the least recently used ones beyond the capacity."""
        with self._lock:
            replaced = self._chunks.pop((level, chunk), None)
            self._used += pixels.nbytes - (replaced.nbytes if replaced is not None else 0)
            self._chunks[(level, chunk)] = pixels
            while self._used > self._capacity and len(self._chunks) > 1:
                _, dropped = self._chunks.popitem(last=False)
                self._used -= dropped.nbytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._chunks.clear()
            self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._used


class Level:
    """One level of a slide: indexing reads just the chunks it needs.

    It has what napari and dask ask of an array (`shape`, `dtype`, `ndim`, `size`, `chunks`, `__getitem__`, `__array__`);
    basic slices of rows, columns and channels only, as a viewer asks for.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        index: int,
        size: tuple[int, int],
        chunk_size: tuple[int, int],
        read: ReadWindow,
        cache: ChunkCache,
        pool: Executor | None = None,
        extent: tuple[int, int, int, int] | None = None,
    ) -> None:
        width, height = size
        self.index = index
        self.shape = (height, width, 3)
        self.extent = extent or (0, 0, width, height)
        """(column0, row0, column1, row1) outside which the level is white and nothing is read."""
        self._chunk_width, self._chunk_height = (
            min(chunk_size[0], width),
            min(chunk_size[1], height),
        )
        self._read, self._cache, self._pool = read, cache, pool

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes if it were held whole, which it never is."""
        return self.size

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Chunk sizes per axis, as dask writes them; napari widens what it asks for to whole chunks."""
        height, width, _ = self.shape
        return _split(height, self._chunk_height), _split(width, self._chunk_width), (3,)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        rows, columns, channels = (
            (key + (slice(None),) * 3)[:3] if Ellipsis not in key else _expand(key)
        )
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
        """Return uint8 (bottom - top, right - left, 3); chunks not yet held are decoded, on `pool` where there are several."""
        column0, row0, column1, row1 = self.extent
        y0, y1, x0, x1 = max(top, row0), min(bottom, row1), max(left, column0), min(right, column1)
        out = np.full((max(bottom - top, 0), max(right - left, 0), 3), WHITE, np.uint8)
        if out.size == 0 or y0 >= y1 or x0 >= x1:
            return out
        wanted = [
            (i, j)
            for i in range(y0 // self._chunk_height, -(-y1 // self._chunk_height))
            for j in range(x0 // self._chunk_width, -(-x1 // self._chunk_width))
        ]
        fetch = pool.map if pool is not None and len(wanted) > 1 else map
        for (i, j), pixels in zip(wanted, fetch(self._chunk, wanted), strict=True):
            y, x = i * self._chunk_height, j * self._chunk_width
            y0, y1 = max(top, y), min(bottom, y + pixels.shape[0])
            x0, x1 = max(left, x), min(right, x + pixels.shape[1])
            out[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[
                y0 - y : y1 - y, x0 - x : x1 - x
            ]
        return out

    def _chunk(self, chunk: Chunk) -> np.ndarray:
        held = self._cache.get(self.index, chunk)
        if held is not None:
            return held
        row, column = chunk[0] * self._chunk_height, chunk[1] * self._chunk_width
        pixels = self._read(
            row,
            column,
            min(self._chunk_height, self.shape[0] - row),
            min(self._chunk_width, self.shape[1] - column),
        )
        self._cache.put(self.index, chunk, pixels)
        return pixels

    def is_white(self, top: int, bottom: int, left: int, right: int) -> bool:
        """Say whether the window lies outside what the file stores, so that nothing needs to be read."""
        column0, row0, column1, row1 = self.extent
        return top >= row1 or bottom <= row0 or left >= column1 or right <= column0


def chunk_size_for(tile: tuple[int, int] | None, wanted: int) -> tuple[int, int]:
    """Return the (width, height) nearest to `wanted` that is the file's tile times a power of two; strips and odd tiles give squares."""
    if (
        tile is None
        or not all(16 <= side <= 4 * wanted for side in tile)
        or max(tile) > 4 * min(tile)
    ):
        return wanted, wanted
    width, height = (side * 2 ** max(0, round(math.log2(wanted / side))) for side in tile)
    return width, height


def _split(length: int, chunk: int) -> tuple[int, ...]:
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())


def _expand(key: tuple[Any, ...]) -> tuple[Any, ...]:
    at = next(k for k, part in enumerate(key) if part is Ellipsis)
    return key[:at] + (slice(None),) * (4 - len(key)) + key[at + 1 :]


def _span(part: Any, length: int) -> tuple[slice, bool]:
    """Return (slice with a positive step inside the axis, whether the axis is dropped)."""
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
