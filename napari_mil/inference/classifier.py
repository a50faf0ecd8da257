"""Classifiers: encoder, standardisation, aggregator and classes in one bundle."""

from __future__ import annotations

import hashlib
import json
import os
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_mil.aggregators import (
    Aggregator,
    create_aggregator,
    load_published_checkpoint,
)
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.encoders import BackboneEncoder, Encoder
from napari_mil.encoders.adapted import trunk_of
from napari_mil.encoders.adapted_cards import BASES, IMPLEMENTATION
from napari_mil.encoders.cards import EncoderCard
from napari_mil.errors import (
    CheckpointError,
    ClassifierError,
    NapariMilError,
    OutputError,
    short_cause,
)
from napari_mil.files import whole_folder_or_nothing, whole_or_nothing
from napari_mil.inference.card import (
    CARD_FILE,
    FEATURES,
    NOTES_FILE,
    WEIGHTS_FILE,
    ClassifierCard,
)
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.library import find_card
from napari_mil.inference.likeness import Likeness, Unlikeness, as_vectors
from napari_mil.inference.loaded_encoders import loaded_adapted_encoder, loaded_encoder
from napari_mil.networks import create_backbone
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk
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
    """(D,): divisor of each centred feature."""
    backbone: nn.Module | None = None
    """Network trained together with the aggregator, or None."""
    likeness: Likeness | None = None
    """Description of its training features, or None where the bundle has none."""
    adapted: EfficientNetLite0Trunk | None = None
    """Network of an encoder that was adapted beforehand, or None."""

    @property
    def fingerprint(self) -> str:
        """Stable id of everything that decides an answer.

        It covers the weights, the tiling, the encoder, the link and its calibration.
        """
        card = self.card
        facts = (
            card.classes,
            card.link,
            card.instances,
            None if card.encoder is None else card.encoder.facts(),
            card.tile_px,
            card.mpp,
            card.overlap,
            asdict(card.aggregator),
            card.temperature,
            card.threshold,
        )
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for key, tensor in sorted(self.tensors().items()):
            digest.update(key.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:32]

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights by name, on the CPU.

        ``weights.safetensors`` holds them under these names.
        """
        weights = {
            AGGREGATOR_PREFIX + key: tensor for key, tensor in self.aggregator.state_dict().items()
        }
        network = self.backbone or self.adapted
        if network is not None:
            weights |= {
                BACKBONE_PREFIX + key: tensor for key, tensor in network.state_dict().items()
            }
        if self.likeness is not None:
            arrays = self.likeness.tensors()
            weights |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {
            key: tensor.detach().cpu().contiguous()
            for key, tensor in {**weights, MEAN: self.mean, SCALE: self.scale}.items()
        }

    def create_encoder(self, device: torch.device, threads: int | None = None) -> Encoder:
        """Return the encoder that the aggregator was trained on; it may be one that is loaded.

        Raises
        ------
        ClassifierError
            If it was trained on bare features, or on another version of the encoder.
        """
        card = self.card
        if card.encoder is None:
            raise ClassifierError(
                f"The classifier {card.name} was trained on bare features without an encoder; "
                "give it a feature file, not a slide."
            )
        if self.backbone is not None:
            return BackboneEncoder(
                card.encoder.name,
                self.backbone,
                int(card.tile_px or 0),
                card.mpp or 0.0,
                device,
                threads,
            )
        if self.adapted is not None:
            encoder: Encoder = loaded_adapted_encoder(
                _adapted_card(card), self.adapted, card.encoder.fingerprint, device, threads
            )
        else:
            encoder = loaded_encoder(card.encoder.name, device, threads)
        if encoder.fingerprint != card.encoder.fingerprint:
            raise ClassifierError(
                f"The classifier {card.name} was trained on another version of the encoder "
                f"{encoder.name!r}; train it again."
            )
        return encoder

    def to(self, device: torch.device) -> Classifier:
        """Return the same classifier on another device.

        This one stays where it is.
        """
        if device == self.mean.device:
            return self
        return replace(
            self,
            aggregator=deepcopy(self.aggregator).to(device),
            mean=self.mean.to(device),
            scale=self.scale.to(device),
        )

    def standardise(self, features: np.ndarray) -> Tensor:
        """Return standardised features on the aggregator's device.

        Parameters
        ----------
        features
            float32 (N, D) or (N, D, H, W).
        """
        values = torch.from_numpy(features).to(self.mean.device)
        shape = (-1, *(1,) * (values.ndim - 2))
        return (values - self.mean.reshape(shape)) / self.scale.reshape(shape)

    def unlikeness(self, features: np.ndarray) -> Unlikeness | None:
        """Return how unlike its training data a bag is, or None where the bundle cannot tell.

        Parameters
        ----------
        features
            float32 (N, D) or (N, D, H, W), not standardised.
        """
        if self.likeness is None:
            return None
        vectors = as_vectors(features)
        mean = self.mean.cpu().numpy()
        return self.likeness.unlikeness((vectors - mean) / self.scale.cpu().numpy())

    def save(self, folder: str | os.PathLike[str], notes: str) -> None:
        """Write the bundle, whole or not at all.

        Parameters
        ----------
        folder
            Gets ``classifier.json``, ``weights.safetensors`` and ``card.md``.
        notes
            Text of ``card.md``.

        Raises
        ------
        OutputError
            If it cannot be written; what was there before stays.
        """
        target = Path(folder)
        try:
            with whole_folder_or_nothing(target) as part:
                save_file(self.tensors(), part / WEIGHTS_FILE)
                write_card(self.card, notes, part)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"The classifier cannot be written to {target.parent} ({error}); "
                "make room or choose another folder."
            ) from error


def write_card(card: ClassifierCard, notes: str, folder: Path) -> None:
    """Write ``classifier.json`` and ``card.md`` into a bundle."""
    for name, text in (
        (NOTES_FILE, notes),
        (CARD_FILE, json.dumps(card.as_dict(), indent=2, ensure_ascii=False) + "\n"),
    ):
        with whole_or_nothing(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def load_classifier(
    name_or_path: str | Path | ClassifierCard, settings: Settings | None = None
) -> Classifier:
    """Load a classifier by name, folder or card.

    Raises
    ------
    UnknownNameError
        If there is no classifier of that name.
    ClassifierError
        If the bundle is damaged.
    CheckpointError
        If the card is of another project's checkpoint that no longer opens.
    """
    card = name_or_path
    if not isinstance(card, ClassifierCard):
        card = find_card(card, settings)
    if card.checkpoint is not None:
        return open_published(card.checkpoint)
    assert card.folder is not None
    try:
        return _load(card, card.folder)
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
        reason = short_cause(error)
        raise ClassifierError(
            f"The classifier {card.name} cannot be loaded ({reason}); copy the bundle again."
        ) from error


def _load(card: ClassifierCard, folder: Path) -> Classifier:
    weights = load_file(folder / WEIGHTS_FILE)
    maps = card.encoder is not None and card.encoder.maps
    aggregator = create_aggregator(
        card.aggregator.name,
        card.in_dim,
        card.n_outputs,
        multi_label=card.multi_label,
        spatial_dims=2 if maps else 1,
        **card.aggregator.options,
    )
    backbone = None
    if card.encoder is not None and card.encoder.trained:
        backbone = create_backbone(card.encoder.name, card.tile_px, maps)
        backbone.load_state_dict(_select_prefix(BACKBONE_PREFIX, weights))
        backbone.eval()
    adapted = None
    if card.encoder is not None and card.encoder.adapted_from:
        if card.encoder.adapted_from not in BASES:
            raise ClassifierError(
                f"it rests on an adapted {card.encoder.adapted_from}, unknown to this version"
            )
        adapted = trunk_of(_select_prefix(BACKBONE_PREFIX, weights))
    aggregator.load_state_dict(_select_prefix(AGGREGATOR_PREFIX, weights))
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    likeness = Likeness.from_tensors(arrays)
    return Classifier(
        card, aggregator.eval(), weights[MEAN], weights[SCALE], backbone, likeness, adapted
    )


def _adapted_card(card: ClassifierCard) -> EncoderCard:
    """Return the card of the adapted encoder whose weights lie in a bundle."""
    assert card.encoder is not None
    base = BASES[card.encoder.adapted_from]
    return replace(
        base,
        name=card.encoder.name,
        title=f"{base.title}, adapted",
        source=f"{base.name} adapted; its weights lie in the classifier {card.name}",
        licence=card.licence,
        implementation=IMPLEMENTATION,
        base=base.name,
    )


def _select_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def open_published(path: Path) -> Classifier:
    """Open another project's checkpoint as a classifier of feature bags.

    Bags need features of its width. Its classes have no names in the file: they are numbered, or
    negative and positive.

    Raises
    ------
    CheckpointError
        If the file cannot be opened safely, or its tensors are of no known project.
    """
    try:
        aggregator = load_published_checkpoint(path).eval()
    except OSError as error:
        raise CheckpointError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    n_outputs = aggregator.n_classes
    classes: tuple[str, ...] = ("negative", "positive")
    link = "sigmoid"
    if n_outputs > 1:
        classes = tuple(f"class {k}" for k in range(n_outputs))
        link = "multi-label" if aggregator.multi_label else "softmax"
    project = type(aggregator).__name__
    card = ClassifierCard(
        name=path.name,
        title=f"Published checkpoint ({project})",
        classes=classes,
        link=link,
        encoder=None,
        in_dim=aggregator.in_dim,
        tile_px=None,
        mpp=None,
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef(_registered_name(aggregator)),
        temperature=1.0,
        threshold=0.5,
        licence="that of the project it comes from",
        intended_use="Research use only; not for diagnosis.",
        instances=FEATURES,
        checkpoint=path,
    )
    return Classifier(
        card, aggregator, torch.zeros(aggregator.in_dim), torch.ones(aggregator.in_dim)
    )


def _registered_name(aggregator: Aggregator) -> str:
    """Return the name of an aggregator's class in the registry."""
    path = f"{type(aggregator).__module__}:{type(aggregator).__qualname__}"
    names = (card.name for card in AGGREGATORS.values() if card.implementation == path)
    return next(names, type(aggregator).__name__)
