"""Which instances the gallery shows, and which ones are alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_mil.gui.model.memo import Memo

DEFAULT_SHOWN = 24
MOST_SHOWN = 200
_remember = Memo(2)


class Which(StrEnum):
    """Instances that the gallery shows."""

    HIGHEST = "highest"
    LOWEST = "lowest"
    SELECTED = "selected"
    NEAREST = "nearest"
    """Those whose features are nearest to the selected one."""


@dataclass(frozen=True)
class Gallery:
    """Choices of the gallery; what ranks instances is the value that is mapped."""

    which: Which = Which.HIGHEST
    n: int = DEFAULT_SHOWN
    """Instances that are shown at most."""


@dataclass(frozen=True)
class Nearest:
    """Instances of a bag whose features are nearest to those of one of them."""

    instances: tuple[int, ...]
    """The nearest first."""
    similarities: tuple[float, ...]
    """Cosines of the features, less the mean of the bag."""


def likeness_to(features: np.ndarray, instance: int) -> np.ndarray:
    """Return how alike all instances are to one: float32 (N,), 1 for itself.

    It is the cosine of the features relative to the mean of the bag: what all instances have in
    common says nothing of likeness.

    Parameters
    ----------
    features
        float32 (N, D) vectors, or maps (N, C, H, W), whose mean over space counts.
    instance
        Index of the instance.
    """
    vectors, lengths = _remember(_directions, features)
    cosine: np.ndarray = vectors @ vectors[instance]
    cosine /= np.maximum(lengths * lengths[instance], 1e-12)
    cosine[instance] = 1
    return np.clip(cosine, -1, 1, out=cosine)


def nearest_by(likeness: np.ndarray, instance: int, n: int = MOST_SHOWN) -> Nearest:
    """Return the instances that are most alike to one, by the likeness (N,) to it."""
    n = min(n, len(likeness) - 1)
    if n < 1:
        return Nearest((), ())
    others = np.delete(np.arange(len(likeness)), instance)
    found = others[np.argpartition(-likeness[others], n - 1)[:n]]
    found = found[np.argsort(-likeness[found], kind="stable")]
    return Nearest(tuple(found.tolist()), tuple(likeness[found].tolist()))


def _directions(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors from the mean of the bag, and their lengths."""
    vectors = features if features.ndim == 2 else features.mean(axis=(2, 3))
    centred = vectors - vectors.mean(axis=0)
    return centred, np.linalg.norm(centred, axis=1)
