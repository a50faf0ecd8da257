"""From a configuration to the network that is trained, and from that to the classifier that is kept."""

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
from napari_mil.errors import OptionError
from napari_mil.events import Fallback, OnEvent
from napari_mil.inference.classifier import Classifier
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.training.config import TrainingConfig
from napari_mil.training.memory import measure_bytes_per_image
from napari_mil.training.store import BagStore, memory_budget

LARGEST_CHUNK = 64
"""Images; more at a time are not faster."""
Embedding = Literal["features", "joint", "chunks", "frozen"]


@dataclass(frozen=True)
class Plan:
    """What is built, decided once per run and kept with it."""

    n_outputs: int
    """Logits: one for two exclusive classes, otherwise one per class."""
    multi_label: bool
    in_dim: int
    """Features of an instance as the aggregator sees them."""
    maps: bool
    embedding: Embedding
    """``features`` that do not change, or how a network is trained: ``joint``, in ``chunks``, or ``frozen``."""
    chunk: int | None
    """Images that pass the network at a time."""
    aggregator_options: Mapping[str, Any]
    activation_bytes: int = field(default=0, repr=False, compare=False)
    """Memory that images take on their way through a network that is trained."""


def make_plan(
    config: TrainingConfig, store: BagStore, start: Classifier | None, on_event: OnEvent
) -> Plan:
    """Decide what is built; how large bags meet a network in training is decided by measuring it, and said."""
    cohort = store.cohort
    if start is not None:
        _check_start(config, store, start)
    n_outputs = 1 if len(cohort.classes) == 2 and not cohort.multi_label else len(cohort.classes)
    options = dict(config.aggregator_options)
    if start is not None:
        options = {**start.card.aggregator.options, **options}
    if config.alternate_streams and config.aggregator == "dsmil":
        options["stream_losses"] = True
    name = store.instances.encoder
    if not store.instances.trained or name is None:
        return Plan(n_outputs, cohort.multi_label, store.dim, False, "features", None, options)
    maps = BACKBONES[name].has_maps and AGGREGATORS[config.aggregator].works_on_maps
    backbone = create_backbone(name, store.instances.tile_px, maps)
    embedding, chunk, size = _embedding(config, backbone, store, on_event)
    dim = cast("int", backbone.out_dim)
    return Plan(n_outputs, cohort.multi_label, dim, maps, embedding, chunk, options, size)


