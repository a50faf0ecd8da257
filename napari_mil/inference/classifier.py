"""A classifier: encoder, standardisation, aggregator and classes, as one bundle on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_mil.aggregators import Aggregator, create_aggregator
from napari_mil.errors import ClassifierError, NapariMilError
from napari_mil.inference.card import CARD_FILE, NOTES_FILE, WEIGHTS_FILE, ClassifierCard, find_card
from napari_mil.settings import Settings

AGGREGATOR_PREFIX, MEAN, SCALE = "aggregator.", "features.mean", "features.scale"


@dataclass(frozen=True)
class Classifier:
    """A card with its weights, ready to run."""

    card: ClassifierCard
    aggregator: Aggregator
    mean: Tensor
    """(D,): mean of each feature over the training instances."""
    scale: Tensor
    """(D,): what centred features are divided by."""

    @property
    def fingerprint(self) -> str:
        """Stable id of the weights and of what turns logits into an answer."""
        card = self.card
        facts = [card.classes, card.link, card.encoder, card.tile_px, card.mpp, card.overlap, card.aggregator, card.temperature, card.threshold]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for key, tensor in sorted(self.tensors().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:32]

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights on the CPU by name, as ``weights.safetensors`` holds them."""
        weights = {AGGREGATOR_PREFIX + key: tensor for key, tensor in self.aggregator.state_dict().items()}
        return {key: tensor.detach().cpu().contiguous() for key, tensor in {**weights, MEAN: self.mean, SCALE: self.scale}.items()}

    def to(self, device: torch.device) -> Classifier:
        """Return the same classifier on another device; this one stays where it is."""
        if device == self.mean.device:
            return self
        return replace(self, aggregator=deepcopy(self.aggregator).to(device), mean=self.mean.to(device), scale=self.scale.to(device))

    def standardise(self, features: np.ndarray) -> Tensor:
        """Return features (N, D) as the aggregator was trained on them, on its device."""
        return (torch.from_numpy(features).to(self.mean.device) - self.mean) / self.scale

    def save(self, folder: str | os.PathLike[str], notes: str) -> None:
        """Write the bundle: ``classifier.json``, ``weights.safetensors``, ``card.md`` (the given text)."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors(), target / WEIGHTS_FILE)
        (target / NOTES_FILE).write_text(notes, encoding="utf-8")
        (target / CARD_FILE).write_text(json.dumps(self.card.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_classifier(name_or_path: str | Path | ClassifierCard, settings: Settings | None = None) -> Classifier:
    """Load a classifier by name, by the folder of its bundle, or by its card.

    Raises
    ------
    UnknownNameError
        If nothing is called so.
    ClassifierError
        If the bundle is damaged.
    """
    card = name_or_path if isinstance(name_or_path, ClassifierCard) else find_card(name_or_path, settings)
    assert card.folder is not None
    options: Mapping[str, Any] = card.aggregator.get("options", {})
    try:
        weights = load_file(card.folder / WEIGHTS_FILE)
        aggregator = create_aggregator(card.aggregator["name"], card.in_dim, card.n_outputs, multi_label=card.multi_label, **options)
        aggregator.load_state_dict({key.removeprefix(AGGREGATOR_PREFIX): weights[key] for key in weights if key.startswith(AGGREGATOR_PREFIX)})
        return Classifier(card, aggregator.eval(), weights[MEAN], weights[SCALE])
    except (OSError, SafetensorError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, NapariMilError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(f"The classifier {card.name} cannot be loaded ({reason}); copy the bundle again.") from error
