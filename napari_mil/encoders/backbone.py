"""Encoder from a network that was trained with an aggregator."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from napari_mil.encoders.cards import EncoderCard
from napari_mil.encoders.encoder import Encoder
from napari_mil.networks import BACKBONES, as_input

IMAGES_AT_ONCE = 64
"""Images that pass through the network together."""


class BackboneEncoder(Encoder):
    """Encoder from tiles to vectors or maps of a trained network.

    Parameters
    ----------
    name
        One of `networks.BACKBONES`.
    network
        Network with its weights.
    tile_px
        Side of its images, px; others are resized.
    mpp
        Micrometres per pixel that it was trained at.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        tile_px: int,
        mpp: float = 0.0,
        device: torch.device | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(device or torch.device("cpu"), threads)
        self.network = deepcopy(network).to(self.device).eval()
        self.card = EncoderCard(
            name=name,
            title=BACKBONES[name].title,
            dim=cast("int", network.out_dim),
            tile_px=tile_px,
            mpp=mpp,
            source=BACKBONES[name].source,
            licence="that of the classifier it belongs to",
            implementation=BACKBONES[name].implementation,
        )

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        return weights_fingerprint(self.network)

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode uint8 (B, H, W, 3) to float32 (B, dim) or maps (B, C, h, w)."""
        images = resized(tiles, self.tile_px)
        channels = BACKBONES[self.name].channels
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), IMAGES_AT_ONCE):
                batch = torch.tensor(images[start : start + IMAGES_AT_ONCE]).to(self.device)
                parts.append(self.network(as_input(batch, channels)).cpu().numpy())
        return np.concatenate(parts)

    def to(self, device: torch.device) -> BackboneEncoder:
        """Return the same encoder on another device."""
        return BackboneEncoder(
            self.name, self.network, self.tile_px, self.mpp, device, self.threads
        )


def weights_fingerprint(network: nn.Module) -> str:
    """Return the hash of all weights of a network."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def resized(tiles: np.ndarray, side: int) -> np.ndarray:
    """Resize tiles to uint8 (B, side, side, 3).

    A tile is resized as a whole: nothing is cut off, and proportions may change.
    """
    if tiles.shape[1:3] == (side, side):
        return np.ascontiguousarray(tiles)
    return np.stack(
        [
            np.asarray(Image.fromarray(tile).resize((side, side), Image.Resampling.BILINEAR))
            for tile in tiles
        ]
    )
