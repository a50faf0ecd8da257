"""The chain of a TIFF file's directories."""

from __future__ import annotations

import struct
from pathlib import Path

MOST_DIRECTORIES = 100_000
"""Directories of a file at most; a stack of a day has fewer."""


class BrokenChainError(Exception):
    """A directory that is not in the file, or that leads back to one before it."""


def check_chain(path: Path) -> None:
    """Walk from directory to directory without reading their entries.

    Raises
    ------
    BrokenChainError
        If the file ends before its last directory, or the chain has no end.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(16)
        order = "<" if header[:2] == b"II" else ">"
        is_big = struct.unpack(order + "H", header[2:4])[0] == 43
        count_format = order + ("Q" if is_big else "H")
        offset_format = order + ("Q" if is_big else "I")
        entry_bytes = 20 if is_big else 12
        start = 8 if is_big else 4
        (offset,) = struct.unpack_from(offset_format, header, start)
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= MOST_DIRECTORIES:
                raise BrokenChainError("its directories lead back to themselves")
            seen.add(offset)
            file.seek(offset)
            (count,) = _read(file.read(struct.calcsize(count_format)), count_format)
            end = file.tell() + count * entry_bytes
            if end > size:
                raise BrokenChainError("it is cut short: it ends before its last directory")
            file.seek(end)
            (offset,) = _read(file.read(struct.calcsize(offset_format)), offset_format)


def _read(data: bytes, layout: str) -> tuple[int, ...]:
    if len(data) < struct.calcsize(layout):
        raise BrokenChainError("it is cut short: it ends before its last directory")
    return struct.unpack(layout, data)
