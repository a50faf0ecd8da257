"""Reading of HDF5 datasets of many small chunks at the speed of the disk.

TRIDENT stores a chunk a row, which the library reads one by one. Chunks without a filter lie in
the file as they are in memory, most of them one behind the other.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from napari_mil.errors import BagError

FEWEST_CHUNKS = 64
"""Chunks from which reading them directly is worth while."""
LARGEST_COMPRESSION = 1100
"""Largest ratio that deflate reaches, so that a larger one is a damaged header."""


def read_dataset(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """Read a dataset whole.

    Parameters
    ----------
    path
        File of the dataset.
    dataset
        Open dataset of any shape.

    Raises
    ------
    BagError
        If the file holds less than the dataset claims.
    """
    check_size(path, dataset)
    if not _is_plain(dataset):
        return np.asarray(dataset[...])
    offsets = _offsets_of_chunks(dataset)
    size = _bytes_of_chunk(dataset)
    end = path.stat().st_size
    if offsets is None or offsets.min() <= 0 or offsets.max() + size > end:
        return np.asarray(dataset[...])
    return _read_chunks(path, dataset, offsets)


def check_size(path: Path, dataset: h5py.Dataset) -> None:
    """Refuse a dataset that claims more than its file can hold, or that lies in other files."""
    if dataset.external or dataset.is_virtual or Path(dataset.file.filename) != path:
        raise BagError(
            f"{path.name} keeps its numbers in other files; give a file that holds them."
        )
    claimed = math.prod(dataset.shape or (0,)) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if claimed > max(stored, 1) * LARGEST_COMPRESSION or stored > path.stat().st_size:
        raise BagError(
            f"{path.name} says it holds {dataset.shape} numbers and does not; copy it again."
        )


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Say whether a dataset has many whole rows in chunks without filters."""
    chunks = dataset.chunks
    if chunks is None or dataset.ndim != 2 or chunks[1] != dataset.shape[1]:
        return False
    if dataset.dtype.kind not in "fiu" or len(dataset) < FEWEST_CHUNKS * chunks[0]:
        return False
    plist = dataset.id.get_create_plist()
    return plist.get_nfilters() == 0 and dataset.file.userblock_size == 0


def _bytes_of_chunk(dataset: h5py.Dataset) -> int:
    """Return the bytes of a chunk."""
    return math.prod(dataset.chunks) * dataset.dtype.itemsize


def _offsets_of_chunks(dataset: h5py.Dataset) -> np.ndarray | None:
    """Return the place of each chunk in the file, int64; None where one is missing."""
    # Arrays rather than a list: keeping an object a chunk would set off the garbage collector.
    rows = array("q")
    places = array("q")

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        rows.append(chunk.chunk_offset[0])
        places.append(chunk.byte_offset)

    dataset.id.chunk_iter(note)
    n = math.ceil(len(dataset) / dataset.chunks[0])
    if len(rows) != n or dataset.id.get_storage_size() != n * _bytes_of_chunk(dataset):
        return None
    which = np.frombuffer(rows, np.int64) // dataset.chunks[0]
    if which.min() < 0 or which.max() >= n:
        return None
    offsets = np.zeros(n, np.int64)
    offsets[which] = np.frombuffer(places, np.int64)
    return offsets


def _read_chunks(path: Path, dataset: h5py.Dataset, offsets: np.ndarray) -> np.ndarray:
    """Read chunks, neighbours in the file at once."""
    rows = dataset.chunks[0]
    matrix = np.empty((len(offsets) * rows, dataset.shape[1]), dataset.dtype)
    target = matrix.reshape(-1).view(np.uint8).data
    size = _bytes_of_chunk(dataset)
    with path.open("rb", buffering=0) as file:
        for first, end in _runs(offsets, size):
            file.seek(int(offsets[first]))
            part = target[first * size : end * size]
            while part:
                n_read = file.readinto(part)
                if not n_read:
                    raise BagError(f"{path.name} is cut short; copy it again.")
                part = part[n_read:]
    return matrix[: len(dataset)]


def _runs(offsets: np.ndarray, size: int) -> Iterator[tuple[int, int]]:
    """Yield runs of chunks that follow each other in the file as (first, end)."""
    breaks = np.flatnonzero(np.diff(offsets) != size) + 1
    edges = [0, *breaks.tolist(), len(offsets)]
    yield from pairwise(edges)
