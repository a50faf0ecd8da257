"""CLAM's patches: sizes of tiles lie beside the features, coordinates count in level 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_mil.bags.readers.stored import PixelSide, Positions, number

FEATURES_FOLDER = "h5_files"
PATCHES_FOLDER = "patches"


def is_clam(attributes: Mapping[str, Any]) -> bool:
    """Say whether coordinates have the attributes of CLAM's patches."""
    return "patch_size" in attributes and "downsample" in attributes


def positions(path: Path, attributes: Mapping[str, Any], values: np.ndarray) -> Positions:
    """Return positions; the side and size that CLAM states count in pixels of a level."""
    pixels = number(attributes, "patch_size")
    downsample = number(attributes, "downsample") or 1.0
    size = np.ravel(attributes.get("level_dim", ()))
    slide_size = None
    if size.shape == (2,) and size.dtype.kind in "iuf" and (size > 0).all():
        slide_size = (float(size[0]) * downsample, float(size[1]) * downsample)
    return Positions(
        values,
        path,
        # CLAM reads `patch_size` pixels of a level whose downsample it cuts to a whole number.
        side=None if pixels is None else PixelSide(pixels * int(max(downsample, 1))),
        slide_size=slide_size,
        size_tolerance=max(0.5, downsample),
    )


def with_patches(path: Path, stem: str, stored: Positions) -> Positions:
    """Return the positions of features with what the patches beside them say of size and slide.

    Patches of other positions belong to another run and say nothing.
    """
    for patches_path in _patches_of(path, stem):
        patches = _read_patches(patches_path)
        if patches is not None and np.array_equal(patches.values, stored.values):
            return replace(
                stored,
                side=patches.side,
                slide_size=patches.slide_size,
                size_tolerance=patches.size_tolerance,
            )
    return stored


def positions_beside(path: Path, stem: str) -> Positions | None:
    """Return the positions of a ``.pt`` file, which stand in the HDF5 file of the same run."""
    twin = path.parent.parent / FEATURES_FOLDER / f"{stem}.h5"
    if not twin.is_file() or twin == path:
        return None
    with h5py.File(twin, "r", locking=False) as file:
        dataset = file.get("coords")
        if not isinstance(dataset, h5py.Dataset):
            return None
        return with_patches(twin, stem, Positions(dataset[...], twin))


def _patches_of(path: Path, stem: str) -> Iterator[Path]:
    """Yield the files of patches that may belong to features."""
    for folder in (path.parent, *path.parents[1:4]):
        patches_path = folder / PATCHES_FOLDER / f"{stem}.h5"
        if patches_path.is_file() and patches_path != path:
            yield patches_path


def _read_patches(path: Path) -> Positions | None:
    """Read a file of patches, or return None where it is none or damaged."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            dataset = file.get("coords")
            if not isinstance(dataset, h5py.Dataset) or not is_clam(dataset.attrs):
                return None
            return positions(path, dataset.attrs, dataset[...])
    except (OSError, RuntimeError, ValueError, LookupError, TypeError):
        return None
