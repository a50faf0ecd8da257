"""Encoder `efficientnet-lite0`: the beginning of a network trained on photographs.

Stem and blocks 0-10 of EfficientNet-Lite0 with the ImageNet weights of its release; a tile's vector
holds means of the maps of two blocks, over the tile and over its middle. `docs/encoders.md` says
how blocks, statistics, tile size and scale were chosen, and how good they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_mil.encoders.backbone import weights_fingerprint
from napari_mil.encoders.cards import EFFICIENTNET_LITE0
from napari_mil.encoders.encoder import Encoder, Precision
from napari_mil.encoders.threads import single_threaded_pool
from napari_mil.networks.efficientnet_lite import (
    LEVEL_SCALE,
    MEAN_LEVEL,
    EfficientNetLite0Trunk,
    as_levels,
    released_weights,
)
from napari_mil.networks.folding import FoldedTrunk

VERSION = "efficientnet-lite0/1"
"""Name of this definition of the features; part of the fingerprint."""
TAPS = (4, 10)
"""Blocks whose maps are averaged: 40 channels at 1/8 of the tile's side, 112 at 1/16."""
BLOCK_PX = 200_704
"""Pixels that pass through the network together on the CPU: 4 tiles of 224 px.

The maps of one block then stay in the processor's cache.
"""
LARGEST_BLOCK = 16
"""Tiles that pass through together at most on the CPU."""


class EfficientNetLite0Encoder(Encoder):
    """Encoder of tiles by a cut EfficientNet-Lite0.

    Memory does not depend on the number of tiles. Vectors of the two precisions may be mixed:
    they agree within the card's tolerance and share the fingerprint.

    Parameters
    ----------
    device, threads
        See `Encoder`.
    precision
        ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 on CPUs with units for it.
    trunk
        Network with its weights; None takes those of the release.
    """

    card = EFFICIENTNET_LITE0

    def __init__(
        self,
        device: torch.device,
        threads: int | None = None,
        *,
        precision: Precision = "auto",
        trunk: EfficientNetLite0Trunk | None = None,
    ) -> None:
        super().__init__(device, threads)
        if precision == "auto":
            precision = "bfloat16" if device.type == "cpu" and has_bfloat16_units() else "float32"
        self.precision = precision
        trunk = trunk or released_trunk()
        self.trunk = trunk
        """Network with its weights, on the CPU."""
        constants = repr((VERSION, TAPS, MEAN_LEVEL, LEVEL_SCALE, weights_fingerprint(trunk)))
        self._fingerprint = hashlib.sha256(constants.encode()).hexdigest()[:32]
        self._network = FoldedTrunk(trunk, getattr(torch, precision)).to(device).eval()
        self._pool = None
        if device.type == "cpu":
            self._pool = single_threaded_pool(self.threads, self.name)

    @property
    def fingerprint(self) -> str:
        """Hash of the version, of the constants and of the weights."""
        return self._fingerprint

    def to(self, device: torch.device) -> EfficientNetLite0Encoder:
        """Return the same encoder on another device."""
        return EfficientNetLite0Encoder(device, self.threads, precision=self.precision)

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode tiles.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB; H and W at least 32.

        Returns
        -------
        np.ndarray
            float32 (B, 304): of the maps of block 4, then of block 10, means over the tile and
            means over the middle half of its height and width.

        Raises
        ------
        ValueError
            If the array is no batch of RGB tiles of that size.
        """
        self._check(tiles)
        if len(tiles) == 0:
            return np.empty((0, self.dim), np.float32)
        return self._in_blocks(tiles, self._means)

    def maps(self, tiles: np.ndarray) -> np.ndarray:
        """Return the maps of the last block.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB; H and W at least 32.

        Returns
        -------
        np.ndarray
            float32 (B, 112, ceil(H / 16), ceil(W / 16)).

        Raises
        ------
        ValueError
            If the array is no batch of RGB tiles of that size, or is empty.
        """
        self._check(tiles)
        if len(tiles) == 0:
            raise ValueError("maps need at least one tile")
        return self._in_blocks(tiles, self._last_maps)

    def _check(self, tiles: np.ndarray) -> None:
        """Refuse what is no batch of tiles."""
        is_rgb_batch = tiles.dtype == np.uint8 and tiles.ndim == 4 and tiles.shape[3] == 3
        if not is_rgb_batch or min(tiles.shape[1:3]) < self.smallest_tile:
            raise ValueError(
                f"tiles are uint8 (B, H, W, 3) of at least {self.smallest_tile} pixels a side, "
                f"not {tiles.dtype} {tiles.shape}"
            )

    def _in_blocks(self, tiles: np.ndarray, compute: Callable[[np.ndarray], Tensor]) -> np.ndarray:
        """Compute something of tiles, in blocks that fit into the cache."""
        if self._pool is None:
            return compute(tiles).cpu().numpy()
        size = int(np.clip(BLOCK_PX // (tiles.shape[1] * tiles.shape[2]), 1, LARGEST_BLOCK))
        blocks = [tiles[k : k + size] for k in range(0, len(tiles), size)]
        return np.concatenate([block.numpy() for block in self._pool.map(compute, blocks)])

    @torch.inference_mode()
    def _means(self, tiles: np.ndarray) -> Tensor:
        """Compute the vectors of tiles: float32 (B, dim) on the device."""
        return vectors_of(self._network(as_levels(torch.tensor(tiles, device=self.device))))

    @torch.inference_mode()
    def _last_maps(self, tiles: np.ndarray) -> Tensor:
        """Compute the maps of the last block: float32 (B, C, h, w) on the device."""
        last: Tensor = self._network(as_levels(torch.tensor(tiles, device=self.device)))[-1]
        return last.float().contiguous()


def released_trunk() -> EfficientNetLite0Trunk:
    """Return the network with the ImageNet weights of its release.

    Raises
    ------
    CheckpointError
        See `released_weights`.
    """
    trunk = EfficientNetLite0Trunk(TAPS).eval()
    released = released_weights()
    trunk.load_state_dict({name: released[name] for name in trunk.state_dict()})
    return trunk


def vectors_of(maps: tuple[Tensor, ...]) -> Tensor:
    """Return the vectors (B, dim) of the maps (B, C, h, w) of every tap: their means."""
    parts = [part for each in maps for part in (each, middle(each))]
    return torch.cat([part.float().mean((2, 3)) for part in parts], 1)


def middle(maps: Tensor) -> Tensor:
    """Return the middle half, in each direction, of maps (B, C, h, w)."""
    height, width = maps.shape[2:]
    return maps[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]


def has_bfloat16_units() -> bool:
    """Say whether this CPU multiplies bfloat16 itself, which is faster than float32."""
    # Older versions of torch do not tell.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
