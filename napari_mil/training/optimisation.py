"""Optimisers, learning rates and parts for gradient clipping."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_mil.training.config import TrainingConfig

INVERSE_DECAY = 1e-4
"""Decay of the inverse learning rate, per step of the optimiser."""


class LookaheadRAdam(torch.optim.RAdam):
    """Lookahead over RAdam.

    Every `PERIOD` steps the weights go back half of the way to where they were `PERIOD` steps ago.
    Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", algorithm 1, over Liu et
    al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2, whose authors
    decay weights apart from the gradient.
    """

    PERIOD = 6
    SHARE = 0.5

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; weights without a gradient stay as they are."""
        moved = [
            weight
            for group in self.param_groups
            for weight in group["params"]
            if weight.grad is not None
        ]
        first = {weight: weight.clone() for weight in moved if weight not in self.state}
        loss = super().step(closure)
        for weight in moved:
            state = self.state[weight]
            slow: Tensor = state.setdefault("slow", first.get(weight))
            if int(state["step"]) % self.PERIOD == 0:
                weight.copy_(slow.lerp_(weight, self.SHARE))
        return loss


def make_optimiser(
    config: TrainingConfig, weights: Iterable[tuple[str, nn.Parameter]]
) -> torch.optim.Optimizer:
    """Make the optimiser of a configuration.

    Parameters
    ----------
    config
        Configuration with its recipe filled in.
    weights
        Name and weight, as `torch.nn.Module.named_parameters` gives them.
    """
    assert config.learning_rate is not None
    assert config.weight_decay is not None
    rate = config.learning_rate
    betas = config.chosen_recipe.betas
    by_decay: dict[float, list[nn.Parameter]] = defaultdict(list)
    for name, weight in weights:
        decays = config.chosen_recipe.decays_biases or not _is_bias(name, weight)
        by_decay[config.weight_decay if decays else 0.0].append(weight)
    groups = [{"params": some, "weight_decay": decay} for decay, some in by_decay.items()]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, rate, momentum=betas[0], nesterov=True, fused=True)
    if config.optimiser in ("radam", "lookahead-radam"):
        rectified = LookaheadRAdam if config.optimiser == "lookahead-radam" else torch.optim.RAdam
        return rectified(groups, rate, betas=betas, decoupled_weight_decay=True)
    adam = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    # Fused: one pass over the weights instead of a dozen.
    return adam(groups, rate, betas=betas, fused=True)


def clipped_parts(
    config: TrainingConfig, weights: Iterable[tuple[str, nn.Parameter]]
) -> list[list[nn.Parameter]]:
    """Return the parts of a network whose gradients are clipped together.

    One part with all weights, unless the recipe clips some modules by themselves.
    """
    named_parts = config.chosen_recipe.clipped_apart
    rest = len(named_parts)
    weights_of_part: dict[int, list[nn.Parameter]] = defaultdict(list)
    for name, weight in weights:
        modules = set(name.split("."))
        matches = (k for k, part in enumerate(named_parts) if not modules.isdisjoint(part))
        weights_of_part[next(matches, rest)].append(weight)
    return list(weights_of_part.values())


def rate_at(config: TrainingConfig, epoch: int, steps: int) -> float:
    """Return the learning rate of an epoch.

    Parameters
    ----------
    config
        Configuration with its recipe filled in.
    epoch
        Epoch, counted from 0.
    steps
        Steps of the optimiser in an epoch.
    """
    assert config.learning_rate is not None
    assert config.epochs is not None
    rate = config.learning_rate
    if config.schedule == "cosine":
        return rate * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
    if config.schedule == "steps":
        return rate * (config.chosen_recipe.step_factor if epoch >= config.epochs / 2 else 1)
    if config.schedule == "inverse":
        return rate / (1 + INVERSE_DECAY * epoch * steps)
    return rate


def _is_bias(name: str, weight: nn.Parameter) -> bool:
    return weight.ndim == 1 or name.endswith("bias")
