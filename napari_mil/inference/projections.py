"""Bags in two dimensions: principal components, and UMAP where it is installed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from scipy.linalg import eigh

from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken

UMAP_COMPONENTS = 50
"""Principal components that UMAP starts from: as its authors advise for wide features."""
UMAP_NEIGHBOURS = 15
FEWEST_FOR_UMAP = 5
"""Instances below which neighbourhoods mean nothing."""
UMAP_EXTRA = "pip install 'napari-mil[umap]'"
ROWS_AT_ONCE = 8192
ASK_EVERY_S = 0.1
FEATURES_FILE = "features.npy"
POINTS_FILE = "points.npy"


class Method(StrEnum):
    """How a bag is laid out in two dimensions."""

    PCA = "pca"
    UMAP = "umap"


@dataclass(frozen=True, eq=False)
class Projection:
    """A bag in two dimensions."""

    method: Method
    points: np.ndarray
    """float32 (N, 2)."""
    shares: tuple[float, float] | None = None
    """Share of the variance along each axis; None where axes mean nothing."""


def vectors_of(features: np.ndarray) -> np.ndarray:
    """Return the vectors (N, D) of a bag; of maps (N, C, H, W) the mean over space."""
    return features if features.ndim == 2 else features.mean(axis=(2, 3))


def principal_components(
    vectors: np.ndarray, n: int, check: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the principal components of centred vectors, and their shares of the variance.

    They are exact, from the covariance (D, D). The same bag gives the same signs in whatever
    order its instances come: the largest weight of every axis is positive.

    Parameters
    ----------
    vectors
        float32 (N, D).
    n
        Number of components K; those beyond D, or beyond the rank, are zero.
    check
        Called between blocks of rows; raises to stop.

    Returns
    -------
    components, shares
        float32 (N, K) and float64 (K,).
    """
    size, width = vectors.shape
    mean = vectors.mean(0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((width, width))
    for start in range(0, size, ROWS_AT_ONCE):
        check()
        block = vectors[start : start + ROWS_AT_ONCE] - mean
        covariance += block.T @ block
    check()
    kept = min(n, width)
    variances, axes = eigh(covariance, subset_by_index=(width - kept, width - 1))
    variances, axes = variances[::-1], axes[:, ::-1]
    largest = np.abs(axes).argmax(0)
    axes = axes * np.where(axes[largest, np.arange(kept)] < 0, -1, 1)
    total = float(np.trace(covariance))
    # Directions without variance are noise of the arithmetic, in 32 bits within a block.
    axes[:, variances <= total * 1e-7] = 0
    axes = axes.astype(np.float32)
    components = np.zeros((size, n), np.float32)
    for start in range(0, size, ROWS_AT_ONCE):
        check()
        rows = slice(start, start + ROWS_AT_ONCE)
        components[rows, :kept] = (vectors[rows] - mean) @ axes
    shares = np.zeros(n)
    if total > 0:
        shares[:kept] = np.maximum(variances, 0) / total
    return components, shares


def project(features: np.ndarray, method: Method, cancel: CancellationToken) -> Projection:
    """Lay out a bag in two dimensions.

    Parameters
    ----------
    features
        float32 (N, D) vectors, or maps (N, C, H, W), whose mean over space counts.
    method
        How.
    cancel
        Asked between blocks of rows; UMAP is ended at once.

    Raises
    ------
    NapariMilError
        If UMAP is not installed or comes to nothing.
    CancelledError
        If it was cancelled.
    """
    vectors = vectors_of(features)
    check = cancel.raise_if_cancelled
    if method is Method.PCA:
        points, shares = principal_components(vectors, 2, check)
        return Projection(method, points, (float(shares[0]), float(shares[1])))
    if not has_umap():
        raise NapariMilError(f"UMAP is not installed: {UMAP_EXTRA}.")
    n = min(UMAP_COMPONENTS, *vectors.shape)
    components, _ = principal_components(vectors, n, check)
    return Projection(method, _umap_points(components, cancel))


@cache
def has_umap() -> bool:
    """Say whether umap-learn is installed, without loading it."""
    try:
        version("umap-learn")
    except PackageNotFoundError:
        return False
    return True


def _umap_points(components: np.ndarray, cancel: CancellationToken) -> np.ndarray:
    """Run UMAP in a process of its own: it compiles for seconds, and could not be cancelled."""
    with tempfile.TemporaryDirectory(prefix="napari-mil-umap-") as name:
        folder = Path(name)
        np.save(folder / FEATURES_FILE, components)
        command = [sys.executable, "-m", "napari_mil.inference.umap_process", name]
        with (folder / "errors.txt").open("w+b") as errors:
            child = subprocess.Popen(  # noqa: S603 - this interpreter
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
            try:
                while child.poll() is None:
                    cancel.raise_if_cancelled()
                    time.sleep(ASK_EVERY_S)
            finally:
                child.kill()
                child.wait()
            if child.returncode != 0:
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines() or ["killed"]
                raise NapariMilError(f"UMAP came to nothing ({lines[-1]}); choose PCA.")
        points: np.ndarray = np.load(folder / POINTS_FILE)
    return points
