"""The chain of a TIFF file's directories."""

from __future__ import annotations

from pathlib import Path

from napari_mil.slides.tiff.structure import ShortFileError, read_number, read_structure

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
    try:
        _walk(path)
    except ShortFileError:
        raise BrokenChainError("it is cut short: it ends before its last directory") from None


def _walk(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        structure = read_structure(file)
        if structure is None:
            raise BrokenChainError("it does not begin like a TIFF")
        file.seek(structure.start)
        offset = read_number(file, structure.position)
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= MOST_DIRECTORIES:
                raise BrokenChainError("its directories lead back to themselves")
            seen.add(offset)
            if offset >= size:
                raise ShortFileError
            file.seek(offset)
            n_entries = read_number(file, structure.count)
            end = file.tell() + n_entries * structure.entry_bytes
            if end > size:
                raise ShortFileError
            file.seek(end)
            offset = read_number(file, structure.position)
