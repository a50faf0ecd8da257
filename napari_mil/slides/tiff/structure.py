"""Byte structure of TIFF files: where directories stand and how their numbers are stored."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO


class ShortFileError(Exception):
    """A file that ends within a number."""


@dataclass(frozen=True, slots=True)
class Structure:
    """How a TIFF file stores its numbers."""

    order: str
    """``<`` or ``>``, as `struct` has it."""
    is_big: bool
    """Whether it is a BigTIFF, with positions of 8 bytes."""

    @property
    def start(self) -> int:
        """Place of the first directory's position."""
        return 8 if self.is_big else 4

    @property
    def position(self) -> str:
        """Format of a position in the file."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def count(self) -> str:
        """Format of the number of entries of a directory."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def entry(self) -> str:
        """Format of an entry: tag, type, number of values, and the value or its position."""
        return self.order + ("HHQ8s" if self.is_big else "HHI4s")

    @property
    def entry_bytes(self) -> int:
        """Bytes of an entry."""
        return struct.calcsize(self.entry)


MAGIC = {
    b"II*\0": Structure("<", False),
    b"II+\0": Structure("<", True),
    b"MM\0*": Structure(">", False),
    b"MM\0+": Structure(">", True),
}
"""First bytes of TIFF and BigTIFF files, and what they say."""


def read_structure(file: BinaryIO) -> Structure | None:
    """Read the first bytes of a file; None where it is no TIFF."""
    return MAGIC.get(file.read(4))


def read_number(file: BinaryIO, layout: str) -> int:
    """Read one whole number.

    Raises
    ------
    ShortFileError
        If the file ends before it.
    """
    data = file.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise ShortFileError
    return int(struct.unpack(layout, data)[0])
