"""Networks that are trained: aggregators, backbones and miners."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.aggregators import Aggregator, create_aggregator, create_miner
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.mining.miner import Miner
from napari_mil.encoders import BackboneEncoder
from napari_mil.errors import OptionError
from napari_mil.events import Fallback, OnEvent
from napari_mil.inference.classifier import Classifier
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import TrainingConfig
from napari_mil.training.memory import measure_bytes_per_image, memory_budget
from napari_mil.training.store import BagStore

LARGEST_CHUNK = 64
"""Most images in a chunk; more are not faster."""
Embedding = Literal["features", "joint", "chunks", "frozen"]


@dataclass(frozen=True)
class Plan:
    """What is built, decided once per run."""

    n_outputs: int
    """Number of logits: one for two exclusive classes, otherwise one per class.

    Two for two where the method has a part for each class.
    """
    multi_label: bool
    in_dim: int
    """Features of an instance that the aggregator takes."""
    maps: bool
    """Whether the aggregator takes maps (D, h, w) instead of vectors."""
    embedding: Embedding
    """How instances become features.

    ``features`` that do not change, or a network that is trained as a whole (``joint``), trained
    in ``chunks``, or ``frozen``.
    """
    chunk: int | None
    """Images that pass the network at a time."""
    aggregator_options: Mapping[str, Any]
    activation_bytes: int = field(default=0, repr=False, compare=False)
    """Memory of activations in a trained network, in bytes."""


def make_plan(
    config: TrainingConfig, store: BagStore, start: Classifier | None, on_event: OnEvent
) -> Plan:
    """Decide what is built.

    How large bags meet a network in training is decided by measuring it, and `on_event` is called
    with the choice.

    Raises
    ------
    OptionError
        If the classifier to start from has another aggregator, or takes other features.
    """
    cohort = store.cohort
    if start is not None:
        _check_start(config, store, start)
    n_outputs = _count_outputs(config, cohort, start)
    options = dict(config.aggregator_options)
    if start is not None:
        options = {**start.card.aggregator.options, **options}
    if config.alternate_streams and config.aggregator == "dsmil":
        options["stream_losses"] = True
    name = store.instances.encoder
    if not store.instances.trained or name is None:
        return Plan(n_outputs, cohort.multi_label, store.dim, False, "features", None, options)
    maps = config.takes_maps
    backbone = create_backbone(name, store.instances.tile_px, maps)
    embedding, chunk, activation_bytes = _choose_embedding(config, backbone, store, on_event)
    dim = cast("int", backbone.out_dim)
    return Plan(
        n_outputs, cohort.multi_label, dim, maps, embedding, chunk, options, activation_bytes
    )


def _count_outputs(config: TrainingConfig, cohort: Cohort, start: Classifier | None) -> int:
    """Return the number of logits; a start of as many classes has settled it."""
    n_classes = len(cohort.classes)
    if n_classes != 2 or cohort.multi_label:
        return n_classes
    if start is not None and len(start.card.classes) == 2 and not start.card.multi_label:
        return start.card.n_outputs
    return 2 if AGGREGATORS[config.aggregator].branch_of_each_class else 1


def _choose_embedding(
    config: TrainingConfig, backbone: nn.Module, store: BagStore, on_event: OnEvent
) -> tuple[Embedding, int | None, int]:
    """Choose how bags of images meet the network.

    Decided by the activations of one image, the largest bag and the memory budget.

    Returns
    -------
    tuple
        Embedding, images in a chunk, and memory of activations in bytes.
    """
    assert store.instances.encoder is not None
    assert store.instances.tile_px is not None
    channels = BACKBONES[store.instances.encoder].channels
    per_image = measure_bytes_per_image(backbone, channels, store.instances.tile_px)
    budget = memory_budget(config)
    largest = max(store.sizes)
    needed = per_image * largest
    chunk = config.chunk or max(1, min(LARGEST_CHUNK, int(budget // per_image)))
    embedding: Embedding
    if config.backbone != "auto":
        embedding = config.backbone
    else:
        if needed <= budget:
            embedding = "joint"
            choice = "The network is trained together with the aggregator"
        elif per_image <= budget:
            embedding = "chunks"
            choice = f"The network is trained in chunks of {chunk} images, computed twice"
        else:
            embedding = "frozen"
            choice = "The network stays as it is, and the aggregator alone is trained"
        reason = (
            f"the largest bag has {largest} images of {per_image / 1e6:.3g} MB of activations "
            f"each, {needed / 1e9:.2f} GB in all; {budget / 1e9:.2f} GB may be used"
        )
        on_event(Fallback(f"{choice}: {reason}."))
    if embedding == "chunks":
        return embedding, chunk, int(per_image * min(chunk, largest))
    if embedding == "joint":
        return embedding, None, int(per_image * largest)
    return embedding, None, 0


def build(
    config: TrainingConfig, plan: Plan, store: BagStore, start: Classifier | None, on_event: OnEvent
) -> Aggregator:
    """Build the network that is trained; seeded by the caller.

    An aggregator, a backbone with one, or a miner around either.
    """
    aggregator = _build_aggregator(config, plan, plan.n_outputs)
    network: Aggregator = aggregator
    if plan.embedding in ("joint", "chunks"):
        assert store.instances.encoder is not None
        standardised = Standardised(_build_backbone(plan, store, start), plan.in_dim)
        if start is not None and start.backbone is not None:
            standardised.mean.copy_(start.mean)
            standardised.scale.copy_(start.scale)
        channels = BACKBONES[store.instances.encoder].channels
        network = EndToEnd(standardised, aggregator, channels, plan.chunk)
    if start is not None:
        skipped: set[str] = set()
        if start.card.classes != store.cohort.classes:
            skipped = _class_tensors(config, plan, aggregator)
        fresh = copy_matching_tensors(aggregator, start.aggregator.state_dict(), skipped)
        if fresh:
            on_event(
                Fallback(
                    f"The classes are others than those of {start.card.name}: {', '.join(fresh)} "
                    "start fresh, everything else goes on learning."
                )
            )
    if config.mines:
        network = create_miner(config.strategy, network, **config.strategy_options)
    return network


def _build_aggregator(config: TrainingConfig, plan: Plan, n_outputs: int) -> Aggregator:
    options: dict[str, Any] = {
        "multi_label": plan.multi_label,
        "spatial_dims": 2 if plan.maps else 1,
        **plan.aggregator_options,
    }
    try:
        return create_aggregator(config.aggregator, plan.in_dim, n_outputs, **options)
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise OptionError(
            f"{config.aggregator} cannot be made with the options "
            f"{dict(plan.aggregator_options)} ({reason})."
        ) from error


def _build_backbone(plan: Plan, store: BagStore, start: Classifier | None) -> nn.Module:
    assert store.instances.encoder is not None
    backbone = create_backbone(store.instances.encoder, store.instances.tile_px, plan.maps)
    if start is not None and start.backbone is not None:
        backbone.load_state_dict(start.backbone.state_dict())
    return backbone


def encode_by_frozen_backbone(
    plan: Plan, store: BagStore, start: Classifier | None, device: torch.device
) -> tuple[BagStore, nn.Module]:
    """Encode images by a network that is not trained.

    Returns
    -------
    tuple
        The bags with its features, and the network.
    """
    backbone = _build_backbone(plan, store, start).eval()
    encoder = BackboneEncoder(
        str(store.instances.encoder),
        backbone,
        int(store.instances.tile_px or 0),
        device=device,
    )
    return store.encoded_by(encoder), backbone


class Standardised(nn.Module):
    """A backbone whose features are centred and scaled.

    The aggregator behind it expects them so; mean and scale are 0 and 1 for a fresh one.

    Parameters
    ----------
    network
        Images to vectors or maps.
    dim
        Length of the vectors, or channels of the maps, D.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, dim: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (N, C, H, W) into standardised features.

        Vectors (N, D) or maps (N, D, h, w).
        """
        features: Tensor = self.network(images)
        shape = (-1, *(1,) * (features.ndim - 2))
        return (features - self.mean.reshape(shape)) / self.scale.reshape(shape)


def scaling_of(start: Classifier | None, plan: Plan) -> tuple[np.ndarray, np.ndarray] | None:
    """Return mean and scale of the classifier to start from.

    None where there is no start, or where features change; the training bags then decide.
    """
    if start is None or plan.embedding not in ("features", "frozen"):
        return None
    if plan.embedding == "frozen" and start.backbone is None:
        return None
    return start.mean.numpy(), start.scale.numpy()


def parts_of(network: Aggregator) -> tuple[Aggregator, Standardised | None]:
    """Return the aggregator of a trained network, and its backbone or None."""
    inner = network.student if isinstance(network, Miner) else network
    if not isinstance(inner, EndToEnd):
        return inner, None
    assert isinstance(inner.backbone, Standardised)
    return inner.aggregator, inner.backbone


def copy_matching_tensors(
    aggregator: nn.Module, state: Mapping[str, Tensor], skipped: Collection[str] = ()
) -> list[str]:
    """Copy tensors whose name and shape match.

    Parameters
    ----------
    aggregator
        Network to copy to.
    state
        Tensors to copy from.
    skipped
        Names of tensors that are not copied.

    Returns
    -------
    list of str
        Names of the layers that keep a fresh tensor.
    """
    own = aggregator.state_dict()
    matching = {
        key: tensor
        for key, tensor in state.items()
        if key in own and own[key].shape == tensor.shape and key not in skipped
    }
    with torch.no_grad():
        for key, tensor in matching.items():
            own[key].copy_(tensor)
    return sorted({key.rsplit(".", 1)[0] for key in own if key not in matching})


def _class_tensors(config: TrainingConfig, plan: Plan, aggregator: Aggregator) -> set[str]:
    """Return the names of tensors whose size follows the number of classes.

    They mean nothing to other classes.
    """
    state = torch.get_rng_state()
    larger = _build_aggregator(config, plan, plan.n_outputs + 1).state_dict()
    torch.set_rng_state(state)
    return {
        key for key, tensor in aggregator.state_dict().items() if tensor.shape != larger[key].shape
    }


def _check_start(config: TrainingConfig, store: BagStore, start: Classifier) -> None:
    """Refuse a start with another aggregator, or one that takes other features."""
    name = start.card.aggregator.name
    if config.aggregator != name:
        raise OptionError(
            f"The classifier {start.card.name} is {name}, not {config.aggregator}; "
            "leave the aggregator out, or start fresh."
        )
    if not store.instances.trained and store.dim != start.card.in_dim:
        raise OptionError(
            f"The classifier {start.card.name} takes features of length {start.card.in_dim}, "
            f"the cohort has {store.dim}; start from another, or fresh."
        )
