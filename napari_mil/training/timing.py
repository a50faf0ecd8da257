"""How long a run would train, from a few steps measured on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_mil.aggregators import Aggregator, create_aggregator, create_miner
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.training.config import TrainingConfig
from napari_mil.training.optimisation import make_optimiser

STEPS = 3
"""Steps that are measured, after one that is not."""
MOST_INSTANCES = 2000
"""Instances of the bag that is measured; a larger bag takes longer in proportion."""
MOST_IMAGES = 16
"""The same where a network is trained together with the aggregator."""
VALIDATION_SHARE = 1 / 3
"""Cost of classifying a bag, as a share of a step on it."""


@dataclass(frozen=True, slots=True)
class TrainingTime:
    """Time that a run would train, at most."""

    seconds: float
    """Seconds of all epochs, without encoding."""
    epochs: int
    """Epochs at most, over all stages."""
    bags: int
    """Bags that are visited in an epoch."""
    instances: int
    """Instances of the bag whose steps were measured."""

    @property
    def words(self) -> str:
        """One sentence for people."""
        return (
            f"training takes about {_duration(self.seconds)} at most on this machine "
            f"({self.epochs} epochs of {self.bags} bags, measured on {self.instances} instances; "
            "encoding not counted)"
        )


def estimate_time(
    config: TrainingConfig,
    *,
    dim: int | None,
    n_classes: int,
    tile_px: int | None,
    training: Sequence[int],
    validation: Sequence[int] = (),
) -> TrainingTime:
    """Measure a few steps of a configuration on random bags.

    Parameters
    ----------
    config
        How to train; open fields come from the recipe.
    dim
        Features of an instance; not used where an encoder is trained.
    n_classes
        Number of classes.
    tile_px
        Side of an image where an encoder is trained, px.
    training, validation
        Number of instances of each training and each validation bag; the median counts.
    """
    config = config.with_recipe()
    size = max(1, round(statistics.median(training)))
    most = MOST_IMAGES if config.trains_encoder else MOST_INSTANCES
    measured = min(size, most)
    stages = [config.as_teacher(), config] if config.has_teacher_stage else [config]
    seconds = 0.0
    epochs = 0
    with torch.random.fork_rng(devices=[]):
        for stage in stages:
            network = _network(stage, dim, n_classes, tile_px)
            step = _step_seconds(network, stage, _random_bag(network, measured, tile_px))
            visits = len(training) + VALIDATION_SHARE * len(validation)
            seconds += (stage.epochs or 0) * visits * step * size / measured
            epochs += stage.epochs or 0
    return TrainingTime(seconds, epochs, len(training), measured)


def _network(
    config: TrainingConfig, dim: int | None, n_classes: int, tile_px: int | None
) -> Aggregator:
    """Make a network like that of the run, with fresh weights."""
    two_outputs = AGGREGATORS[config.aggregator].branch_of_each_class
    n_outputs = n_classes if n_classes != 2 or two_outputs else 1
    options = {**config.aggregator_options, "spatial_dims": 2 if config.takes_maps else 1}
    if not config.trains_encoder:
        assert dim is not None
        network = create_aggregator(config.aggregator, dim, n_outputs, **options)
    else:
        assert config.encoder is not None
        backbone = create_backbone(config.encoder, tile_px, config.takes_maps)
        inner = create_aggregator(config.aggregator, int(backbone.out_dim), n_outputs, **options)  # type: ignore[arg-type]
        network = EndToEnd(backbone, inner, BACKBONES[config.encoder].channels)
    if config.mines:
        network = create_miner(config.strategy, network, **config.strategy_options)
    return network.train()


def _random_bag(network: Aggregator, n: int, tile_px: int | None) -> torch.Tensor:
    """Return a bag of n random instances."""
    core = network.student if hasattr(network, "student") else network
    if isinstance(core, EndToEnd):
        assert tile_px is not None
        return torch.rand(n, network.in_dim, tile_px, tile_px)
    return torch.randn(n, network.in_dim)


def _step_seconds(network: Aggregator, config: TrainingConfig, bag: torch.Tensor) -> float:
    """Return the median seconds of a visit to a bag, with its share of the optimiser's step."""
    optimiser = make_optimiser(
        config, [pair for pair in network.named_parameters() if pair[1].requires_grad]
    )
    target = torch.tensor([1.0]) if network.sigmoids else torch.tensor(0)
    seconds = []
    for _ in range(STEPS + 1):
        began = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        network(bag, target).loss.backward()
        visited = time.perf_counter()
        optimiser.step()
        stepped = time.perf_counter() - visited
        seconds.append(visited - began + stepped / (config.bags_per_step or 1))
    return statistics.median(seconds[1:])


def _duration(seconds: float) -> str:
    """Return a duration in words, rounded up."""
    if seconds < 60:
        return f"{max(1, math.ceil(seconds))} s"
    if seconds < 90 * 60:
        return f"{math.ceil(seconds / 60)} min"
    return f"{math.ceil(seconds / 3600)} h"
