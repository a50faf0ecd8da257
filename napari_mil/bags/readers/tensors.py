"""Reader of feature files of `torch.save`.

They hold a tensor, an array, a dictionary, a list of vectors, or (features, coordinates).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import COORDS, FEATURES, bag_of, first_of
from napari_mil.errors import BagError
from napari_mil.pickles import load_pickle


def read(path: Path) -> Bag:
    """Read a bag from a tensor, an array, a dictionary or a list."""
    features, coords = _features_and_coords(path, load_pickle(path))
    if isinstance(features, (list, tuple)):
        features = _stack_vectors(path, features)
    corners = None if coords is None else _as_array(path, coords)
    return bag_of(path.name, _as_array(path, features), corners)


def _features_and_coords(path: Path, content: Any) -> tuple[Any, Any]:
    """Split the content of a file into features and coordinates, or None."""
    if isinstance(content, dict):
        features_key = first_of(FEATURES, content)
        if features_key is None:
            names = ", ".join(map(str, list(content)[:5])) or "nothing"
            raise BagError(
                f"{path.name} holds no features (it holds {names}); "
                "give the file with the features, not a checkpoint."
            )
        coords_key = first_of(COORDS, content)
        return content[features_key], None if coords_key is None else content[coords_key]
    if isinstance(content, tuple) and len(content) == 2:
        features, coords = content
        if getattr(coords, "ndim", 0) == 2 and coords.shape[1] == 2:
            return features, coords
    return content, None


def _stack_vectors(path: Path, vectors: Sequence[Any]) -> np.ndarray:
    """Stack the vectors of a list as rows."""
    if not vectors:
        raise BagError(f"{path.name} holds no instance; extract its features again.")
    rows = [_as_array(path, vector) for vector in vectors]
    if len({row.shape for row in rows}) > 1:
        raise BagError(f"{path.name} holds vectors of several lengths; extract its features again.")
    return np.stack(rows)


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
    # numpy does not know bfloat16.
    if tensor.is_floating_point():
        tensor = tensor.float()
    return np.asarray(tensor.numpy())
