"""Writing files so that a reader, a crash or a full disk never meets half of one; keeping a cache from growing for ever."""

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
"""How the name of a file ends that is still being written."""


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` once it is whole and on the disk, or is gone.

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
        with suppress(OSError):  # moved away; or the folder is gone, and the part with it
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder_or_nothing(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `target` once the block has ended.

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
    """Put `part` at `target`; keep what was there as `earlier` until that has happened."""
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
    """Let a file of a cache count as used now."""
    with suppress(OSError):  # a cache that cannot be written still serves
        os.utime(path)


def forget_unused(folder: Path, most_bytes: float, unused_for_s: float) -> int:
    """Take away what was not used for longest until a cache fits; nothing that was used within so many seconds. Return how many files went."""
    files = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process may be faster
            facts = path.stat()
            if path.is_file():
                files.append((facts.st_mtime, facts.st_size, path))
    excess = sum(size for _, size, _ in files) - most_bytes
    gone = 0
    for used, size, path in sorted(files):
        if excess <= 0 or time.time() - used < unused_for_s:
            break
        with suppress(OSError):
            path.unlink()
            excess, gone = excess - size, gone + 1
    return gone
