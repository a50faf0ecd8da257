"""Attention that has collapsed: the same for every bag, whatever is in it.

There are two ways: every instance weighs the same, so that the answer is that of a mean; or one
instance takes all, always. Either may still classify well; the overlay then says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

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


class CollapseKind(StrEnum):
    """Way in which attention has collapsed."""

    EVEN = "even"
    """Every instance of every bag weighs the same."""
    ONE_INSTANCE = "one instance"
    """One instance of every bag takes all the weight."""


@dataclass(frozen=True, slots=True)
class Collapse:
    """Finding that attention has collapsed."""

    kind: CollapseKind
    bags: int
    """Number of bags that were looked at."""

    @property
    def text(self) -> str:
        """One sentence for a reader of the overlay."""
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


def find_collapse(fitting: Fitting) -> Collapse | None:
    """Say whether the attention of a fitted network has collapsed.

    Parameters
    ----------
    fitting
        Network with the weights of the kept epoch; its validation bags are looked at, or where
        there are none its training bags.

    Returns
    -------
    Collapse or None
        None where attention differs between instances, where the method has none, and where no
        bag has `FEWEST_INSTANCES`.
    """
    bags = fitting.split.validation or fitting.split.training
    large = [b for b in bags if fitting.store.sizes[b] >= FEWEST_INSTANCES][:LARGEST_SAMPLE]
    return collapse_of(_attentions(fitting, large))


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


@torch.no_grad()
def _attentions(fitting: Fitting, bags: Iterable[int]) -> list[np.ndarray]:
    """Return the attention of some bags in evaluation; none where the method has none."""
    network: Aggregator = fitting.network.eval()
    attentions = []
    for b in bags:
        attention: Tensor | None = network(fitting.bag(b)).attention
        if attention is None:
            return []
        attentions.append(attention.float().cpu().numpy())
    return attentions
