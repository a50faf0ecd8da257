"""Encoders by foundation models: vision transformers of timm with the authors' weights."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.encoders.backbone import resized, weights_fingerprint
from napari_mil.encoders.encoder import Encoder
from napari_mil.encoders.foundation_cards import EXTRA, Embedding, FoundationModel
from napari_mil.encoders.weight_files import fill, find_weights
from napari_mil.errors import CheckpointError, short_cause

TILES_AT_ONCE = 8
"""Tiles that pass through the network together."""


class FoundationEncoder(Encoder):
    """Encoder of tiles by a foundation model, in float32.

    Tiles of another size than the card's are resized as a whole.

    Parameters
    ----------
    model
        Entry of `FOUNDATION_MODELS`.
    weights
        File with its weights, or folder with one; None looks in the user's folder and downloads.
    device, threads
        See `Encoder`.

    Raises
    ------
    CheckpointError
        If weights are missing, are not those of the model, or the extra is not installed.
    """

    def __init__(
        self,
        model: FoundationModel,
        weights: Path | None,
        device: torch.device,
        threads: int | None = None,
    ) -> None:
        super().__init__(device, threads)
        self.model = model
        self.card = model.card
        network = build_network(model)
        fill(network, model, find_weights(model, weights))
        self._fingerprint = fingerprint_of(model, network)
        self._network = network.to(device).eval()
        self._mean, self._scale = _normalisation(model, device)

    @property
    def fingerprint(self) -> str:
        """Hash of the weights and of every rule between a tile and its vector."""
        return self._fingerprint

    def to(self, device: torch.device) -> FoundationEncoder:
        """Return this encoder, moved to another device."""
        self.device = device
        self._network = self._network.to(device)
        self._mean, self._scale = _normalisation(self.model, device)
        return self

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode tiles.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3), RGB.

        Returns
        -------
        np.ndarray
            float32 (B, dim).

        Raises
        ------
        ValueError
            If the array is no batch of RGB tiles of at least the smallest side.
        """
        is_rgb_batch = tiles.dtype == np.uint8 and tiles.ndim == 4 and tiles.shape[3] == 3
        if not is_rgb_batch or min(tiles.shape[1:3]) < self.smallest_tile:
            raise ValueError(
                f"tiles are uint8 (B, H, W, 3) of at least {self.smallest_tile} pixels a side, "
                f"not {tiles.dtype} {tiles.shape}"
            )
        parts = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(tiles), TILES_AT_ONCE):
            parts.append(self._vectors(tiles[start : start + TILES_AT_ONCE]).cpu().numpy())
        return np.concatenate(parts)

    @torch.inference_mode()
    def _vectors(self, tiles: np.ndarray) -> Tensor:
        """Compute the vectors (B, dim) of some tiles."""
        whole = resized(tiles, self.tile_px)
        margin = (self.tile_px - self.model.input_px) // 2
        middle = slice(margin, margin + self.model.input_px)
        pixels = torch.tensor(whole[:, middle, middle], device=self.device)
        images = (pixels.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._scale
        if self.model.embedding is Embedding.POOLED:
            output = self._network(images)
            maps: Tensor = output[0] if isinstance(output, list) else output
            return maps.mean((2, 3)) if maps.ndim == 4 else maps
        tokens: Tensor = self._network.forward_features(images)  # type: ignore[operator]
        if self.model.embedding is Embedding.CLASS_TOKEN:
            return tokens[:, 0]
        # Registers stand between the class token and the patches.
        patches = tokens[:, int(self._network.num_prefix_tokens) :]  # type: ignore[arg-type]
        return torch.cat([tokens[:, 0], patches.mean(1)], 1)


def build_network(model: FoundationModel) -> nn.Module:
    """Build the network of a model without values, on the meta device.

    A tensor that no file fills can then never pass for a weight.

    Raises
    ------
    CheckpointError
        If the extra is not installed.
    """
    try:
        import timm
        from timm.layers import SwiGLUPacked
    except (ImportError, RuntimeError) as error:  # torchvision of another build raises the latter
        raise CheckpointError(
            f"The encoder {model.card.name} is built by timm, which is not here "
            f"({short_cause(error)}); install {EXTRA}."
        ) from error
    options: dict[str, Any] = dict(model.architecture.options)
    if model.architecture.gated_mlp:
        options |= {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    if "features_only" not in options:
        options["num_classes"] = 0
    if model.embedding is not Embedding.POOLED:
        # timm's own pooling would leave tokens out, and may replace the last norm.
        options["global_pool"] = "token"
        options["norm_layer"] = partial(nn.LayerNorm, eps=model.architecture.norm_epsilon)
    with torch.device("meta"):
        network: nn.Module = timm.create_model(model.architecture.name, pretrained=False, **options)
    return network


def fingerprint_of(model: FoundationModel, network: nn.Module) -> str:
    """Return the hash of the weights and of every rule between a tile and its vector."""
    rules = (
        model.architecture.name,
        sorted(model.architecture.options.items()),
        model.architecture.norm_epsilon,
        model.embedding.value,
        model.card.tile_px,
        model.input_px,
        model.card.normalisation,
        weights_fingerprint(network),
    )
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:32]


def _normalisation(model: FoundationModel, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and scale (3, 1, 1) of pixels in 0 ... 1."""
    assert model.card.normalisation is not None
    mean = torch.tensor(model.card.normalisation.mean, device=device)
    scale = torch.tensor(model.card.normalisation.scale, device=device)
    return mean[:, None, None], scale[:, None, None]
