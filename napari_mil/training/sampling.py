"""Order and weights of the training bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import TrainingConfig


def class_weights(cohort: Cohort, training: Sequence[int], config: TrainingConfig) -> np.ndarray:
    """Return the weight of each bag of a cohort, (B,).

    Inverse to how often its class is among the training bags, and 1 on average over them; 1 for
    every bag where classes are not balanced.
    """
    weights = np.ones(len(cohort.bags))
    if config.class_balance == "none":
        return weights
    counts = Counter(label for b in training for label in cohort.bags[b].labels)
    for b, bag in enumerate(cohort.bags):
        inverse = [1 / max(1, counts[label]) for label in bag.labels]
        weights[b] = np.mean(inverse or [1 / len(training)])
    return weights / weights[list(training)].mean()


def epoch_order(
    config: TrainingConfig, training: Sequence[int], weights: np.ndarray, epoch: int
) -> np.ndarray:
    """Return the training bags in the order of an epoch.

    Drawn with replacement, rare classes more often, where sampling balances classes.

    Parameters
    ----------
    config
        Its seed and its class balance are used.
    training
        Numbers of the training bags.
    weights
        Weight of each bag of the cohort; see `class_weights`.
    epoch
        Epoch, counted from 0.
    """
    random = np.random.default_rng((config.seed, epoch))
    bags = np.array(training)
    if config.class_balance != "sampling":
        return random.permutation(bags)
    share = weights[bags]
    return random.choice(bags, len(bags), p=share / share.sum())
