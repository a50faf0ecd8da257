"""Cache of decoded pixels."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np


class PixelCache:
    """Most recently used arrays of pixels, bounded in bytes; safe to use from several threads.

    Parameters
    ----------
    capacity
        Bytes held at most; 0 keeps nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._used = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> np.ndarray | None:
        """Return an array and mark it as used, or None."""
        with self._lock:
            pixels = self._arrays.get(key)
            if pixels is not None:
                self._arrays.move_to_end(key)
            return pixels

    def put(self, key: Hashable, pixels: np.ndarray) -> None:
        """Store an array; drop the least recently used beyond the capacity."""
        if self.capacity == 0:
            return
        with self._lock:
            replaced = self._arrays.pop(key, None)
            self._used += pixels.nbytes - (replaced.nbytes if replaced is not None else 0)
            self._arrays[key] = pixels
            while self._used > self.capacity and len(self._arrays) > 1:
                _, dropped = self._arrays.popitem(last=False)
                self._used -= dropped.nbytes

    def clear(self) -> None:
        """Drop all arrays."""
        with self._lock:
            self._arrays.clear()
            self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._used
