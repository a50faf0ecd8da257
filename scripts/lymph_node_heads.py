"""Heads of the classifier `lymph-node-metastasis`: tile network, and answer of a slide.

A tile is scored by a network of one hidden layer; a slide by the mean of its tiles' logits,
weighted by a softmax of the same logits. Both are one dual-stream aggregator as released by Li et
al. 2021: its instance classifier is the tile network, its query is their logit, and its bag
classifier rescales the weighted mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators import Aggregator, create_aggregator

ATTENTION_OFFSET = 100.0
"""Added to the logits that are multiplied in the query.

The sharpness of the softmax would otherwise follow the logit of the critical tile; so it does by a
few percent only.
"""
TILES_AT_ONCE = 128
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class TileSettings:
    """Settings of the training of a tile network."""

    hidden: int = 128
    input_dropout: float = 0.3
    """Share of features that are set to their mean."""
    dropout: float = 0.5
    """Share of hidden units that are left out."""
    weight_decay: float = 0.1
    epochs: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Line:
    """Map of a logit: slope * logit + offset."""

    slope: float
    offset: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Map logits of any shape."""
        return np.asarray(self.slope * logits + self.offset)


@dataclass(frozen=True)
class SlideRule:
    """Answer of a slide from the calibrated logits of its tiles."""

    sharpness: float
    """Factor of a tile's logit in the softmax that weighs the tiles."""
    line: Line
    """Map of the weighted mean to the logit of a slide."""

    def pool(self, tile_logits: np.ndarray) -> np.ndarray:
        """Return weighted means (B,) of tile logits (B, N)."""
        return softmax_mean(tile_logits, self.sharpness)


def softmax_mean(values: np.ndarray, sharpness: float) -> np.ndarray:
    """Return means over the last axis, weighted by a softmax of the values."""
    weights = np.exp(sharpness * (values - values.max(-1, keepdims=True)))
    return np.asarray((weights * values).sum(-1) / weights.sum(-1))


def fit_tile_network(
    features: np.ndarray, labels: np.ndarray, settings: TileSettings
) -> nn.Sequential:
    """Train a tile network on standardised features, to the last epoch.

    Parameters
    ----------
    features
        float32 (N, D).
    labels
        0 or 1, (N,).
    settings
        Size, length and strength.
    """
    torch.manual_seed(settings.seed)
    network = nn.Sequential(
        nn.Dropout(settings.input_dropout),
        nn.Linear(features.shape[1], settings.hidden),
        nn.ReLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.hidden, 1),
    )
    optimiser = torch.optim.AdamW(
        network.parameters(), LEARNING_RATE, weight_decay=settings.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    inputs = torch.from_numpy(features)
    targets = torch.from_numpy(labels.astype(np.float32))
    for _ in range(settings.epochs):
        for batch in torch.randperm(len(inputs)).split(TILES_AT_ONCE):
            optimiser.zero_grad()
            logits = network(inputs[batch])[:, 0]
            functional.binary_cross_entropy_with_logits(logits, targets[batch]).backward()
            optimiser.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def tile_logits(network: nn.Sequential, features: np.ndarray) -> np.ndarray:
    """Compute the logits (N,) of tiles, before calibration."""
    return np.asarray(network(torch.from_numpy(features))[:, 0].double().numpy())


def aggregator_options(settings: TileSettings) -> Mapping[str, Any]:
    """Return the options of the aggregator that `assemble` makes."""
    return {
        "hidden": settings.hidden,
        "query_dim": 1,
        "nonlinear_q": False,
        "dropout": settings.dropout,
    }


@torch.no_grad()
def assemble(
    network: nn.Sequential, settings: TileSettings, calibration: Line, rule: SlideRule, unit: float
) -> Aggregator:
    """Write a tile network and the answer of a slide as one aggregator.

    Parameters
    ----------
    network, settings
        Tile network and its settings.
    calibration
        Map of its logits to calibrated ones.
    rule
        Answer of a slide from calibrated logits.
    unit
        Temperature of the card: the aggregator's logits are this multiple of calibrated ones.
    """
    first = network[1]
    last = network[4]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    options = aggregator_options(settings)
    aggregator = create_aggregator("dsmil-released", first.in_features, 1, **options)
    # The calibrated logit of a tile with hidden units h is weight @ h + bias.
    weight = calibration.slope * last.weight
    bias = calibration.slope * last.bias + calibration.offset
    query = (rule.sharpness / ATTENTION_OFFSET) ** 0.5
    values: dict[str, Tensor] = {
        "projection.0.weight": first.weight,
        "projection.0.bias": first.bias,
        "instance_classifier.weight": unit * weight,
        "instance_classifier.bias": unit * bias,
        "q.weight": query * weight,
        "q.bias": query * (bias + ATTENTION_OFFSET),
        "bag_classifier.weight": unit * rule.line.slope * weight[None],
        "bag_classifier.bias": unit * (rule.line.slope * bias + rule.line.offset),
    }
    aggregator.load_state_dict(values)
    return aggregator.eval()
