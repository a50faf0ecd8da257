"""Decoded tiles of one file in memory that is used again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

MOST_FREE = 8
"""Buffers that are kept without a tile in them."""


@dataclass(slots=True)
class _Slot:
    """A decoded tile and the number of its present users."""

    tile: np.ndarray
    buffer: np.ndarray
    users: int


class TileStore:
    """Most recently used tiles, bounded in bytes; safe to use from several threads.

    Fresh memory costs a third of what decoding a JPEG tile does: the kernel clears every page.
    Tiles are therefore decoded into buffers of tiles that were dropped.

    Parameters
    ----------
    capacity
        Bytes held at most; 0 keeps no tile.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._used = 0
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._free: list[np.ndarray] = []
        self._lock = threading.Lock()

    @contextmanager
    def tile(
        self,
        key: Hashable,
        shape: tuple[int, ...],
        decode: Callable[[np.ndarray], np.ndarray | None],
    ) -> Iterator[np.ndarray | None]:
        """Hold a tile for the length of a block; it must not be changed or kept.

        Parameters
        ----------
        key
            What tells tiles apart.
        shape
            Shape of a buffer, uint8, that a tile fits in.
        decode
            Decodes the tile, into the buffer it gets or not; None where nothing is stored.
        """
        slot = self._take(key)
        if slot is None:
            buffer = self._buffer(shape)
            try:
                tile = decode(buffer)
            except BaseException:
                self._give(buffer)
                raise
            if tile is None:
                self._give(buffer)
                yield None
                return
            if tile.base is not buffer and tile is not buffer:
                self._give(buffer)
                buffer = tile
            slot = self._keep(key, tile, buffer)
        try:
            yield slot.tile
        finally:
            self._leave(key, slot)

    def _take(self, key: Hashable) -> _Slot | None:
        with self._lock:
            slot = self._slots.get(key)
            if slot is not None:
                self._slots.move_to_end(key)
                slot.users += 1
            return slot

    def _keep(self, key: Hashable, tile: np.ndarray, buffer: np.ndarray) -> _Slot:
        """Store a tile with one user, unless another thread was faster."""
        slot = _Slot(tile, buffer, 1)
        with self._lock:
            if self.capacity and key not in self._slots:
                self._slots[key] = slot
                self._used += buffer.nbytes
                self._drop_unused()
        return slot

    def _drop_unused(self) -> None:
        """Drop the least recently used tiles beyond the capacity that nobody looks at."""
        for _ in range(len(self._slots)):
            if self._used <= self.capacity:
                return
            key, slot = self._slots.popitem(last=False)
            if slot.users:
                self._slots[key] = slot
                continue
            self._used -= slot.buffer.nbytes
            self._recycle(slot.buffer)

    def _leave(self, key: Hashable, slot: _Slot) -> None:
        with self._lock:
            slot.users -= 1
            if slot.users == 0 and self._slots.get(key) is not slot:
                self._recycle(slot.buffer)

    def _buffer(self, shape: tuple[int, ...]) -> np.ndarray:
        with self._lock:
            for place, buffer in enumerate(self._free):
                if buffer.shape == shape and buffer.dtype == np.uint8:
                    return self._free.pop(place)
        return np.empty(shape, np.uint8)

    def _give(self, buffer: np.ndarray) -> None:
        with self._lock:
            self._recycle(buffer)

    def _recycle(self, buffer: np.ndarray) -> None:
        """Keep memory for another tile; some decoders return memory that is not to be written."""
        if len(self._free) < MOST_FREE and buffer.flags.writeable:
            self._free.append(buffer)

    def clear(self) -> None:
        """Drop all tiles."""
        with self._lock:
            self._slots.clear()
            self._free.clear()
            self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes held now, but for free buffers."""
        return self._used
