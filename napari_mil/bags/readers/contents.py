"""Conversion of a file's arrays to a checked bag."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

FEATURES = ("features", "feats", "feat", "embeddings", "x")
"""Names of features in files, the most common first."""
COORDS = ("coords", "coordinates", "xy")
"""Names of coordinates in files, the most common first."""


def first_of(names: tuple[str, ...], among: Mapping[str, Any]) -> str | None:
    """Return the first of some names that is a key, or None."""
    return next((name for name in names if name in among), None)


def instance_count(name: str, shape: tuple[int, ...] | list[int]) -> int:
    """Return the number of instances in a shape of features.

    Raises
    ------
    BagError
        If there is no instance, or one vector instead of instances.
    """
    if 0 in shape:
        raise BagError(f"{name} holds no instance; extract its features again.")
    if len(shape) < 2:
        raise BagError(f"{name} holds one vector instead of instances; extract its features again.")
    return int(shape[1] if len(shape) == 3 and shape[0] == 1 else shape[0])


def bag_of(
    name: str,
    features: Any,
    coords: Any = None,
    tile_size0: float | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Bag:
    """Make a bag of the arrays of a file.

    Parameters
    ----------
    name
        Name of the file, for messages.
    features
        (N, D) or maps (N, C, H, W); a leading axis of length 1 and trailing axes (1, 1) are
        dropped.
    coords
        (N, 2): (x, y) of top left corners in level-0 pixels.
    tile_size0
        Side of a tile in level-0 pixels.
    provenance
        See `Bag`.

    Raises
    ------
    BagError
        If there are no instances, coordinates are not as many as instances, or features are no
        numbers.
    """
    matrix = _instance_features(name, np.asarray(features), coords)
    warnings: list[Finding] = []
    corners = None if coords is None else as_corners(name, coords, len(matrix), warnings)
    return Bag(
        matrix,
        corners,
        tile_size0 if corners is not None else None,
        provenance=provenance or {},
        warnings=tuple(warnings),
    )


def _instance_features(name: str, matrix: np.ndarray, coords: Any) -> np.ndarray:
    """Return features as float32 (N, D) or (N, C, H, W), checked."""
    if matrix.ndim >= 3 and matrix.shape[0] == 1 and (coords is None or len(coords) != 1):
        matrix = matrix[0]
    if matrix.ndim == 4 and matrix.shape[2:] == (1, 1):
        matrix = matrix[:, :, 0, 0]
    if matrix.dtype.kind not in "fiu":
        raise BagError(
            f"{name} holds {matrix.dtype} instead of numbers; extract its features again."
        )
    if matrix.ndim == 1 and matrix.size:
        raise BagError(
            f"{name} holds one vector of {matrix.size}, a whole slide's rather than its tiles'; "
            "give the features of the tiles."
        )
    if matrix.size == 0:
        raise BagError(f"{name} holds no instance; the slide may show no tissue.")
    if matrix.ndim not in (2, 4):
        raise BagError(
            f"{name} holds features of shape {matrix.shape}; one row per instance is expected."
        )
    matrix = matrix.astype(np.float32)
    bad_rows = np.flatnonzero(~np.isfinite(matrix).reshape(len(matrix), -1).all(1))
    if len(bad_rows):
        raise BagError(
            f"{name} holds features that are no numbers in {len(bad_rows)} of {len(matrix)} rows, "
            f"the first in row {bad_rows[0]}; extract them again."
        )
    return matrix


def as_corners(name: str, coords: Any, n: int, warnings: list[Finding]) -> np.ndarray:
    """Check coordinates and return them as int64 (N, 2).

    Fractions are rounded, which adds a finding to `warnings`.

    Raises
    ------
    BagError
        If there are not N pairs of finite numbers.
    """
    pairs = np.asarray(coords)
    if pairs.ndim == 3 and pairs.shape[0] == 1:
        pairs = pairs[0]
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise BagError(
            f"{name} holds coordinates of shape {pairs.shape}; pairs (x, y) are expected."
        )
    if len(pairs) != n:
        raise BagError(
            f"{name} holds {n} feature rows but {len(pairs)} coordinates; "
            "extract them together again."
        )
    if pairs.dtype.kind not in "fiu" or not np.isfinite(pairs).all():
        raise BagError(f"{name} holds coordinates that are no numbers; extract them again.")
    rounded = np.rint(pairs).astype(np.int64)
    if pairs.dtype.kind == "f" and (rounded != pairs).any():
        warnings.append(
            Finding(
                FindingKind.ROUNDED,
                Path(name),
                "Coordinates are not whole pixels and were rounded.",
            )
        )
    return rounded
