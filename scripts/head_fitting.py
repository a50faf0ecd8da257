"""Fitting of heads as the shipped classifiers were fitted.

The product trains by `napari_mil.training`, which can do more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_mil.aggregators import Aggregator
from napari_mil.aggregators.aggregator import PackedAggregator
from napari_mil.aggregators.output import PackedOutput


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of the training of a head."""

    epochs: int = 60
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    """Decoupled weight decay (AdamW)."""
    instance_dropout: float = 0.5
    """Share of instances left out of a bag at each visit.

    It is the strongest regulariser with few bags.
    """
    bags_per_step: int = 8
    seed: int = 0


def standardisation(bags: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and scale, float32 (D,), of all instances.

    A constant dimension has scale 1.
    """
    instances = np.concatenate(bags).astype(np.float64)
    scale = instances.std(0)
    return instances.mean(0).astype(np.float32), np.where(scale > 1e-6, scale, 1).astype(np.float32)


def fit(
    create: Callable[[], Aggregator],
    bags: Sequence[np.ndarray],
    targets: Sequence[float],
    settings: FitSettings,
) -> Aggregator:
    """Train a fresh aggregator to the last epoch.

    No epoch is selected on the way.

    Parameters
    ----------
    create
        Makes the aggregator; called once after seeding.
    bags
        float32 (N, D) each, already standardised.
    targets
        Target of each bag, as `Aggregator.bag_loss` takes it.
    settings
        Length and strength of the training.

    Returns
    -------
    Aggregator
        In evaluation mode.
    """
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    aggregator = create().train()
    optimiser = torch.optim.AdamW(
        aggregator.parameters(),
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    tensors = [torch.from_numpy(bag) for bag in bags]
    labels = [torch.tensor([target]) for target in targets]
    for _ in range(settings.epochs):
        order = random.permutation(len(bags))
        for start in range(0, len(order), settings.bags_per_step):
            optimiser.zero_grad()
            drawn = order[start : start + settings.bags_per_step]
            step = [_drop_instances(tensors[b], settings.instance_dropout, random) for b in drawn]
            losses = _bag_losses(aggregator, step, [labels[b] for b in drawn])
            torch.stack(losses).mean().backward()
            optimiser.step()
        schedule.step()
    return aggregator.eval()


def _bag_losses(
    aggregator: Aggregator, bags: Sequence[Tensor], targets: Sequence[Tensor]
) -> list[Tensor]:
    """Compute the loss of each bag, in one pass where the method packs bags."""
    if not isinstance(aggregator, PackedAggregator):
        return [aggregator(bag, target).loss for bag, target in zip(bags, targets, strict=True)]
    offsets = torch.tensor([0, *(len(bag) for bag in bags)]).cumsum(0)
    output = aggregator.forward_packed(torch.cat(tuple(bags)), offsets)
    losses = []
    for k, target in enumerate(targets):
        one = PackedOutput(
            output.logits[k : k + 1],
            output.multi_label,
            streams={name: logits[k : k + 1] for name, logits in output.streams.items()},
        )
        losses.append(torch.stack(tuple(aggregator.losses(one, target, None).values())).sum())
    return losses


def _drop_instances(bag: Tensor, share: float, random: np.random.Generator) -> Tensor:
    """Leave out a random share of the instances; at least one stays."""
    remaining = max(1, round(len(bag) * (1 - share)))
    return bag if remaining == len(bag) else bag[random.permutation(len(bag))[:remaining]]


@torch.inference_mode()
def bag_logits(aggregator: Aggregator, bags: Sequence[np.ndarray]) -> np.ndarray:
    """Compute logits (B, C) of standardised bags."""
    return np.stack([aggregator(torch.from_numpy(bag)).logits.numpy() for bag in bags])
