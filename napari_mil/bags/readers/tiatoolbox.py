"""Positions of TIAToolbox: boxes in pixels of the scale at which tiles were read.

Up to version 1 they are ``<name>.position.npy`` beside ``<name>.features.<head>.npy``; from version
2 on a Zarr holds ``features`` and ``coordinates``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from napari_mil.bags.readers.numpy_files import read_npy
from napari_mil.bags.readers.stored import Positions, Unit

FEATURES_NAME = re.compile(r"(?P<stem>.+)\.features(\.\d+)?\.npy$", re.IGNORECASE)
POSITION_ENDING = ".position.npy"


def is_position_file(path: Path) -> bool:
    """Say whether a file holds positions rather than features."""
    return path.name.lower().endswith(POSITION_ENDING)


def positions_beside(path: Path) -> Positions | None:
    """Return the positions beside features, or None."""
    named = FEATURES_NAME.match(path.name)
    if named is None:
        return None
    boxes_path = path.with_name(f"{named['stem']}{POSITION_ENDING}")
    if not boxes_path.is_file():
        return None
    return positions(boxes_path, read_npy(boxes_path))


def positions(path: Path, boxes: np.ndarray) -> Positions:
    """Return boxes (N, 4) as positions."""
    return Positions(boxes, path, Unit.UNSTATED)
