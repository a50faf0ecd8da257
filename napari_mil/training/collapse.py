"""Answers and attention that have collapsed: the same for every bag, whatever is in it.

A network whose units died answers alike for every bag. Attention collapses in two ways: every
instance weighs the same, so that the answer is that of a mean; or one instance takes all, always.
Either may still classify well; the overlay then says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from napari_mil.aggregators import Aggregator
from napari_mil.training.fitting import Fitting

LARGEST_SAMPLE = 50
"""Bags that are looked at, at most."""
FEWEST_INSTANCES = 3
"""Instances of a bag below which its attention says nothing."""
EVEN = 0.999
"""Entropy, as a share of its maximum, from which attention is even.

Weights of a bag of 50 then differ by a twentieth of their mean.
"""
ALL = 0.99
"""Weight from which one instance takes all."""
ALIKE = 0.01
"""Range of a probability over bags below which all are answered alike."""
FEWEST_BAGS = 4
"""Bags below which answers that are alike say nothing."""


class CollapseKind(StrEnum):
    """Way in which a network has collapsed."""

    ONE_ANSWER = "one answer"
    """Every bag is answered alike."""
    EVEN = "even"
    """Every instance of every bag weighs the same."""
    ONE_INSTANCE = "one instance"
    """One instance of every bag takes all the weight."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """Finding that a network has collapsed."""

    kind: CollapseKind
    bags: int
    """Number of bags that were looked at."""

    @property
    def text(self) -> str:
        """One sentence for a reader of answers and overlay."""
        if self.kind is CollapseKind.ONE_ANSWER:
            return (
                f"Training has learnt nothing: the probabilities of all {self.bags} bags looked "
                f"at are the same to within {ALIKE:g}; train with a lower learning rate, or longer."
            )
        if self.kind is CollapseKind.EVEN:
            return (
                f"Attention has collapsed: every instance weighs the same in all {self.bags} bags "
                "looked at, so the overlay says nothing of where the answer comes from; "
                "train longer or with another learning rate."
            )
        return (
            f"Attention has collapsed: a single instance takes all of it in all {self.bags} bags "
            "looked at, so the overlay shows one tile and says nothing of the others."
        )


@torch.no_grad()
def find_collapse(fitting: Fitting) -> Collapse | None:
    """Say whether a fitted network has collapsed.

    Parameters
    ----------
    fitting
        Network with the weights of the kept epoch; its validation bags are looked at, or where
        there are none its training bags.

    Returns
    -------
    Collapse or None
        None where answers differ between bags and attention between instances.
    """
    bags = fitting.split.validation or fitting.split.training
    large = [b for b in bags if fitting.store.sizes[b] >= FEWEST_INSTANCES]
    sample = _spread(large or bags)
    network: Aggregator = fitting.network.eval()
    probabilities = []
    attentions = []
    for b in sample:
        output = network(fitting.bag(b))
        probabilities.append(output.probabilities().float().cpu().numpy())
        if large and output.attention is not None:
            attentions.append(output.attention.float().cpu().numpy())
    if answers_are_alike(probabilities, fitting.store.cohort.targets[list(sample)]):
        return Collapse(CollapseKind.ONE_ANSWER, len(sample))
    return collapse_of(attentions)


def _spread(bags: Sequence[int]) -> Sequence[int]:
    """Return at most `LARGEST_SAMPLE` bags from all over a list, which may go by class."""
    step = -(-len(bags) // LARGEST_SAMPLE)
    return bags[:: max(step, 1)]


def answers_are_alike(probabilities: Sequence[np.ndarray], targets: np.ndarray) -> bool:
    """Say whether bags are all answered alike though their targets differ.

    Parameters
    ----------
    probabilities
        Probabilities (C,) of each bag. Fewer than `FEWEST_BAGS` say nothing.
    targets
        Target of each bag, (B,), or (B, C) of several labels.
    """
    if len(probabilities) < FEWEST_BAGS or len(np.unique(targets, axis=0)) < 2:
        return False
    return float(np.ptp(probabilities, axis=0).max()) < ALIKE


def collapse_of(attentions: Sequence[np.ndarray]) -> Collapse | None:
    """Say whether attention has collapsed.

    Parameters
    ----------
    attentions
        Attention of some bags, (N, K) each, whose columns sum to 1.
    """
    if not attentions:
        return None
    columns = [column for attention in attentions for column in attention.T]
    if all(_evenness(column) >= EVEN for column in columns):
        return Collapse(CollapseKind.EVEN, len(attentions))
    if all(column.max() >= ALL for column in columns):
        return Collapse(CollapseKind.ONE_INSTANCE, len(attentions))
    return None


def _evenness(weights: np.ndarray) -> float:
    """Return the entropy of weights (N,) as a share of its maximum log N."""
    positive = weights[weights > 0].astype(np.float64)
    return float(-(positive * np.log(positive)).sum() / np.log(len(weights)))
