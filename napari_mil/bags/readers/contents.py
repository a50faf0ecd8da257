"""Conversion of a file's content to a checked bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mil.bags.bag import Bag
from napari_mil.bags.readers.placing import Placed, place
from napari_mil.bags.readers.stored import Stored
from napari_mil.errors import BagError

if TYPE_CHECKING:
    from napari_mil.slides import Slide

FEATURES = ("features", "feats", "feat", "embeddings", "patch_embeddings", "x")
"""Names of features in files, the most common first."""
LARGEST = 1e15
"""Largest feature that is taken: the sum of squares of larger ones overflows float32."""
COORDS = ("coords", "coordinates", "xy")
"""Names of coordinates in files, the most common first."""


def first_of(names: tuple[str, ...], among: Mapping[str, Any]) -> str | None:
    """Return the first of some names that is a key, or None."""
    return next((name for name in names if name in among), None)


def bag_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a bag, (N, D) or (N, C, H, W), from that of stored features.

    Raises
    ------
    BagError
        If there is no instance, or one vector instead of instances.
    """
    if 0 in shape:
        raise BagError(f"{name} holds no instance; the slide may show no tissue.")
    if len(shape) < 2:
        raise BagError(
            f"{name} holds one vector, a whole slide's rather than its tiles'; "
            "give the features of the tiles."
        )
    lengths = tuple(int(length) for length in shape)
    if len(lengths) == 3 and lengths[0] == 1:
        return lengths[1:]
    if len(lengths) == 4 and lengths[2:] == (1, 1):
        return lengths[:2]
    return lengths


def bag_of(
    path: Path, stored: Stored, slide: Slide | None = None, tile_size0: float | None = None
) -> Bag:
    """Make a bag of the content of a file.

    Parameters
    ----------
    path
        The file, for messages.
    stored
        Features (N, D) or maps (N, C, H, W), where a leading axis of length 1 and trailing axes
        (1, 1) are dropped, and positions.
    slide
        The slide that the bag is laid on, or None.
    tile_size0
        Side of a tile in level-0 pixels that the user gives.

    Raises
    ------
    BagError
        If there are no instances, coordinates are not as many as instances, or features are no
        numbers.
    """
    positions = stored.positions
    n = None if positions is None else row_count(positions.values)
    matrix = _instance_features(path.name, stored.features, n)
    placed = Placed()
    if positions is not None:
        placed = place(positions, len(matrix), slide, tile_size0)
    return Bag(
        matrix,
        placed.corners,
        placed.tile_size0 if placed.corners is not None else None,
        names=stored.names,
        provenance=stored.provenance,
        warnings=(*stored.findings, *placed.findings),
        extraction=stored.extraction,
    )


def row_count(values: np.ndarray) -> int:
    """Return the number of rows of features or positions, whatever their leading axis."""
    shape = np.shape(values)
    return int(shape[1]) if len(shape) == 3 and shape[0] == 1 else int((*shape, 0)[0])


def _instance_features(name: str, features: Any, n_positions: int | None) -> np.ndarray:
    """Return features as float32 (N, D) or (N, C, H, W), checked; not copied where they fit."""
    matrix = np.asarray(features)
    if matrix.ndim == 3 and matrix.shape[0] == 1:
        matrix = matrix[0]
    if matrix.ndim == 4 and matrix.shape[2:] == (1, 1):
        matrix = matrix[:, :, 0, 0]
    if matrix.dtype.kind not in "fiu":
        raise BagError(
            f"{name} holds {matrix.dtype} instead of numbers; extract its features again."
        )
    if matrix.size == 0:
        raise BagError(f"{name} holds no instance; the slide may show no tissue.")
    if matrix.ndim < 2 or (matrix.shape[0] == 1 and n_positions not in (None, 1)):
        raise BagError(
            f"{name} holds one vector of {matrix.size}, a whole slide's rather than its tiles'; "
            "give the features of the tiles."
        )
    if matrix.ndim not in (2, 4):
        raise BagError(
            f"{name} holds features of shape {matrix.shape}; one row per instance is expected."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        matrix = np.ascontiguousarray(matrix, np.float32)
        # The extremes tell whether there is anything to look for: NaN is an extreme too.
        is_sound = bool(matrix.max() <= LARGEST) and bool(matrix.min() >= -LARGEST)
    if not is_sound:
        _refuse_wrong_numbers(name, matrix)
    return matrix


def _refuse_wrong_numbers(name: str, matrix: np.ndarray) -> None:
    """Refuse features with NaN or infinity, or too large to compute with."""
    bad_rows = np.flatnonzero(~np.isfinite(matrix).reshape(len(matrix), -1).all(1))
    if len(bad_rows):
        raise BagError(
            f"{name} holds features that are no numbers in {len(bad_rows)} of {len(matrix)} rows, "
            f"the first in row {bad_rows[0]}; extract them again."
        )
    rows = np.flatnonzero((np.abs(matrix) > LARGEST).reshape(len(matrix), -1).any(1))
    largest = matrix.flat[int(np.abs(matrix).argmax())]
    raise BagError(
        f"{name} holds a feature of {largest:.3g} (in {len(rows)} of {len(matrix)} rows, the "
        f"first in row {rows[0]}), which no encoder gives; extract them again."
    )
