"""Reader of HDF5 files of TRIDENT, CLAM, STAMP and the like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.contents import (
    COORDS,
    FEATURES,
    bag_of,
    first_of,
    instance_count,
)
from napari_mil.errors import BagError, short_cause
from napari_mil.findings import Finding, FindingKind

if TYPE_CHECKING:
    from napari_mil.slides import Slide

STAMP_V1_UM = 256.0
"""Side of the tiles of STAMP's first version, µm.

That version wrote no tile size.
"""


def read(path: Path, slide: Slide | None) -> Bag:
    """Read a bag from an HDF5 file.

    The slide gives the scale where coordinates are in micrometres.
    """
    try:
        with h5py.File(path) as file:
            features = _features_dataset(path, file)
            key = first_of(COORDS, file)
            if key is not None and _counts_in_micrometres(file):
                return _bag_in_pixels(path, file, features[...], file[key][...], slide)
            coords = None if key is None else file[key][...]
            rounded_size0 = _tile_size0(path, {} if key is None else file[key].attrs)
            # This package writes the exact size beside TRIDENT's rounded one.
            size0 = float(file.attrs.get("napari_mil:tile_size0", 0)) or rounded_size0
            bag = bag_of(path.name, features[...], coords, size0, _provenance(file, features))
            bag = replace(bag, names=_instance_names(file))
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise BagError(
            f"{path.name} is a damaged HDF5 file ({short_cause(error)}); copy it again."
        ) from error
    if bag.coords is None or rounded_size0 is not None:
        return bag
    unsized = Finding(FindingKind.UNCERTAIN_PLACE, path, "It does not say how large its tiles are.")
    return _with_finding(bag, unsized)


def count(path: Path) -> int:
    """Return the number of instances from the shape alone."""
    try:
        with h5py.File(path) as file:
            shape = _features_dataset(path, file).shape
    except (OSError, RuntimeError, KeyError) as error:
        raise BagError(
            f"{path.name} is a damaged HDF5 file ({short_cause(error)}); copy it again."
        ) from error
    return instance_count(path.name, shape)


def _features_dataset(path: Path, file: h5py.File) -> h5py.Dataset:
    """Return the dataset of features."""
    key = first_of(FEATURES, file)
    if key is None or not isinstance(file[key], h5py.Dataset):
        names = ", ".join(sorted(file)) or "nothing"
        raise BagError(
            f"{path.name} holds no features (it holds {names}); "
            "give the file with the features, not the one with coordinates or images."
        )
    return file[key]


def _instance_names(file: h5py.File) -> tuple[str, ...] | None:
    """Return the names of instances, which only this package writes."""
    if "names" not in file or "napari_mil:schema" not in file.attrs:
        return None
    return tuple(name.decode() for name in file["names"][...])


def _counts_in_micrometres(file: h5py.File) -> bool:
    """Say whether coordinates are in micrometres, as STAMP writes them."""
    return "stamp_version" in file.attrs or "feats" in file


def _bag_in_pixels(
    path: Path, file: h5py.File, features: np.ndarray, coords: np.ndarray, slide: Slide | None
) -> Bag:
    """Make a bag with coordinates converted from micrometres to level-0 pixels."""
    attributes = file.attrs
    size_um = float(attributes.get("tile_size_um", attributes.get("tile_size", STAMP_V1_UM)))
    # STAMP's first version counted in pixels of tiles of 224 px.
    if "unit" not in attributes and "tile_size_um" not in attributes:
        coords = coords / 224 * STAMP_V1_UM
    provenance = _provenance(file, None)
    if slide is None or slide.mpp is None:
        finding = Finding(
            FindingKind.UNCERTAIN_PLACE,
            path,
            "It counts in micrometres and the slide's scale is unknown: "
            "it has no place on a slide.",
        )
        return _with_finding(bag_of(path.name, features, provenance=provenance), finding)
    return bag_of(path.name, features, coords / slide.mpp, size_um / slide.mpp, provenance)


def _tile_size0(path: Path, attributes: Mapping[str, Any]) -> float | None:
    """Return a tile's side in level-0 pixels, or None if unknown."""
    if "patch_size_level0" in attributes:
        return float(attributes["patch_size_level0"])
    if "patch_size" in attributes and "downsample" in attributes:
        return float(attributes["patch_size"]) * float(np.ravel(attributes["downsample"])[0])
    # CLAM keeps the size with the coordinates, in a folder of patches beside the features.
    for folder in (path.parent.parent / "patches", path.parent.parent.parent / "patches"):
        patches_path = folder / path.name
        if patches_path.is_file() and patches_path != path:
            with h5py.File(patches_path) as patches:
                if "coords" in patches and "downsample" in patches["coords"].attrs:
                    return _tile_size0(patches_path, patches["coords"].attrs)
    return None


def _with_finding(bag: Bag, finding: Finding) -> Bag:
    """Return a bag with one more finding."""
    return replace(bag, warnings=(*bag.warnings, finding))


def _provenance(file: h5py.File, features: h5py.Dataset | None) -> dict[str, Any]:
    """Return name and fingerprint of the encoder, where known."""
    name = file.attrs.get("extractor") if features is None else features.attrs.get("encoder")
    fingerprint = file.attrs.get("napari_mil:encoder")
    provenance = {}
    if name is not None:
        provenance["encoder name"] = str(name)
    if fingerprint is not None:
        provenance["encoder"] = str(fingerprint)
    return provenance
