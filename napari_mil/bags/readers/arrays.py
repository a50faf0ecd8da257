"""Reader of safetensors, .npy and .npz files."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_mil.bags.bag import Extraction
from napari_mil.bags.readers.beside import find_beside, refuse_side_files
from napari_mil.bags.readers.contents import COORDS, FEATURES, bag_shape, first_of, row_count
from napari_mil.bags.readers.numpy_files import read_npy, read_npz
from napari_mil.bags.readers.recognition import FileKind
from napari_mil.bags.readers.stored import PixelSide, Positions, Stored, number
from napari_mil.errors import BagError, short_cause

DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    SafetensorError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    zlib.error,
)
"""Errors that reading a damaged file may raise."""
SIDES = ("patch_size_level0", "tile_size0", "tile_size_lv0")
"""Names of numbers that are the side of a tile in level-0 pixels."""


def read(path: Path, kind: FileKind, dataset: str | None = None) -> Stored:
    """Read features and positions from a .npy, .npz or safetensors file.

    Parameters
    ----------
    path
        The file.
    kind
        Its container.
    dataset
        Name of the features where the file has several arrays.

    Raises
    ------
    BagError
        If it is damaged or holds no features.
    """
    refuse_side_files(path)
    try:
        if kind is FileKind.NPY:
            return stored_of(path, {"features": read_npy(path)})
        if kind is FileKind.NPZ:
            return stored_of(path, read_npz(path), dataset)
        return stored_of(path, _read_safetensors(path), dataset)
    except DAMAGED as error:
        raise BagError(_complaint(path, error)) from error


def shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape of the bag in a safetensors file from its header."""
    try:
        with safe_open(path, framework="np") as file:
            names = dict.fromkeys(file.keys())
            shape = file.get_slice(features_key(path, names)).get_shape()
    except DAMAGED as error:
        raise BagError(_complaint(path, error)) from error
    return bag_shape(path.name, shape)


def stored_of(path: Path, arrays: Mapping[str, Any], dataset: str | None = None) -> Stored:
    """Choose features and positions among named arrays; positions may lie beside the file."""
    features = np.asarray(arrays[features_key(path, arrays, dataset)])
    key = first_of(COORDS, arrays)
    if key is not None:
        side = first_of(SIDES, arrays)
        pixels = None if side is None else number(arrays, side)
        tile_side = None if pixels is None else PixelSide(pixels)
        return Stored(features, Positions(np.asarray(arrays[key]), path, side=tile_side))
    beside = find_beside(path, row_count(features), arrays.get("tile_index"))
    provenance = {"encoder name": beside.encoder} if beside.encoder else {}
    return Stored(
        features,
        beside.positions,
        extraction=Extraction(encoder=beside.encoder),
        provenance=provenance,
        findings=beside.findings,
    )


def features_key(path: Path, arrays: Mapping[str, Any], dataset: str | None = None) -> str:
    """Return the name of the features among named arrays.

    A single array is the features whatever its name.
    """
    names = ", ".join(sorted(map(str, arrays))) or "nothing"
    if dataset is not None:
        if dataset not in arrays:
            raise BagError(f"{path.name} has no {dataset!r} (it holds {names}); name another.")
        return dataset
    if {"x", "y"} <= set(arrays) and "features" not in arrays:
        raise BagError(
            f"{path.name} holds the positions of tiles, not their features; "
            "give the file with the features."
        )
    key = first_of(FEATURES, arrays)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        raise BagError(
            f"{path.name} holds no features (it holds {names}); give the file with the features."
        )
    return key


def _complaint(path: Path, error: BaseException) -> str:
    """Say in one sentence what is wrong with a file."""
    if "Python objects" in str(error):
        return (
            f"{path.name} was not opened: it holds Python objects, and loading them could run "
            "code; save its features as numbers."
        )
    return f"{path.name} is damaged or no feature file ({short_cause(error)}); copy it again."


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a safetensors file, and numbers of its description."""
    with safe_open(path, framework="np") as file:
        facts = file.metadata() or {}
        arrays: dict[str, Any] = {name: facts[name] for name in SIDES if name in facts}
        for name in file.keys():  # noqa: SIM118  (the file is no mapping)
            if file.get_slice(name).get_dtype() == "BF16":
                arrays[name] = _read_bfloat16(path, name)
            else:
                arrays[name] = np.asarray(file.get_tensor(name))
        return arrays


def _read_bfloat16(path: Path, name: str) -> np.ndarray:
    """Read a bfloat16 tensor as float32.

    numpy does not know bfloat16; its bits are the upper half of those of a float32.
    """
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(header_bytes))[name]
        first, end = entry["data_offsets"]
        file.seek(8 + header_bytes + first)
        halves = np.frombuffer(file.read(end - first), np.uint16)
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
