"""Native file handle shared by reading threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_mil.errors import UnreadableSlideError


class SharedHandle:
    """Handle that closes its file after the last running read.

    Several threads read and any may close. A native reader that is closed during a read crashes
    the whole process.

    Parameters
    ----------
    name
        The slide's file name, for the message of a read that comes too late.
    close
        Frees the file; called exactly once, by `close` or by the last reader.
    """

    def __init__(self, name: str, close: Callable[[], None]) -> None:
        self._name = name
        self._free = close
        self._lock = threading.Lock()
        self._readers = 0
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the file open for the length of a block.

        Raises
        ------
        UnreadableSlideError
            If the file was closed before.
        """
        with self._lock:
            if self._closed:
                raise UnreadableSlideError(
                    f"{self._name} was closed while it was still being read; open it again."
                )
            self._readers += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._readers -= 1
            must_free = self._closed and self._readers == 0
        if must_free:
            self._free()

    def close(self) -> None:
        """Refuse new reads and free the file after the last one.

        It never waits for reads that run.
        """
        with self._lock:
            must_free = not self._closed and self._readers == 0
            self._closed = True
        if must_free:
            self._free()
