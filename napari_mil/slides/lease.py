"""Lease of a file that several slides share."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Lease:
    """Count of the users of one file; the last closes it.

    Parameters
    ----------
    close
        Frees the file; called exactly once, by the last user.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._users = 1

    def add_user(self) -> None:
        """Count one user more."""
        with self._lock:
            self._users += 1

    def remove_user(self) -> bool:
        """Count one user less and return whether it was the last.

        The file is closed with the last user.
        """
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self._close()
        return is_last
