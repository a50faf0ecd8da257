"""Writing files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` once it is whole and on the disk, or is gone.

    Raises
    ------
    OSError
        If it cannot be written or moved; what was at `path` before is untouched then.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):  # moved away; or the folder is gone, and the part with it
            part.unlink(missing_ok=True)
