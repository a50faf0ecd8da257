"""Slideflow's index of positions beside a bag: centres of tiles in level-0 pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.readers.numpy_files import read_npy, read_npz
from napari_mil.bags.readers.stored import (
    Anchor,
    MagnificationSide,
    MicrometreSide,
    Positions,
    Side,
    number,
)

INDEX_ENDINGS = (".index.npz", ".index.npy")
CONFIG = "bags_config.json"


def is_index(path: Path) -> bool:
    """Say whether a file is an index of positions rather than a bag."""
    return path.name.lower().endswith(INDEX_ENDINGS)


def positions_beside(path: Path, stem: str) -> Positions | None:
    """Return the positions of a bag from the index beside it, or None."""
    for ending in INDEX_ENDINGS:
        index_path = path.with_name(f"{stem}{ending}")
        if index_path.is_file():
            centres = _centres(index_path)
            if centres is None:
                return None
            side = _side(read_config(path.parent))
            return Positions(centres, index_path, anchor=Anchor.CENTRE, side=side)
    return None


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return how the bags of a folder were made, empty where nothing says so."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def encoder_name(folder: Path) -> str:
    """Return the name of the encoder that made the bags of a folder, or an empty string."""
    extractor = read_config(folder).get("extractor")
    name = extractor.get("class", "") if isinstance(extractor, dict) else extractor
    return name if isinstance(name, str) else ""


def _centres(index_path: Path) -> np.ndarray | None:
    """Return the centres of tiles, (N, 2)."""
    if index_path.name.lower().endswith(".npy"):
        return read_npy(index_path)
    arrays = read_npz(index_path)
    # Beside images, `arr_0` holds places in the file and `locations` the centres.
    return arrays.get("locations", arrays.get("arr_0"))


def _side(config: Mapping[str, Any]) -> Side | None:
    """Return the side of tiles, which is stated in micrometres or as a magnification."""
    side = config.get("tile_um")
    if isinstance(side, str) and side.lower().endswith("x"):
        magnification = number({"tile_um": side[:-1]}, "tile_um")
        pixels = number(config, "tile_px")
        if magnification is None or pixels is None:
            return None
        return MagnificationSide(pixels, magnification)
    micrometres = number(config, "tile_um")
    return None if micrometres is None else MicrometreSide(micrometres, is_truncated=True)
