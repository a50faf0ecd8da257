"""Mean and scale of features over the training bags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_mil.training.config import TrainingConfig
from napari_mil.training.store import BagStore


def fit_scaling(
    store: BagStore, training: Sequence[int], config: TrainingConfig, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of the training bags, float32 (D,).

    They are 0 and 1 for images, and where features are not standardised.
    """
    of_images = store.instances.trained and store.read(training[0]).dtype == np.uint8
    if of_images or not config.standardise:
        return np.zeros(dim, np.float32), np.ones(dim, np.float32)
    return standardisation(_Bags(store, training))


def standardisation(bags: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale over all instances of some bags.

    Parameters
    ----------
    bags
        Features (N, D) or maps (N, D, H, W) of each bag, read one at a time.

    Returns
    -------
    mean, scale : np.ndarray
        float32 (D,); the scale of a constant dimension is 1.
    """
    n = 0
    total = np.float64(0)
    for bag in bags:
        rows = _rows(bag)
        n += len(rows)
        total = total + rows.sum(0, dtype=np.float64)
    mean = total / n
    squares = sum(((_rows(bag) - mean) ** 2).sum(0, dtype=np.float64) for bag in bags)
    scale = np.sqrt(squares / n)
    return np.asarray(mean, np.float32), np.where(scale > 1e-6, scale, 1).astype(np.float32)


def _rows(bag: np.ndarray) -> np.ndarray:
    """Turn maps (N, D, H, W) into rows (N H W, D)."""
    return bag if bag.ndim == 2 else np.moveaxis(bag, 1, -1).reshape(-1, bag.shape[1])


class _Bags(Sequence[np.ndarray]):
    """Some bags of a store, read one at a time."""

    def __init__(self, store: BagStore, numbers: Sequence[int]) -> None:
        self._store = store
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, k: Any) -> Any:
        return self._store.read(self._numbers[k])
