"""Reader of feature files of `torch.save`.

They hold a tensor, an array, a dictionary, a list of vectors, or (features, coordinates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.readers.arrays import SIDES, stored_of
from napari_mil.bags.readers.contents import COORDS, FEATURES, first_of
from napari_mil.bags.readers.stored import Stored
from napari_mil.errors import BagError
from napari_mil.pickles import load_pickle


def read(path: Path, dataset: str | None = None) -> Stored:
    """Read a bag from a tensor, an array, a dictionary or a list.

    Parameters
    ----------
    path
        The file.
    dataset
        Key of the features where a dictionary has several.

    Raises
    ------
    BagError
        If it holds no features.
    CheckpointError
        If it is damaged, or holds anything but tensors and numbers.
    """
    content = load_pickle(path)
    if isinstance(content, Mapping):
        return stored_of(path, _arrays_of(path, content, dataset), dataset)
    features, coords = _features_and_coords(content)
    arrays = {"features": _as_matrix(path, features)}
    if coords is not None:
        arrays["coords"] = _as_array(path, coords)
    return stored_of(path, arrays)


def _arrays_of(path: Path, content: Mapping[Any, Any], dataset: str | None) -> dict[str, Any]:
    """Return the arrays of a dictionary that a bag is made of."""
    features_key = dataset if dataset in content else first_of(FEATURES, content)
    if features_key is None:
        names = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise BagError(
            f"{path.name} holds no features (it holds {names}); "
            "give the file with the features, not a checkpoint."
        )
    arrays = {features_key: _as_matrix(path, content[features_key])}
    coords_key = first_of(COORDS, content)
    for key in (coords_key, "tile_index"):
        if key is not None and content.get(key) is not None:
            arrays[key] = _as_matrix(path, content[key])
    return arrays | {key: content[key] for key in SIDES if key in content}


def _features_and_coords(content: Any) -> tuple[Any, Any]:
    """Split the content of a file into features and coordinates, or None."""
    if isinstance(content, tuple) and len(content) == 2:
        features, coords = content
        if getattr(coords, "ndim", 0) == 2 and coords.shape[1] == 2:
            return features, coords
    return content, None


def _as_matrix(path: Path, values: Any) -> np.ndarray:
    """Return a tensor, an array, or a list of vectors as one array."""
    if isinstance(values, (list, tuple)):
        return _stack_vectors(path, values)
    return _as_array(path, values)


def _stack_vectors(path: Path, vectors: Sequence[Any]) -> np.ndarray:
    """Stack the vectors of a list as rows."""
    if not vectors:
        raise BagError(f"{path.name} holds no instance; extract its features again.")
    if all(isinstance(row, list | tuple) for row in vectors):
        return _stack_vectors(path, [_numbers(path, row) for row in vectors])
    rows = [_as_array(path, vector) for vector in vectors]
    if len({row.shape for row in rows}) > 1:
        raise BagError(f"{path.name} holds vectors of several lengths; extract its features again.")
    return np.stack(rows)


def _numbers(path: Path, row: Sequence[Any]) -> np.ndarray:
    """Return a list of numbers as an array."""
    if not all(isinstance(value, int | float) for value in row):
        raise BagError(f"{path.name} holds lists of other things than numbers.")
    return np.array(row, np.float64)


def _as_array(path: Path, value: Any) -> np.ndarray:
    """Return a tensor or an array as an array."""
    if isinstance(value, np.ndarray):
        return value
    if not hasattr(value, "detach"):
        raise BagError(
            f"{path.name} holds a {type(value).__name__} instead of features; "
            "give the file with the features."
        )
    tensor = value.detach()
    try:
        # numpy does not know bfloat16.
        if tensor.is_floating_point():
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise BagError(
            f"{path.name} holds a sparse, quantized or empty tensor; save it as a plain one."
        ) from error
