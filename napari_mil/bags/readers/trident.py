"""TRIDENT's attributes of coordinates, and its coordinates beside features without any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_mil.bags.readers.stored import LevelSide, PixelSide, Positions, Side, number

COORDS_FOLDER = "patches"
COORDS_ENDING = "_patches.h5"


def is_trident(attributes: Mapping[str, Any]) -> bool:
    """Say whether coordinates have TRIDENT's attributes, of today or of its first versions."""
    return "patch_size_level0" in attributes or (
        "patch_size" in attributes
        and "downsample" not in attributes
        and ("custom_downsample" in attributes or "patch_level" in attributes)
    )


def positions(path: Path, attributes: Mapping[str, Any], values: np.ndarray) -> Positions:
    """Return positions with the side of tiles and the size of the slide."""
    width = number(attributes, "level0_width")
    height = number(attributes, "level0_height")
    return Positions(
        values,
        path,
        side=_side(attributes),
        slide_size=None if width is None or height is None else (width, height),
    )


def positions_beside(path: Path, stem: str) -> Positions | None:
    """Return the positions of features that have none in their own file, or None.

    They stand in the same order in the folder of patches beside that of the features.
    """
    coords_path = path.parent.parent / COORDS_FOLDER / f"{stem}{COORDS_ENDING}"
    if not coords_path.is_file():
        return None
    with h5py.File(coords_path, "r", locking=False) as file:
        dataset = file.get("coords")
        if not isinstance(dataset, h5py.Dataset) or not is_trident(dataset.attrs):
            return None
        return positions(coords_path, dataset.attrs, dataset[...])


def _side(attributes: Mapping[str, Any]) -> Side | None:
    """Return the side of tiles."""
    pixels = number(attributes, "patch_size_level0")
    if pixels is not None:
        return PixelSide(pixels)
    pixels = number(attributes, "patch_size")
    if pixels is None:
        return None
    level = number(attributes, "patch_level") or 0
    return LevelSide(pixels, round(level), number(attributes, "custom_downsample") or 1.0)
