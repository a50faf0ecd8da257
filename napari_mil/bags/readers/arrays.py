"""Reader of safetensors, .npy and .npz files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import (
    COORDS,
    FEATURES,
    bag_of,
    first_of,
    instance_count,
)
from napari_mil.errors import BagError, short_cause

DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    SafetensorError,
    TypeError,
    MemoryError,
)
"""Errors that reading a damaged file may raise."""


def kind_of_zip(path: Path) -> str:
    """Return ``npz`` or ``torch``, both of which are zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise BagError(f"{path.name} is cut short or damaged; copy it again.") from error
    return "npz" if names and all(name.endswith(".npy") for name in names) else "torch"


def read(path: Path, kind: str) -> Bag:
    """Read a bag from a file of kind ``npy``, ``npz`` or ``safetensors``."""
    try:
        if kind == "npy":
            return bag_of(path.name, np.load(path, allow_pickle=False))
        if kind == "npz":
            with np.load(path, allow_pickle=False) as archive:
                return _bag_from(path, {name: archive[name] for name in archive.files})
        return _bag_from(path, _read_safetensors(path))
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is damaged or no feature file ({short_cause(error)}); copy it again."
        ) from error


def count(path: Path) -> int:
    """Return the number of instances of a safetensors file from its header."""
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            shape = file.get_slice(_features_key(path, dict.fromkeys(names))).get_shape()
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is damaged or no feature file ({short_cause(error)}); copy it again."
        ) from error
    return instance_count(path.name, shape)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a safetensors file as arrays."""
    with safe_open(path, framework="np") as file:
        names = list(file.keys())
        dtypes = {name: file.get_slice(name).get_dtype() for name in names}
        arrays = {}
        for name, dtype in dtypes.items():
            if dtype == "BF16":
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


def _bag_from(path: Path, arrays: dict[str, np.ndarray]) -> Bag:
    """Make a bag of the features and coordinates among named arrays."""
    key = first_of(COORDS, arrays)
    coords = None if key is None else arrays[key]
    return bag_of(path.name, arrays[_features_key(path, arrays)], coords)


def _features_key(path: Path, arrays: dict[str, Any]) -> str:
    """Return the name of the features among named arrays.

    A single array is the features whatever its name.
    """
    key = first_of(FEATURES, arrays)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        names = ", ".join(sorted(arrays)) or "nothing"
        raise BagError(
            f"{path.name} holds no features (it holds {names}); give the file with the features."
        )
    return key
