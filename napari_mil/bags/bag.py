"""Bags: the instances of a slide or of a folder of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_mil.errors import NapariMilError
from napari_mil.findings import Finding


@dataclass(frozen=True, slots=True)
class Extraction:
    """How features were made, as far as their file says."""

    slide_name: str = ""
    slide_fingerprint: str = ""
    slide_size: tuple[int, int] | None = None
    """(width, height) in level-0 pixels."""
    slide_mpp: float | None = None
    """Micrometres per level-0 pixel."""
    tile_px: int | None = None
    """Side of a tile as the encoder got it, in pixels."""
    tile_mpp: float | None = None
    """Micrometres per pixel of a tile."""
    overlap: float = 0.0
    """Share of a tile that its neighbour repeats, in [0, 1)."""
    encoder: str = ""
    """Name of the encoder."""
    encoder_fingerprint: str = ""
    grid_fingerprint: str = ""


@dataclass(frozen=True, eq=False)
class Bag:
    """Features of instances with their places, names and origin.

    Raises
    ------
    NapariMilError
        If there is no instance, or the lengths disagree.
    """

    features: np.ndarray
    """Features, float32 (N, D), or maps (N, C, H, W)."""
    coords: np.ndarray | None = None
    """Top left corners (x, y) of tiles in level-0 pixels, int64 (N, 2).

    None for bags of images.
    """
    tile_size0: float | None = None
    """Exact side of a tile in level-0 pixels, or None."""
    names: tuple[str, ...] | None = None
    """Names of the instances of an image bag."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Fingerprints of slide, grid and encoder."""
    warnings: tuple[Finding, ...] = ()
    """Findings about its file."""
    extraction: Extraction | None = None
    """How the features were made, where that is known."""

    def __post_init__(self) -> None:
        if self.features.ndim not in (2, 4) or len(self.features) == 0:
            raise NapariMilError(
                "A bag needs at least one instance as (N, D) vectors or (N, C, H, W) maps, "
                f"not an array of shape {self.features.shape}."
            )
        if self.features.dtype != np.float32:
            object.__setattr__(self, "features", self.features.astype(np.float32))
        for what, values in (("coordinates", self.coords), ("names", self.names)):
            if values is not None and len(values) != len(self.features):
                raise NapariMilError(
                    f"The bag has {len(self.features)} instances but {len(values)} {what}."
                )

    def __len__(self) -> int:
        return len(self.features)
