"""A native file handle that several threads read and any may close."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_mil.errors import UnreadableSlideError


class SharedHandle:
    """Closes the file once asked to and once nobody reads: a native reader that is closed under a read takes the process with it.

    Parameters
    ----------
    name
        The slide's file name, for the message of a read that comes too late.
    close
        What frees the file; called exactly once, by `close` or by the last reader.
    """

    def __init__(self, name: str, close: Callable[[], None]) -> None:
        self._name, self._free = name, close
        self._lock = threading.Lock()
        self._readers, self._closed = 0, False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the file open for the length of a block.

        Raises
        ------
        UnreadableSlideError
            If it was closed before.
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
            last = self._closed and self._readers == 0
        if last:
            self._free()

    def close(self) -> None:
        """Let no new read begin; never waits for those that run."""
        with self._lock:
            now = not self._closed and self._readers == 0
            self._closed = True
        if now:
            self._free()
