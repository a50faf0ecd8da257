"""Writing files and folders whole or not at all; trimming a cache.

A reader, a crash or a full disk never leaves half of a file.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EARLIER = ".earlier"
"""Ending of a folder that is being replaced."""
PART = ".part"
"""Ending of a file or folder that is still being written."""


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, moved to `path` afterwards.

    It takes the place of `path` once it is whole and on the disk, and is removed otherwise.

    Raises
    ------
    OSError
        If it cannot be written or moved; what was at `path` before is untouched then.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        # After the move there is nothing to remove; or the whole folder is gone.
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder_or_nothing(target: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, moved to `target` afterwards.

    It takes the place of `target` once the block has ended without an error.

    Raises
    ------
    OSError
        If it cannot be filled or moved; what was at `target` before is there again then.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}{PART}")
    earlier = target.with_name(f".{target.name}{EARLIER}")
    if earlier.exists() and not target.exists():
        # A process was killed between the two renames below.
        earlier.rename(target)
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        _swap_folders(part, target, earlier)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _swap_folders(part: Path, target: Path, earlier: Path) -> None:
    """Put `part` at `target`, keeping the old folder meanwhile.

    What was at `target` stays as `earlier` until the move has happened.
    """
    shutil.rmtree(earlier, ignore_errors=True)
    replaces = os.path.lexists(target)
    if replaces:
        target.rename(earlier)
    try:
        part.rename(target)
    except OSError:
        if replaces:
            earlier.rename(target)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def mark_used(path: Path) -> None:
    """Record that a file of a cache was used now."""
    # A cache that cannot be written still serves.
    with suppress(OSError):
        os.utime(path)


def forget_unused(folder: Path, most_bytes: float, unused_for_s: float) -> int:
    """Delete the least recently used files until a cache fits.

    Parameters
    ----------
    folder
        Folder of the cache, subfolders included.
    most_bytes
        Size it may have.
    unused_for_s
        Files used within so many seconds stay, whatever the size.

    Returns
    -------
    int
        Number of files deleted.
    """
    files = []
    for path in folder.rglob("*"):
        # Another process may delete a file meanwhile.
        with suppress(OSError):
            facts = path.stat()
            if path.is_file():
                files.append((facts.st_mtime, facts.st_size, path))
    excess = sum(size for _, size, _ in files) - most_bytes
    n_deleted = 0
    for used, size, path in sorted(files):
        if excess <= 0 or time.time() - used < unused_for_s:
            break
        with suppress(OSError):
            path.unlink()
            excess -= size
            n_deleted += 1
    return n_deleted
