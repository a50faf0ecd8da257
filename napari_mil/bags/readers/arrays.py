"""safetensors, .npy and .npz."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import COORDS, FEATURES, bag_of, first_of
from napari_mil.errors import BagError

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


def kind_of_zip(path: Path) -> str:
    """Return ``npz`` or ``torch``: both are zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise BagError(f"{path.name} is cut short or damaged; copy it again.") from error
    return "npz" if names and all(name.endswith(".npy") for name in names) else "torch"


def read(path: Path, kind: str) -> Bag:
    """Read a bag; see `read_bag`."""
    try:
        if kind == "npy":
            return bag_of(path.name, np.load(path, allow_pickle=False))
        if kind == "npz":
            with np.load(path, allow_pickle=False) as archive:
                return _from_arrays(path, {name: archive[name] for name in archive.files})
        return _from_arrays(path, _tensors(path))
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is damaged or no feature file ({' '.join(str(error).split())[:100]}); copy it again."
        ) from error


def count(path: Path) -> int:
    """Return the number of instances of a safetensors file from its header."""
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            shape = file.get_slice(_features_key(path, dict.fromkeys(names))).get_shape()
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is damaged or no feature file ({' '.join(str(error).split())[:100]}); copy it again."
        ) from error
    if len(shape) < 2 or 0 in shape:
        raise BagError(
            f"{path.name} holds {'no instance' if 0 in shape else 'one vector instead of instances'}; extract its features again."
        )
    return int(shape[1] if len(shape) == 3 and shape[0] == 1 else shape[0])


def _tensors(path: Path) -> dict[str, np.ndarray]:
    with safe_open(path, framework="np") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}
        return {
            name: _upper_halves(path, name) if kind == "BF16" else np.asarray(file.get_tensor(name))
            for name, kind in kinds.items()
        }


def _upper_halves(path: Path, name: str) -> np.ndarray:
    """Read a bfloat16 tensor, which numpy does not know: its bits are the upper half of a float32's."""
    with path.open("rb") as file:
        start = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(start))[name]
        first, end = entry["data_offsets"]
        file.seek(8 + start + first)
        halves = np.frombuffer(file.read(end - first), np.uint16)
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Bag:
    coords = first_of(COORDS, arrays)
    return bag_of(
        path.name, arrays[_features_key(path, arrays)], None if coords is None else arrays[coords]
    )


def _features_key(path: Path, arrays: dict[str, Any]) -> str:
    key = first_of(FEATURES, arrays)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        raise BagError(
            f"{path.name} holds no features (it holds {', '.join(sorted(arrays)) or 'nothing'}); give the file with the features."
        )
    return key
