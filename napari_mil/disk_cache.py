"""Cache on disk: its size, its bound, emptying it.

Every file can be made again; it is safe to delete the cache at any time. A training run reads its
bags from there, so it holds a lease as long as it works.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from napari_mil.errors import NapariMilError
from napari_mil.files import PART

LEASE_FILE = ".in-use"
"""File that training runs lock, below the folder of the cache."""
KEPT_FOR_S = 7 * 86_400
"""Seconds without use after which a file may go while a training run is at work."""
PART_FOR_S = 86_400
"""Seconds after which a file that was never finished is taken as left behind."""


class CacheKind(StrEnum):
    """Kind of cached file, and its folder."""

    FEATURES = "features"
    """Features of slides and folders of images."""
    IMAGES = "images"
    """Tiles of slides for networks that are trained."""
    OVERVIEWS = "overviews"
    """Coarse levels of slides that store none."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache."""

    kind: CacheKind
    path: Path
    bytes: int
    used: float
    """Time of its last use, in seconds since the epoch."""


class CacheLease:
    """Keeps files used within a week in the cache as long as it is held.

    The operating system ends it with the process. Where the folder cannot be written there is
    nothing to keep.

    Parameters
    ----------
    folder
        Folder of the cache.
    """

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO | None = None
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LEASE_FILE).open("ab")
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        """End the lease; ending it again changes nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.release()


@contextmanager
def without_lease(folder: Path) -> Iterator[bool]:
    """Yield whether no training run reads from a cache; runs that begin wait meanwhile."""
    try:
        file = (folder / LEASE_FILE).open("rb")
    except FileNotFoundError:
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Held by a run; or the file system has no locks, and nobody can tell.
            yield False
        else:
            yield True


def cached_files(folder: Path, kinds: Iterable[CacheKind] = CacheKind) -> list[CachedFile]:
    """Return the files of a cache, the least recently used first.

    Files that are being written are no part of it.
    """
    found = [file for file in _all_files(folder, kinds) if not file.path.name.endswith(PART)]
    return sorted(found, key=lambda file: (file.used, file.path))


def mark_used(path: Path) -> None:
    """Record that a file of a cache was used now."""
    # A cache that cannot be written still serves.
    with suppress(OSError):
        os.utime(path)


def trim(folder: Path, most_bytes: float) -> int:
    """Delete the least recently used files until a cache fits.

    While a training run is at work, what was used within a week stays, whatever the size.

    Parameters
    ----------
    folder
        Folder of the cache.
    most_bytes
        Size it may have.

    Returns
    -------
    int
        Number of files deleted.
    """
    now = time.time()
    for file in _all_files(folder, CacheKind):
        if file.path.name.endswith(PART) and now - file.used > PART_FOR_S:
            _delete(file.path)
    excess = sum(file.bytes for file in cached_files(folder)) - most_bytes
    if excess <= 0:
        return 0
    n_deleted = 0
    with without_lease(folder) as is_free:
        kept_for = 0 if is_free else KEPT_FOR_S
        for file in cached_files(folder):
            if excess <= 0 or now - file.used < kept_for:
                break
            if _delete(file.path):
                excess -= file.bytes
                n_deleted += 1
    return n_deleted


def clear(folder: Path, kinds: Iterable[CacheKind] = CacheKind) -> list[CachedFile]:
    """Delete the files of some kinds, also those that were never finished.

    Returns
    -------
    list of CachedFile
        What is gone.

    Raises
    ------
    NapariMilError
        If a training run is at work, or a file cannot be deleted.
    """
    with without_lease(folder) as is_free:
        if not is_free:
            raise NapariMilError(
                "A training run reads from the cache; wait for it or stop it, then clear the cache."
            )
        gone = []
        for file in _all_files(folder, kinds):
            if not _delete(file.path):
                raise NapariMilError(
                    f"{file.path} cannot be deleted; check who may write to its folder."
                )
            gone.append(file)
    return gone


def _all_files(folder: Path, kinds: Iterable[CacheKind]) -> Iterator[CachedFile]:
    """Yield the files of some kinds, finished or not."""
    for kind in kinds:
        for path in (folder / kind).rglob("*"):
            # Another process may delete a file meanwhile.
            with suppress(OSError):
                facts = path.stat()
                if path.is_file():
                    yield CachedFile(kind, path, facts.st_size, facts.st_mtime)


def _delete(path: Path) -> bool:
    """Delete a file and say whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
