"""The first directory of a TIFF file, read in 0.1 ms: enough to know a plain picture."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = {b"II*\0": "<", b"II+\0": "<", b"MM\0*": ">", b"MM\0+": ">"}
"""First bytes of TIFF and BigTIFF files, and the byte order that they say."""
MOST_ENTRIES = 4096
LONGEST_DESCRIPTION = 10_000_000
"""Bytes of a description that are looked at."""
NUMBER_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Types of tags that hold whole numbers, and how they are stored."""
WIDTH, HEIGHT, BITS, DESCRIPTION, ORIENTATION, UIC = 256, 257, 258, 270, 274, 33629
USED = frozenset((WIDTH, HEIGHT, BITS, DESCRIPTION, ORIENTATION, UIC))
IMAGEJ_COUNT = re.compile(rb"\nimages=(\d+)")
OTHER_FILES = re.compile(rb'FileName="([^"]*)"')


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the first directory of a TIFF says."""

    size: tuple[int, int]
    """(width, height) in pixels, upright."""
    bits: int
    """Bits of a sample as stored."""
    is_plain: bool
    """Whether nothing hints at further pages or files."""


def read_header(path: Path) -> TiffHeader | None:
    """Read the first directory of a TIFF, or return None where there is none.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        order = MAGIC.get(file.read(4))
        if order is None:
            return None
        try:
            return _read_header(file, order)
        except (struct.error, KeyError):
            return None


def _read_header(file: BinaryIO, order: str) -> TiffHeader:
    file.seek(2)
    is_big = struct.unpack(order + "H", file.read(2))[0] == 43
    count_format, offset_format = ("Q", "Q") if is_big else ("H", "I")
    file.seek(8 if is_big else 4)
    (offset,) = _unpack(file, order + offset_format)
    file.seek(offset)
    (n_entries,) = _unpack(file, order + count_format)
    if n_entries > MOST_ENTRIES:
        raise struct.error
    size = 20 if is_big else 12
    entries = file.read(size * n_entries)
    (following,) = _unpack(file, order + offset_format)
    layout = f"{order}HH{offset_format}{8 if is_big else 4}s"
    tags = {code: tag for code, *tag in struct.iter_unpack(layout, entries) if code in USED}
    values = {
        code: _number(file, order + offset_format, *tags[code])
        for code in (WIDTH, HEIGHT, BITS, ORIENTATION)
        if code in tags
    }
    width, height = values[WIDTH], values[HEIGHT]
    if values.get(ORIENTATION, 1) >= 5:
        width, height = height, width
    is_plain = not following and UIC not in tags
    if is_plain and DESCRIPTION in tags:
        is_plain = _is_of_one_plane(_text(file, order + offset_format, *tags[DESCRIPTION]))
    return TiffHeader((width, height), values.get(BITS, 1), is_plain)


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _number(file: BinaryIO, offset_layout: str, kind: int, count: int, value: bytes) -> int:
    """Return the first number of a tag."""
    layout = offset_layout[0] + NUMBER_FORMATS[kind]
    size = struct.calcsize(layout)
    if size * count > len(value):
        file.seek(struct.unpack(offset_layout, value)[0])
        value = file.read(size)
    return int(struct.unpack(layout, value[:size])[0])


def _text(file: BinaryIO, offset_layout: str, kind: int, count: int, value: bytes) -> bytes:
    if count <= len(value):
        return value[:count]
    file.seek(struct.unpack(offset_layout, value)[0])
    return file.read(min(count, LONGEST_DESCRIPTION))


def _is_of_one_plane(description: bytes) -> bool:
    """Say whether a description names no plane beside that of its directory."""
    if description.startswith(b"ImageJ="):
        found = IMAGEJ_COUNT.search(description)
        return found is None or int(found[1]) <= 1
    if b"<BinaryOnly" in description:
        return False
    return len(set(OTHER_FILES.findall(description))) <= 1
