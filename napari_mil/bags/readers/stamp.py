"""STAMP's attributes: positions in micrometres, of version 1 in pixels of its own tiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.readers.placing import neighbour_gap
from napari_mil.bags.readers.stored import MicrometreSide, Positions, Unit, number, words
from napari_mil.errors import BagError

V1_UM = 256.0
"""Side of the tiles of STAMP's first version, µm."""
V1_PX = 224
"""Side of the tiles of STAMP's first version, pixels, in which its positions count."""


def refuse_other_levels(name: str, attributes: Mapping[str, Any]) -> None:
    """Refuse the vectors of slides and patients, which STAMP writes in files of the same kind.

    Raises
    ------
    BagError
        If it holds no tiles.
    """
    level = words(attributes, "feat_type")
    if level in ("slide", "patient"):
        raise BagError(
            f"{name} holds one vector of a whole {level} rather than its tiles'; "
            "give the features of the tiles."
        )


def positions(path: Path, attributes: Mapping[str, Any], values: np.ndarray) -> Positions:
    """Return positions in micrometres by the rules that STAMP itself reads with.

    Files of other tools that only share the name ``feats`` count in level-0 pixels.
    """
    side = number(attributes, "tile_size_um")
    if side is not None:
        return _in_micrometres(path, values, side)
    if words(attributes, "unit") == "um":
        return _in_micrometres(path, values, number(attributes, "tile_size"))
    if _is_version_1(attributes, values):
        return _in_micrometres(path, values * (V1_UM / V1_PX), V1_UM)
    if "stamp_version" in attributes:
        raise BagError(
            f"{path.name} is a file of STAMP that does not say what its positions count; "
            "extract its features again."
        )
    return Positions(values, path)


def _in_micrometres(path: Path, values: np.ndarray, side: float | None) -> Positions:
    """Return positions that count in micrometres."""
    stated = None if side is None else MicrometreSide(side)
    return Positions(values, path, Unit.MICROMETRES, side=stated)


def _is_version_1(attributes: Mapping[str, Any], values: np.ndarray) -> bool:
    """Say whether tiles are of 224 px, by an attribute or by their distance."""
    stated = number(attributes, "tile_size")
    if stated is not None:
        return round(stated) == V1_PX
    pairs = np.rint(values.reshape(-1, values.shape[-1])[:, :2]).astype(np.int64)
    gap = neighbour_gap(pairs)
    if gap is None:
        # Too few neighbours to tell: all positions of that version are multiples of its tiles.
        return bool((pairs % V1_PX == 0).all()) and "extractor" in attributes
    return round(gap) == V1_PX
