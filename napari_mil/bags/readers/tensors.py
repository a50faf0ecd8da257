"""What `torch.save` wrote: a tensor, an array, a dictionary, a list of vectors, or (features, coordinates)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import COORDS, FEATURES, bag_of, first_of
from napari_mil.errors import BagError
from napari_mil.pickles import load_pickle


def read(path: Path) -> Bag:
    """Read a bag; see `read_bag`."""
    content = load_pickle(path)
    coords: Any = None
    if isinstance(content, dict):
        key = first_of(FEATURES, content)
        if key is None:
            there = ", ".join(map(str, list(content)[:5])) or "nothing"
            raise BagError(
                f"{path.name} holds no features (it holds {there}); give the file with the features, not a checkpoint."
            )
        place = first_of(COORDS, content)
        content, coords = content[key], None if place is None else content[place]
    elif (
        isinstance(content, tuple)
        and len(content) == 2
        and getattr(content[1], "ndim", 0) == 2
        and content[1].shape[1] == 2
    ):
        content, coords = content
    if isinstance(content, (list, tuple)):
        if not content:
            raise BagError(f"{path.name} holds no instance; extract its features again.")
        rows = [_array(path, row) for row in content]
        if len({row.shape for row in rows}) > 1:
            raise BagError(
                f"{path.name} holds vectors of several lengths; extract its features again."
            )
        content = np.stack(rows)
    return bag_of(
        path.name, _array(path, content), None if coords is None else _array(path, coords)
    )


def _array(path: Path, value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if not hasattr(value, "detach"):
        raise BagError(
            f"{path.name} holds a {type(value).__name__} instead of features; give the file with the features."
        )
    tensor = value.detach()
    return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
