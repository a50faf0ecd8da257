"""Outputs of aggregators, for one bag or many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_mil.aggregators.merge_tree import MergeTree


@dataclass(frozen=True, eq=False)
class BagOutput:
    """The answer for one bag of N instances and C classes.

    What a method lacks is None.
    """

    logits: Tensor
    """Logits (C,), before the link function."""
    multi_label: bool = False
    """Whether C >= 2 classes have a sigmoid each instead of one softmax."""
    attention: Tensor | None = None
    """Attention (N, K) of K heads or classes; each column sums to 1."""
    scores: Tensor | None = None
    """Relevance (N, H) before normalisation."""
    instance_logits: Tensor | None = None
    """Logits (N, C) of each instance."""
    embedding: Tensor | None = None
    """Embedding of the bag that the classifier takes.

    (D,), (D, H, W), or (C, D) where each class has its own.
    """
    critical: Tensor | None = None
    """Rows of DSMIL's critical instances, int64 (C,), one per class."""
    streams: Mapping[str, Tensor] = field(default_factory=dict)
    """Logits (C,), by name, of parts that are weighed into one answer."""
    similarity: Tensor | None = None
    """Cosine (N,) of each instance to the aggregate."""
    tree: MergeTree | None = None
    """The merges of a hierarchical method."""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """Masks of the instances by kind, bool (N,)."""
    warm_up_logits: Tensor | None = None
    """Logits (N, C) of each instance by the classifier of the bag, where there was a target.

    Of methods without an instance score, for the first epochs of training alone.
    """
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    """Weighted loss terms by name, where there was a target.

    Their sum is the training loss.
    """

    def probabilities(self) -> Tensor:
        """Return probabilities (C,).

        Sigmoid of one unit or of each label, softmax over exclusive classes.
        """
        return link(self.logits, self.multi_label)

    @property
    def loss(self) -> Tensor:
        """Training loss: the sum of all terms.

        Raises
        ------
        ValueError
            If the bag was seen without a target.
        """
        if not self.losses:
            raise ValueError("there is no loss without a target")
        return torch.stack(list(self.losses.values())).sum()


@dataclass(frozen=True, eq=False)
class PackedOutput:
    """The answers for B packed bags of N instances together.

    Instances lie one bag after another; what a method lacks is None.
    """

    logits: Tensor
    """Logits (B, C), before the link function."""
    multi_label: bool = False
    """Whether C >= 2 classes have a sigmoid each instead of one softmax."""
    attention: Tensor | None = None
    """Attention (N, K); each column sums to 1 within each bag."""
    scores: Tensor | None = None
    """Relevance (N, H) before normalisation."""
    instance_logits: Tensor | None = None
    """Logits (N, C) of each instance."""
    embedding: Tensor | None = None
    """Embeddings (B, ...) of the bags that the classifier takes."""
    critical: Tensor | None = None
    """Rows of the critical instances among all N, int64 (B, C)."""
    streams: Mapping[str, Tensor] = field(default_factory=dict)
    """Logits (B, C), by name, of parts that are weighed into one answer."""

    def probabilities(self) -> Tensor:
        """Return probabilities (B, C), as `BagOutput.probabilities`."""
        return link(self.logits, self.multi_label)

    def only(self, losses: Mapping[str, Tensor]) -> BagOutput:
        """Return the output of the only bag, with its losses."""
        return BagOutput(
            self.logits[0],
            self.multi_label,
            self.attention,
            self.scores,
            self.instance_logits,
            None if self.embedding is None else self.embedding[0],
            None if self.critical is None else self.critical[0],
            {name: logits[0] for name, logits in self.streams.items()},
            losses=losses,
        )


def link(logits: Tensor, multi_label: bool) -> Tensor:
    """Turn logits (..., C) into probabilities.

    Sigmoid for one unit or several labels, softmax for exclusive classes.
    """
    return logits.sigmoid() if logits.shape[-1] == 1 or multi_label else logits.softmax(-1)
