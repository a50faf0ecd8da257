"""Reader of HDF5 files of TRIDENT, CLAM, STAMP and the like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from napari_mil.bags.bag import Extraction
from napari_mil.bags.readers import clam, stamp, trident
from napari_mil.bags.readers.beside import ENDINGS, Beside, find_beside
from napari_mil.bags.readers.contents import (
    COORDS,
    FEATURES,
    bag_shape,
    first_of,
    row_count,
)
from napari_mil.bags.readers.hdf5_chunks import check_size, read_dataset
from napari_mil.bags.readers.stored import PixelSide, Positions, Stored, number, stem_of, words
from napari_mil.bags.writing import PREFIX
from napari_mil.errors import BagError, short_cause

DAMAGED = (OSError, RuntimeError, LookupError, TypeError, ValueError, MemoryError, AttributeError)
"""Errors that reading a damaged file may raise."""


def read(path: Path, dataset: str | None = None) -> Stored:
    """Read features and positions from an HDF5 file.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of the features where the file has several.

    Raises
    ------
    BagError
        If it is damaged or holds no features.
    """
    with _opened(path) as file:
        features = _features_dataset(path, file, dataset)
        if "stamp_version" in file.attrs or "feat_type" in file.attrs:
            stamp.refuse_other_levels(path.name, file.attrs)
        beside = Beside()
        positions = _positions(path, file)
        matrix = read_dataset(path, features)
        if positions is None:
            beside = find_beside(path, row_count(matrix))
            positions = beside.positions
        return Stored(
            matrix,
            positions,
            names=_instance_names(file),
            extraction=_extraction(file, features),
            provenance=_provenance(file, features),
            findings=beside.findings,
        )


def shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape of the bag without reading it."""
    with _opened(path) as file:
        features = _features_dataset(path, file, None)
        check_size(path, features)
        return bag_shape(path.name, features.shape)


def read_extraction(path: Path) -> Extraction | None:
    """Return how the features of a file were made; None where it is none or is not whole."""
    try:
        with _opened(path) as file:
            features = _features_dataset(path, file, None)
            check_size(path, features)
            return _extraction(file, features)
    except BagError:
        return None


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a file without locking it, which network drives may refuse."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is a damaged HDF5 file ({short_cause(error)}); copy it again."
        ) from error


def _features_dataset(path: Path, file: h5py.File, name: str | None) -> h5py.Dataset:
    """Return the dataset of features: the one named, of a known name, or the only one."""
    key = name or first_of(FEATURES, file)
    if key is not None and isinstance(file.get(key), h5py.Dataset):
        return file[key]
    held = ", ".join(sorted(file)) or "nothing"
    if name is not None:
        raise BagError(f"{path.name} has no dataset {name!r} (it holds {held}); name another.")
    if "imgs" in file:
        raise BagError(
            f"{path.name} holds the images of tiles, not features; extract its features first."
        )
    matrices = _matrices(file)
    if len(matrices) == 1:
        return file[matrices[0]]
    if matrices:
        raise BagError(
            f"{path.name} holds several matrices ({', '.join(matrices)}); "
            "say which are the features (dataset)."
        )
    if first_of(COORDS, file) is not None:
        raise BagError(
            f"{path.name} holds the positions of tiles, not their features; "
            "give the file with the features."
        )
    raise BagError(
        f"{path.name} holds no features (it holds {held}); "
        "give the file with the features, not the one with coordinates or images."
    )


def _matrices(file: h5py.File) -> list[str]:
    """Return the names of datasets of real numbers that may be features."""
    found: list[str] = []

    def look(name: str, item: h5py.Group | h5py.Dataset) -> None:
        is_matrix = isinstance(item, h5py.Dataset) and item.ndim in (2, 3)
        if is_matrix and item.dtype.kind == "f" and item.shape[-1] > 2:
            found.append(name)

    file.visititems(look)
    return sorted(found)


def _positions(path: Path, file: h5py.File) -> Positions | None:
    """Return the positions of tiles by the layout that the attributes tell, None without any."""
    key = first_of(COORDS, file)
    if key is None or not isinstance(file.get(key), h5py.Dataset):
        return None
    coords = file[key]
    check_size(path, coords)
    values = read_dataset(path, coords)
    exact = number(file.attrs, f"{PREFIX}tile_size0")
    if exact is not None:
        # TRIDENT's attribute is the same number, rounded.
        size = trident.positions(path, coords.attrs, values).slide_size
        return Positions(values, path, side=PixelSide(exact), slide_size=size)
    if "stamp_version" in file.attrs or "feats" in file:
        return stamp.positions(path, file.attrs, values)
    if trident.is_trident(coords.attrs):
        return trident.positions(path, coords.attrs, values)
    if clam.is_clam(coords.attrs):
        return clam.positions(path, coords.attrs, values)
    return clam.with_patches(path, stem_of(path, ENDINGS), Positions(values, path))


def _instance_names(file: h5py.File) -> tuple[str, ...] | None:
    """Return the names of instances, which only this package writes."""
    if "names" not in file or f"{PREFIX}schema" not in file.attrs:
        return None
    return tuple(name.decode() for name in file["names"][...])


def _provenance(file: h5py.File, features: h5py.Dataset) -> dict[str, Any]:
    """Return name and fingerprint of the encoder, where known."""
    known = {
        "encoder name": words(features.attrs, "encoder") or words(file.attrs, "extractor"),
        "encoder": words(file.attrs, f"{PREFIX}encoder"),
    }
    return {key: value for key, value in known.items() if value}


def _extraction(file: h5py.File, features: h5py.Dataset) -> Extraction:
    """Return how the features were made."""
    key = first_of(COORDS, file)
    coords: Mapping[str, Any] = {} if key is None else file[key].attrs
    width = number(coords, "level0_width")
    height = number(coords, "level0_height")
    tile_px = number(coords, "patch_size") or number(file.attrs, "tile_size_px")
    overlap = number(coords, "overlap")
    return Extraction(
        slide_name=words(features.attrs, "name"),
        slide_fingerprint=words(file.attrs, f"{PREFIX}slide_quickhash"),
        slide_size=None if width is None or height is None else (round(width), round(height)),
        slide_mpp=number(file.attrs, f"{PREFIX}mpp_level0"),
        tile_px=None if tile_px is None else round(tile_px),
        tile_mpp=number(file.attrs, f"{PREFIX}tile_mpp"),
        overlap=0.0 if overlap is None or tile_px is None else overlap / tile_px,
        encoder=words(features.attrs, "encoder") or words(file.attrs, "extractor"),
        encoder_fingerprint=words(file.attrs, f"{PREFIX}encoder"),
        grid_fingerprint=words(file.attrs, f"{PREFIX}grid"),
    )
