"""Writer of bags in TRIDENT's layout, which most tools read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import h5py
import numpy as np

from napari_mil.bags.bag import Bag, Extraction
from napari_mil.errors import OutputError
from napari_mil.files import whole_or_nothing

SCHEMA = 1
"""Version of what this package adds to TRIDENT's layout."""
PREFIX = "napari_mil:"
"""Beginning of the attributes that this package adds."""
FEATURE_ROWS = 1024
"""Rows of features in a chunk."""
COORD_ROWS = 8192
"""Rows of coordinates in a chunk."""
MAGNIFICATIONS = ((0.16, 80), (0.2, 60), (0.3, 40), (0.6, 20), (1.2, 10), (2.4, 5))
"""TRIDENT's magnifications by the micrometres per pixel below which they begin."""


def write_bag(bag: Bag, path: str | os.PathLike[str]) -> None:
    """Write a bag as HDF5, whole or not at all.

    The file holds ``features``, and ``coords`` with the side of a tile where there are any.

    Parameters
    ----------
    bag
        The bag; `extraction`, and the fingerprints ``encoder`` and ``grid`` of `provenance`, travel
        with it.
    path
        File to write, by custom ``<slide>.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    with _written(target) as file:
        _write_contents(file, bag, target.stem)


def write_positions(bag: Bag, path: str | os.PathLike[str]) -> None:
    """Write the coordinates of a bag alone, as TRIDENT's feature step reads them.

    Parameters
    ----------
    bag
        A bag with coordinates.
    path
        File to write, by custom ``<slide>_patches.h5``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ValueError
        If the bag has no coordinates.
    """
    if bag.coords is None:
        raise ValueError("the bag has no coordinates")
    target = Path(path)
    with _written(target) as file:
        _write_coords(file, bag, bag.coords, target.stem.removesuffix("_patches"))


def magnification_of(mpp: float | None) -> int | None:
    """Return the magnification that TRIDENT gives to micrometres per pixel, None beyond 5x."""
    if mpp is None:
        return None
    return next((power for bound, power in MAGNIFICATIONS if mpp < bound), None)


@contextmanager
def _written(target: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file in memory, which takes the place of `target` once it is whole.

    In memory, since HDF5 ends the process where a disk is full while it writes.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        yield file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_or_nothing(target) as part:
            part.write_bytes(content.getbuffer())
    except OSError as error:
        raise OutputError(
            f"{target.name} cannot be written to {target.parent} ({error.strerror or error}); "
            "make room or choose another folder."
        ) from error


def _write_contents(file: h5py.File, bag: Bag, stem: str) -> None:
    """Write the datasets and attributes of a bag into an open file."""
    n = len(bag)
    shape = bag.features.shape[1:]
    facts = bag.extraction or Extraction()
    features = file.create_dataset(
        "features",
        data=bag.features,
        chunks=(min(n, FEATURE_ROWS), *shape),
        maxshape=(None, *shape),
    )
    features.attrs.update({"name": facts.slide_name or stem, "savetodir": ""})
    if facts.encoder:
        features.attrs["encoder"] = facts.encoder
    if bag.coords is not None:
        _write_coords(file, bag, bag.coords, stem)
    if bag.names is not None:
        file.create_dataset("names", data=[instance.encode() for instance in bag.names])
    _write_own_facts(file, bag, facts)


def _write_coords(file: h5py.File, bag: Bag, corners: np.ndarray, stem: str) -> None:
    """Write coordinates with TRIDENT's attributes, and CLAM's where those would be right."""
    facts = bag.extraction or Extraction()
    coords = file.create_dataset(
        "coords",
        data=corners.astype(np.int64),
        chunks=(min(len(corners), COORD_ROWS), 2),
        maxshape=(None, 2),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    coords.attrs.update({"name": facts.slide_name or stem, "savetodir": ""})
    size0 = None if bag.tile_size0 is None else round(bag.tile_size0)
    width, height = facts.slide_size or (None, None)
    overlap = None if facts.tile_px is None else round(facts.overlap * facts.tile_px)
    whole_numbers = {
        "patch_size": facts.tile_px,
        "patch_size_level0": size0,
        "level0_magnification": magnification_of(facts.slide_mpp),
        "target_magnification": magnification_of(facts.tile_mpp),
        "overlap": overlap,
        "level0_width": width,
        "level0_height": height,
    }
    for name, value in whole_numbers.items():
        if value is not None:
            coords.attrs[name] = np.int64(value)
    if size0 is not None and size0 == facts.tile_px:
        # CLAM counts tiles in pixels of a level: elsewhere it would read another field.
        coords.attrs["patch_level"] = np.int64(0)
        coords.attrs["downsample"] = np.ones(2)


def _write_own_facts(file: h5py.File, bag: Bag, facts: Extraction) -> None:
    """Write what TRIDENT has no place for as attributes of the file."""
    encoder = facts.encoder_fingerprint or str(bag.provenance.get("encoder", ""))
    described = {"name": facts.encoder, "fingerprint": encoder}
    own = {
        "schema": SCHEMA,
        "version": _own_version(),
        "origin": "level0-topleft" if bag.coords is not None else "",
        "tile_size0": None if bag.tile_size0 is None else float(bag.tile_size0),
        "encoder": encoder,
        "encoder_json": json.dumps(described) if facts.encoder else "",
        "grid": facts.grid_fingerprint or str(bag.provenance.get("grid", "")),
        "slide_id": facts.slide_name,
        "slide_quickhash": facts.slide_fingerprint,
        "mpp_level0": facts.slide_mpp,
        "tile_mpp": facts.tile_mpp,
    }
    for name, value in own.items():
        if value is not None and value != "":
            file.attrs[f"{PREFIX}{name}"] = value


def _own_version() -> str:
    """Return the version of this package, empty where it is not installed."""
    try:
        return version("napari-mil")
    except PackageNotFoundError:
        return ""
