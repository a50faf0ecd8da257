"""From the arrays of a file to a bag: shapes mended, lengths and numbers checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

FEATURES = ("features", "feats", "feat", "embeddings", "x")
COORDS = ("coords", "coordinates", "xy")


def first_of(names: tuple[str, ...], among: Mapping[str, Any]) -> str | None:
    """Return the first of some names that is there."""
    return next((name for name in names if name in among), None)


def bag_of(
    name: str,
    features: Any,
    coords: Any = None,
    tile_size0: float | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Bag:
    """Make a bag of what a file holds.

    Raises
    ------
    BagError
        If there are no instances, as many coordinates as instances are missing, or features are no numbers.
    """
    matrix = np.asarray(features)
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
            f"{name} holds one vector of {matrix.size}, a whole slide's rather than its tiles'; give the features of the tiles."
        )
    if matrix.size == 0:
        raise BagError(f"{name} holds no instance; the slide may show no tissue.")
    if matrix.ndim not in (2, 4):
        raise BagError(
            f"{name} holds features of shape {matrix.shape}; one row per instance is expected."
        )
    matrix = matrix.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(matrix).reshape(len(matrix), -1).all(1))
    if len(wrong):
        raise BagError(
            f"{name} holds features that are no numbers in {len(wrong)} of {len(matrix)} rows, the first in row {wrong[0]}; extract them again."
        )
    warnings: list[Finding] = []
    corners = None if coords is None else as_corners(name, coords, len(matrix), warnings)
    return Bag(
        matrix,
        corners,
        tile_size0 if corners is not None else None,
        provenance=provenance or {},
        warnings=tuple(warnings),
    )


def as_corners(name: str, coords: Any, n: int, warnings: list[Finding]) -> np.ndarray:
    """Return int64 (N, 2); what is not whole is rounded and said.

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
            f"{name} holds {n} feature rows but {len(pairs)} coordinates; extract them together again."
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
