"""Reading of .npy and .npz files without pickles, at the speed of the disk."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

LARGEST_COMPRESSION = 1100
"""Largest ratio that deflate reaches, so that a larger one is a damaged header."""


def read_npy(path: Path) -> np.ndarray:
    """Read an array.

    Raises
    ------
    ValueError
        If it is damaged or holds Python objects.
    """
    with path.open("rb") as file:
        return _read_array(file, path.stat().st_size)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an archive by name.

    Raises
    ------
    ValueError, zipfile.BadZipFile
        If it is damaged or holds Python objects.
    """
    arrays = {}
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
                arrays[name] = _read_stored(path, member)
            else:
                arrays[name] = _read_compressed(archive, member)
    return arrays


def _read_stored(path: Path, member: zipfile.ZipInfo) -> np.ndarray:
    """Read an array that lies in an archive as it is, straight from the file."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        local = file.read(30)
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        first = member.header_offset + 30 + lengths
        file.seek(first)
        return _read_array(file, first + member.file_size)


def _read_compressed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read an array that is compressed in an archive."""
    if member.file_size > LARGEST_COMPRESSION * max(member.compress_size, 1):
        raise ValueError(f"{member.filename} says it holds more than it can")
    with archive.open(member) as file:
        shape, is_fortran, dtype = _read_header(file)
        content = file.read()
    n = math.prod(shape)
    if len(content) != n * dtype.itemsize:
        raise ValueError(f"{member.filename} is cut short")
    values = np.frombuffer(content, dtype, n)
    return values.reshape(shape, order="F" if is_fortran else "C")


def _read_array(file: IO[bytes], end: int) -> np.ndarray:
    """Read an array that ends at a place of an open file."""
    shape, is_fortran, dtype = _read_header(file)
    n = math.prod(shape)
    if file.tell() + n * dtype.itemsize > end:
        raise ValueError("the array is cut short")
    values = np.fromfile(file, dtype, n)
    return values.reshape(shape, order="F" if is_fortran else "C")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, order and type of an array; Python objects are refused."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format is unknown")
    try:
        with warnings.catch_warnings():
            # Headers of Python 2 are warned about, and read.
            warnings.simplefilter("ignore", UserWarning)
            shape, is_fortran, dtype = read(file)
    except (SyntaxError, tokenize.TokenError, RecursionError) as error:
        raise ValueError("its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0:
        raise ValueError(f"the shape {shape} is none")
    return shape, is_fortran, dtype
