"""Recognition of feature files by their content."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path

from napari_mil.bags.readers import tables
from napari_mil.errors import BagError
from napari_mil.slides.folders import is_zarr

LONGEST_HEADER = 100_000_000
"""Size limit of the header of a safetensors file, bytes."""


class FileKind(StrEnum):
    """Container of features."""

    HDF5 = "HDF5"
    SAFETENSORS = "safetensors"
    NPY = ".npy"
    NPZ = ".npz"
    TORCH = "a file of torch.save"
    TABLE = "a table"
    ZARR = "Zarr"


def kind_of(path: Path) -> FileKind:
    """Recognise the container of features by its first bytes.

    Raises
    ------
    BagError
        If it is none that is known, empty, or cannot be read.
    """
    if path.is_dir():
        if is_zarr(path):
            return FileKind.ZARR
        raise BagError(f"{path.name} is a folder without features; give a file of it.")
    try:
        with path.open("rb") as opened:
            start = opened.read(tables.START)
        size = path.stat().st_size
    except OSError as error:
        raise BagError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    if size == 0:
        raise BagError(f"{path.name} is empty; extract its features again.")
    kind = _kind_of_bytes(path, start, size)
    if kind is not None:
        return kind
    if b"image_raw" in start:
        raise BagError(
            f"{path.name} holds the images of tiles, not features; "
            "give the bag that was made of them."
        )
    raise BagError(
        f"{path.name} is no feature file that is known here; "
        "use HDF5, safetensors, .pt, .npy, .npz, .csv or Zarr."
    )


def _kind_of_bytes(path: Path, start: bytes, size: int) -> FileKind | None:
    """Return the container that begins with some bytes, or None."""
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return FileKind.HDF5
    if start.startswith(b"\x93NUMPY"):
        return FileKind.NPY
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= min(size - 8, LONGEST_HEADER):
        return FileKind.SAFETENSORS
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return FileKind.TORCH
    return FileKind.TABLE if tables.is_table(start) else None


def _kind_of_zip(path: Path) -> FileKind:
    """Tell arrays from tensors, both of which lie in zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BagError(f"{path.name} is cut short or damaged; copy it again.") from error
    if names and all(name.endswith(".npy") for name in names):
        return FileKind.NPZ
    if any(name.endswith("data.pkl") for name in names):
        return FileKind.TORCH
    raise BagError(
        f"{path.name} is an archive without features; archives are not opened, unpack it."
    )
