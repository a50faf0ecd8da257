"""Encoder adapted to slides of one's own: the embedded network with other weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_mil.encoders.adapted_cards import (
    CARD_FILE,
    WEIGHTS_FILE,
    AdaptedEncoderCard,
    read_adapted_card,
)
from napari_mil.encoders.cards import EncoderCard
from napari_mil.encoders.efficientnet_lite import TAPS, EfficientNetLite0Encoder
from napari_mil.encoders.encoder import Precision
from napari_mil.errors import CheckpointError, OutputError, short_cause
from napari_mil.files import whole_folder_or_nothing
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk


class AdaptedEncoder(EfficientNetLite0Encoder):
    """Encoder of tiles by a cut EfficientNet-Lite0 with weights of the user's own.

    Parameters
    ----------
    card
        Its card.
    trunk
        Network with the weights.
    device, threads, precision
        See `EfficientNetLite0Encoder`.
    """

    def __init__(
        self,
        card: EncoderCard,
        trunk: EfficientNetLite0Trunk,
        device: torch.device,
        threads: int | None = None,
        *,
        precision: Precision = "auto",
    ) -> None:
        self.card = card
        super().__init__(device, threads, precision=precision, trunk=trunk)

    @classmethod
    def open(
        cls,
        folder: Path,
        device: torch.device,
        threads: int | None = None,
        *,
        precision: Precision = "auto",
    ) -> AdaptedEncoder:
        """Open the encoder in a folder.

        Raises
        ------
        CheckpointError
            If its files are missing or damaged, or do not belong together.
        """
        described = read_adapted_card(folder)
        encoder = cls(described.card, read_trunk(folder), device, threads, precision=precision)
        if encoder.fingerprint != described.fingerprint:
            raise CheckpointError(
                f"{WEIGHTS_FILE} of the encoder {folder.name} is not the one that {CARD_FILE} "
                "describes; copy both files again."
            )
        return encoder

    def to(self, device: torch.device) -> AdaptedEncoder:
        """Return the same encoder on another device."""
        return AdaptedEncoder(self.card, self.trunk, device, self.threads, precision=self.precision)


def read_trunk(folder: Path) -> EfficientNetLite0Trunk:
    """Read the network in a folder.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or does not hold all its weights.
    """
    file = folder / WEIGHTS_FILE
    try:
        return trunk_of(load_file(file))
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{WEIGHTS_FILE} of the encoder {folder.name} cannot be used ({short_cause(error)}); "
            "copy the encoder again."
        ) from error


def trunk_of(weights: Mapping[str, Tensor]) -> EfficientNetLite0Trunk:
    """Return the network with these weights, all of them.

    Raises
    ------
    RuntimeError
        If one is missing, unknown or of another shape.
    ValueError
        If one is no number.
    """
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise ValueError("a weight is no number")
    trunk = EfficientNetLite0Trunk(TAPS).eval()
    trunk.load_state_dict(dict(weights))
    return trunk


def write_encoder(
    card: AdaptedEncoderCard, trunk: EfficientNetLite0Trunk, folder: str | os.PathLike[str]
) -> None:
    """Write an encoder into a folder, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written; what was there before stays.
    """
    target = Path(folder)
    weights = {name: tensor.detach().cpu() for name, tensor in trunk.state_dict().items()}
    text = json.dumps(card.as_dict(), indent=2, ensure_ascii=False) + "\n"
    try:
        with whole_folder_or_nothing(target) as part:
            save_file(
                {name: each.contiguous() for name, each in weights.items()}, part / WEIGHTS_FILE
            )
            (part / CARD_FILE).write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The encoder cannot be written to {target.parent} ({error}); "
            "make room or choose another folder."
        ) from error