def _embedding(
    config: TrainingConfig, backbone: nn.Module, store: BagStore, on_event: OnEvent
) -> tuple[Embedding, int | None, int]:
    """Choose how bags of images meet the network, in which chunks, and what memory that takes: from the bytes of one image and the largest bag."""
    assert store.instances.encoder is not None
    assert store.instances.tile_px is not None
    per_image = measure_bytes_per_image(
        backbone, BACKBONES[store.instances.encoder].channels, store.instances.tile_px
    )
    budget, largest = memory_budget(config), max(store.sizes)
    needed = per_image * largest
    chunk = config.chunk or max(1, min(LARGEST_CHUNK, int(budget // per_image)))
    size = f"the largest bag has {largest} images of {per_image / 1e6:.3g} MB of activations each, {needed / 1e9:.2f} GB in all; {budget / 1e9:.2f} GB may be used"
    wanted = config.backbone
    if wanted == "auto":
        wanted = "joint" if needed <= budget else "chunks" if per_image <= budget else "frozen"
        what = {
            "joint": "The network is trained together with the aggregator",
            "chunks": f"The network is trained in chunks of {chunk} images, computed twice",
            "frozen": "The network stays as it is, and the aggregator alone is trained",
        }[wanted]
        on_event(Fallback(f"{what}: {size}."))
    at_once = {"joint": largest, "chunks": min(chunk, largest), "frozen": 0}[wanted]
    return wanted, (chunk if wanted == "chunks" else None), int(per_image * at_once)


def build(
    config: TrainingConfig, plan: Plan, store: BagStore, start: Classifier | None, on_event: OnEvent
) -> Aggregator:
    """Make the network that is trained: an aggregator, a backbone with one, or a miner around either; seeded by the caller."""
    aggregator = _aggregator(config, plan, plan.n_outputs)
    network: Aggregator = aggregator
    if plan.embedding != "features":
        assert store.instances.encoder is not None
        if plan.embedding != "frozen":
            standardised = Standardised(_backbone(plan, store, start), plan.in_dim)
            if start is not None and start.backbone is not None:
                standardised.mean.copy_(start.mean)
                standardised.scale.copy_(start.scale)
            network = EndToEnd(
                standardised, aggregator, BACKBONES[store.instances.encoder].channels, plan.chunk
            )
    if start is not None:
        of_classes = (
            set()
            if start.card.classes == store.cohort.classes
            else _layers_of_classes(config, plan, aggregator)
        )
        fresh = load_what_fits(aggregator, start.aggregator.state_dict(), of_classes)
        if fresh:
            on_event(
                Fallback(
                    f"The classes are others than those of {start.card.name}: {', '.join(fresh)} start fresh, everything else goes on learning."
                )
            )
    if config.mines:
        network = create_miner(config.strategy, network, **config.strategy_options)
    return network


def _aggregator(config: TrainingConfig, plan: Plan, n_outputs: int) -> Aggregator:
    task: dict[str, Any] = {"multi_label": plan.multi_label, "spatial_dims": 2 if plan.maps else 1}
    try:
        return create_aggregator(
            config.aggregator, plan.in_dim, n_outputs, **task, **plan.aggregator_options
        )
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise OptionError(
            f"{config.aggregator} cannot be made with the options {dict(plan.aggregator_options)} ({reason})."
        ) from error


def frozen_backbone(plan: Plan, store: BagStore, start: Classifier | None) -> nn.Module:
    """Make the network that stays as it is."""
    return _backbone(plan, store, start).eval()


def _backbone(plan: Plan, store: BagStore, start: Classifier | None) -> nn.Module:
    assert store.instances.encoder is not None
    backbone = create_backbone(store.instances.encoder, store.instances.tile_px, plan.maps)
    if start is not None and start.backbone is not None:
        backbone.load_state_dict(start.backbone.state_dict())
    return backbone


class Standardised(nn.Module):
    """A backbone whose features are centred and scaled, as the aggregator behind it expects them; 0 and 1 for a fresh one.

    Parameters
    ----------
    network
        Images to vectors or maps.
    dim
        D, their length or channels.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, dim: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D) or (N, D, h, w)."""
        features: Tensor = self.network(images)
        shape = (-1, *(1,) * (features.ndim - 2))
        return (features - self.mean.reshape(shape)) / self.scale.reshape(shape)


def scaling_of(start: Classifier | None, plan: Plan) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the scale of features that the weights to start from know, where features do not change; None lets the training bags decide."""
    if (
        start is None
        or plan.embedding not in ("features", "frozen")
        or (plan.embedding == "frozen" and start.backbone is None)
    ):
        return None
    return start.mean.numpy(), start.scale.numpy()


def parts_of(network: Aggregator) -> tuple[Aggregator, Standardised | None]:
    """Return the aggregator of a trained network, and its backbone where it has one."""
    answering = network.student if isinstance(network, Miner) else network
    if not isinstance(answering, EndToEnd):
        return answering, None
    assert isinstance(answering.backbone, Standardised)
    return answering.aggregator, answering.backbone


def load_what_fits(
    aggregator: nn.Module, state: Mapping[str, Tensor], but: Collection[str] = ()
) -> list[str]:
    """Take over every tensor of equal name and shape but some; return the names of layers that stay fresh."""
    own = aggregator.state_dict()
    fitting = {
        key: tensor
        for key, tensor in state.items()
        if key in own and own[key].shape == tensor.shape and key not in but
    }
    with torch.no_grad():
        for key, tensor in fitting.items():
            own[key].copy_(tensor)
    return sorted({key.rsplit(".", 1)[0] for key in own if key not in fitting})


def _layers_of_classes(config: TrainingConfig, plan: Plan, aggregator: Aggregator) -> set[str]:
    """Return the tensors whose size follows the number of classes: they mean nothing to other classes."""
    state = torch.get_rng_state()
    more = _aggregator(config, plan, plan.n_outputs + 1).state_dict()
    torch.set_rng_state(state)
    return {
        key for key, tensor in aggregator.state_dict().items() if tensor.shape != more[key].shape
    }


def _check_start(config: TrainingConfig, store: BagStore, start: Classifier) -> None:
    name = start.card.aggregator.name
    if config.aggregator != name:
        raise OptionError(
            f"The classifier {start.card.name} is {name}, not {config.aggregator}; leave the aggregator out, or start fresh."
        )
    if not store.instances.trained and store.dim != start.card.in_dim:
        raise OptionError(
            f"The classifier {start.card.name} takes features of length {start.card.in_dim}, the cohort has {store.dim}; start from another, or fresh."
        )
