"""A classifier: encoder, standardisation, aggregator and classes, as one bundle on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_mil.aggregators import Aggregator, create_aggregator
from napari_mil.encoders import BackboneEncoder, Encoder, create_encoder
from napari_mil.errors import ClassifierError, NapariMilError, OutputError
from napari_mil.files import whole_or_nothing
from napari_mil.inference.card import (
    CARD_FILE,
    NOTES_FILE,
    TILES,
    WEIGHTS_FILE,
    ClassifierCard,
    find_card,
)
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.settings import Settings

AGGREGATOR_PREFIX, BACKBONE_PREFIX = "aggregator.", "encoder."
MEAN, SCALE = "features.mean", "features.scale"


@dataclass(frozen=True)
class Classifier:
    """A card with its weights, ready to run."""

    card: ClassifierCard
    aggregator: Aggregator
    mean: Tensor
    """(D,): mean of each feature over the training instances."""
    scale: Tensor
    """(D,): what centred features are divided by."""
    backbone: nn.Module | None = None
    """The network that was trained together with the aggregator, where there is one."""

    @property
    def fingerprint(self) -> str:
        """Stable id of the weights and of what turns logits into an answer."""
        card = self.card
        facts = [
            card.classes,
            card.link,
            card.encoder,
            card.tile_px,
            card.mpp,
            card.overlap,
            card.aggregator,
            card.temperature,
            card.threshold,
        ]
        facts += [card.instances] if card.instances != TILES else []
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for key, tensor in sorted(self.tensors().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:32]

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights on the CPU by name, as ``weights.safetensors`` holds them."""
        weights = {
            AGGREGATOR_PREFIX + key: tensor for key, tensor in self.aggregator.state_dict().items()
        }
        if self.backbone is not None:
            weights |= {
                BACKBONE_PREFIX + key: tensor for key, tensor in self.backbone.state_dict().items()
            }
        return {
            key: tensor.detach().cpu().contiguous()
            for key, tensor in {**weights, MEAN: self.mean, SCALE: self.scale}.items()
        }

    def create_encoder(self, device: torch.device, threads: int | None = None) -> Encoder:
        """Make the encoder that the aggregator was trained on.

        Raises
        ------
        ClassifierError
            If it was trained on bare features, or on another version of the encoder.
        """
        card = self.card
        if card.encoder is None:
            raise ClassifierError(
                f"The classifier {card.name} was trained on bare features without an encoder; give it a feature file, not a slide."
            )
        if self.backbone is not None:
            return BackboneEncoder(
                card.encoder["name"],
                self.backbone,
                int(card.tile_px or 0),
                card.mpp or 0.0,
                device,
                threads,
            )
        encoder = create_encoder(card.encoder["name"], device=device, threads=threads)
        if encoder.fingerprint != card.encoder["fingerprint"]:
            raise ClassifierError(
                f"The classifier {card.name} was trained on another version of the encoder {encoder.name!r}; train it again."
            )
        return encoder

    def to(self, device: torch.device) -> Classifier:
        """Return the same classifier on another device; this one stays where it is."""
        if device == self.mean.device:
            return self
        return replace(
            self,
            aggregator=deepcopy(self.aggregator).to(device),
            mean=self.mean.to(device),
            scale=self.scale.to(device),
        )

    def standardise(self, features: np.ndarray) -> Tensor:
        """Return features (N, D) as the aggregator was trained on them, on its device."""
        values = torch.from_numpy(features).to(self.mean.device)
        shape = (-1, *(1,) * (values.ndim - 2))
        return (values - self.mean.reshape(shape)) / self.scale.reshape(shape)

    def save(self, folder: str | os.PathLike[str], notes: str) -> None:
        """Write the bundle: ``classifier.json``, ``weights.safetensors``, ``card.md`` (the given text); whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        target = Path(folder)
        part = target.with_name(f".partial-{target.name}")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            save_file(self.tensors(), part / WEIGHTS_FILE)
            write_card(self.card, notes, part)
            if target.exists():
                shutil.rmtree(target)
            part.replace(target)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise OutputError(
                f"The classifier cannot be written to {target.parent} ({error}); make room or choose another folder."
            ) from error


def write_card(card: ClassifierCard, notes: str, folder: Path) -> None:
    """Write what a bundle says about itself, to machines and to people."""
    for name, text in (
        (NOTES_FILE, notes),
        (CARD_FILE, json.dumps(card.as_dict(), indent=2, ensure_ascii=False) + "\n"),
    ):
        with whole_or_nothing(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def load_classifier(
    name_or_path: str | Path | ClassifierCard, settings: Settings | None = None
) -> Classifier:
    """Load a classifier by name, by the folder of its bundle, or by its card.

    Raises
    ------
    UnknownNameError
        If nothing is called so.
    ClassifierError
        If the bundle is damaged.
    """
    card = (
        name_or_path
        if isinstance(name_or_path, ClassifierCard)
        else find_card(name_or_path, settings)
    )
    assert card.folder is not None
    options: Mapping[str, Any] = card.aggregator.get("options", {})
    try:
        weights = load_file(card.folder / WEIGHTS_FILE)
        maps = bool(card.encoder and card.encoder.get("maps"))
        aggregator = create_aggregator(
            card.aggregator["name"],
            card.in_dim,
            card.n_outputs,
            multi_label=card.multi_label,
            spatial_dims=2 if maps else 1,
            **options,
        )
        backbone = None
        if card.encoder and card.encoder["name"] in BACKBONES:
            backbone = create_backbone(card.encoder["name"], card.tile_px, maps)
            backbone.load_state_dict(
                {
                    key.removeprefix(BACKBONE_PREFIX): weights[key]
                    for key in weights
                    if key.startswith(BACKBONE_PREFIX)
                }
            )
            backbone.eval()
        aggregator.load_state_dict(
            {
                key.removeprefix(AGGREGATOR_PREFIX): weights[key]
                for key in weights
                if key.startswith(AGGREGATOR_PREFIX)
            }
        )
        return Classifier(card, aggregator.eval(), weights[MEAN], weights[SCALE], backbone)
    except (
        OSError,
        SafetensorError,
        LookupError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        NapariMilError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(
            f"The classifier {card.name} cannot be loaded ({reason}); copy the bundle again."
        ) from error
