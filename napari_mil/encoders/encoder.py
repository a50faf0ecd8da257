"""Base class of encoders, learned or computed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import torch

from napari_mil.encoders.cards import EncoderCard

Precision = Literal["auto", "float32", "bfloat16"]
"""Numbers that a network computes with; auto is what the device does best within the tolerance."""


class Encoder(ABC):
    """Turns tiles into feature vectors on one device."""

    card: EncoderCard
    """Card of the encoder."""
    precision: Precision = "float32"
    """Numbers that it computes with; vectors are float32 in any case."""

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self.device = device
        self.threads = threads or os.cpu_count() or 1
        """Cores to use on the CPU."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        return self.card.name

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return self.card.dim

    @property
    def tile_px(self) -> int:
        """Side in pixels of the tiles it was made for.

        `encode` says which others it takes.
        """
        return self.card.tile_px

    @property
    def mpp(self) -> float:
        """Micrometres per pixel that it was made for."""
        return self.card.mpp

    @property
    def smallest_tile(self) -> int:
        """Least side of a tile in pixels."""
        return self.card.smallest_tile

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Id of weights, transform and version.

        Features of equal fingerprints may be mixed.
        """

    @abstractmethod
    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode a batch of tiles.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB.

        Returns
        -------
        np.ndarray
            float32 (B, dim), on the CPU.
        """

    @abstractmethod
    def to(self, device: torch.device) -> Encoder:
        """Return the same encoder on another device."""
