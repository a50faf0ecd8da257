"""Writing files and folders whole or not at all.

A reader, a crash or a full disk never leaves half of a file.
"""

from __future__ import annotations

import os
import shutil
import threading
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
    part = _part_of(path)
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
    part = _part_of(target)
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


def _part_of(path: Path) -> Path:
    """Return the place to write to, a different one in every thread of every process."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}{PART}")


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
