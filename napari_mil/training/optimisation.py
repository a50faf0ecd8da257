"""Optimisers and the course of their learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from napari_mil.training.config import TrainingConfig

STEP_FACTOR = {"dsmil": 0.1, "dtfd": 0.2}
"""What is left of the rate after half of the epochs, as published."""
INVERSE_DECAY = 1e-4
"""Of the inverse course, per step of the optimiser."""


def make_optimiser(config: TrainingConfig, weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimiser of a configuration whose recipe is filled in."""
    assert config.learning_rate is not None
    assert config.weight_decay is not None
    rate, decay, betas = config.learning_rate, config.weight_decay, config.betas
    if config.optimiser == "sgd":
        return torch.optim.SGD(weights, rate, momentum=betas[0], nesterov=True, weight_decay=decay, fused=True)
    if config.optimiser == "radam":
        return torch.optim.RAdam(weights, rate, betas=betas, weight_decay=decay)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(weights, rate, betas=betas, weight_decay=decay, fused=True)  # one pass over the weights instead of a dozen


def rate_at(config: TrainingConfig, epoch: int, steps: int) -> float:
    """Return the learning rate of an epoch, counted from 0, of so many steps of the optimiser."""
    assert config.learning_rate is not None
    assert config.epochs is not None
    rate = config.learning_rate
    if config.schedule == "cosine":
        return rate * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
    if config.schedule == "steps":
        return rate * (STEP_FACTOR.get(config.aggregator, 0.1) if epoch >= config.epochs / 2 else 1)
    if config.schedule == "inverse":
        return rate / (1 + INVERSE_DECAY * epoch * steps)
    return rate
