"""HDF5: TRIDENT, CLAM, STAMP, and files of the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import COORDS, FEATURES, bag_of, first_of
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

if TYPE_CHECKING:
    from napari_mil.slides import Slide

STAMP_V1_UM = 256.0
"""STAMP's first version wrote no tile size; its tiles were this large."""


def read(path: Path, slide: Slide | None) -> Bag:
    """Read a bag; see `read_bag`."""
    try:
        with h5py.File(path) as file:
            features = _features(path, file)
            key = first_of(COORDS, file)
            coords = None if key is None else file[key]
            values = None if coords is None else coords[...]
            if values is not None and _in_micrometres(file):
                return _in_pixels(path, file, features[...], values, slide)
            said_size0 = _tile_size0(path, {} if coords is None else coords.attrs)
            size0 = float(file.attrs.get("napari_mil:tile_size0", 0)) or said_size0
            names = (
                tuple(name.decode() for name in file["names"][...])
                if "names" in file and "napari_mil:schema" in file.attrs
                else None
            )
            bag = replace(
                bag_of(path.name, features[...], values, size0, _provenance(file, features)),
                names=names,
            )
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise BagError(
            f"{path.name} is a damaged HDF5 file ({' '.join(str(error).split())[:100]}); copy it again."
        ) from error
    if bag.coords is None or said_size0 is not None:
        return bag
    unsized = Finding(FindingKind.UNCERTAIN_PLACE, path, "It does not say how large its tiles are.")
    return _with_finding(bag, unsized)


def count(path: Path) -> int:
    """Return the number of instances from the shape alone."""
    try:
        with h5py.File(path) as file:
            shape = _features(path, file).shape
    except (OSError, RuntimeError, KeyError) as error:
        raise BagError(
            f"{path.name} is a damaged HDF5 file ({' '.join(str(error).split())[:100]}); copy it again."
        ) from error
    if len(shape) < 2 or 0 in shape:
        raise BagError(
            f"{path.name} holds {'no instance' if 0 in shape else 'one vector instead of instances'}; extract its features again."
        )
    return int(shape[1] if len(shape) == 3 and shape[0] == 1 else shape[0])


def _features(path: Path, file: h5py.File) -> h5py.Dataset:
    key = first_of(FEATURES, file)
    if key is None or not isinstance(file[key], h5py.Dataset):
        there = ", ".join(sorted(file)) or "nothing"
        raise BagError(
            f"{path.name} holds no features (it holds {there}); give the file with the features, not the one with coordinates or images."
        )
    return file[key]


def _in_micrometres(file: h5py.File) -> bool:
    return "stamp_version" in file.attrs or "feats" in file


def _in_pixels(
    path: Path, file: h5py.File, features: np.ndarray, coords: np.ndarray, slide: Slide | None
) -> Bag:
    attributes = file.attrs
    size_um = float(attributes.get("tile_size_um", attributes.get("tile_size", STAMP_V1_UM)))
    if "unit" not in attributes and "tile_size_um" not in attributes:
        coords = coords / 224 * STAMP_V1_UM
    if slide is None or slide.mpp is None:
        finding = Finding(
            FindingKind.UNCERTAIN_PLACE,
            path,
            "It counts in micrometres and the slide's scale is unknown: it has no place on a slide.",
        )
        bag = bag_of(path.name, features, provenance=_provenance(file, None))
        return _with_finding(bag, finding)
    return bag_of(
        path.name, features, coords / slide.mpp, size_um / slide.mpp, _provenance(file, None)
    )


def _tile_size0(path: Path, attributes: Mapping[str, Any]) -> float | None:
    if "patch_size_level0" in attributes:
        return float(attributes["patch_size_level0"])
    if "patch_size" in attributes and "downsample" in attributes:
        return float(attributes["patch_size"]) * float(np.ravel(attributes["downsample"])[0])
    for folder in (
        path.parent.parent / "patches",
        path.parent.parent.parent / "patches",
    ):  # CLAM keeps the size beside the coordinates
        beside = folder / path.name
        if beside.is_file() and beside != path:
            with h5py.File(beside) as patches:
                if "coords" in patches and "downsample" in patches["coords"].attrs:
                    return _tile_size0(beside, patches["coords"].attrs)
    return None


def _with_finding(bag: Bag, finding: Finding) -> Bag:
    return replace(bag, warnings=(*bag.warnings, finding))


def _provenance(file: h5py.File, features: h5py.Dataset | None) -> dict[str, Any]:
    encoder = file.attrs.get("extractor") if features is None else features.attrs.get("encoder")
    ours = file.attrs.get("napari_mil:encoder")
    return {
        **({"encoder name": str(encoder)} if encoder is not None else {}),
        **({"encoder": str(ours)} if ours is not None else {}),
    }
