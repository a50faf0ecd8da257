"""Writer of bags in TRIDENT's layout, which most tools read."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.errors import OutputError
from napari_mil.files import whole_or_nothing

SCHEMA = 1
"""Version of what this package adds to TRIDENT's layout."""


def write_bag(bag: Bag, path: str | os.PathLike[str]) -> None:
    """Write a bag as HDF5, whole or not at all.

    The file holds ``features``, and ``coords`` with the side of a tile where there are any.

    Parameters
    ----------
    bag
        The bag; `provenance["encoder"]`, a fingerprint, travels with it.
    path
        File to write, by custom ``<slide>.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_or_nothing(target) as part, h5py.File(part, "w") as file:
            _write_contents(file, bag, target.stem)
    except OSError as error:
        raise OutputError(
            f"{target.name} cannot be written to {target.parent} ({error.strerror or error}); "
            "make room or choose another folder."
        ) from error


def _write_contents(file: h5py.File, bag: Bag, name: str) -> None:
    """Write the datasets and attributes of a bag into an open file."""
    n = len(bag)
    shape = bag.features.shape[1:]
    features = file.create_dataset(
        "features", data=bag.features, chunks=(min(n, 1024), *shape), maxshape=(None, *shape)
    )
    features.attrs.update({"name": name, "savetodir": ""})
    if bag.coords is not None:
        coords = file.create_dataset(
            "coords", data=bag.coords.astype(np.int64), chunks=(min(n, 8192), 2), maxshape=(None, 2)
        )
        coords.attrs.update({"name": name, "savetodir": ""})
        if bag.tile_size0 is not None:
            coords.attrs["patch_size_level0"] = np.int64(round(bag.tile_size0))
            file.attrs["napari_mil:tile_size0"] = float(bag.tile_size0)
    if bag.names is not None:
        file.create_dataset("names", data=[instance.encode() for instance in bag.names])
    file.attrs["napari_mil:schema"] = SCHEMA
    for key in ("encoder", "grid"):
        if key in bag.provenance:
            file.attrs[f"napari_mil:{key}"] = str(bag.provenance[key])
