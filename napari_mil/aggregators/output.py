"""What an aggregator says about a bag, or about many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_mil.aggregators.merge_tree import MergeTree


@dataclass(frozen=True, eq=False)
class BagOutput:
    """The answer for one bag of N instances and C classes; what a method lacks is None."""

    logits: Tensor
    """(C,): before the link function."""
    multi_label: bool = False
    """Whether C >= 2 classes are linked by sigmoids, each on its own, instead of one softmax."""
    attention: Tensor | None = None
    """(N, K): normalised, each column sums to 1; K heads or classes."""
    scores: Tensor | None = None
    """(N, H): raw relevance before normalisation."""
    instance_logits: Tensor | None = None
    """(N, C)."""
    embedding: Tensor | None = None
    """The bag as the classifier sees it: (D,), (D, H, W), or (C, D) where each class has its own."""
    critical: Tensor | None = None
    """int64 (C,): DSMIL's top instance of each class."""
    streams: Mapping[str, Tensor] = field(default_factory=dict)
    """(C,) by name: logits of parts that the method weighs into one answer."""
    similarity: Tensor | None = None
    """(N,): cosine of each instance to the aggregate, where the method has it."""
    tree: MergeTree | None = None
    """The merges of a hierarchical method."""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """bool (N,) by kind, where instances were masked."""
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    """With a target: every weighted term; their sum is the training loss."""

    def probabilities(self) -> Tensor:
        """Return (C,): sigmoid of one unit or of each label, softmax over exclusive classes."""
        return link(self.logits, self.multi_label)

    @property
    def loss(self) -> Tensor:
        """Sum of all terms.

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
    """The answers for B bags whose N instances lie one after another; what a method lacks is None."""

    logits: Tensor
    """(B, C)."""
    multi_label: bool = False
    attention: Tensor | None = None
    """(N, K): each column sums to 1 within each bag."""
    scores: Tensor | None = None
    """(N, H)."""
    instance_logits: Tensor | None = None
    """(N, C)."""
    embedding: Tensor | None = None
    """(B, ...): each bag as the classifier sees it."""
    critical: Tensor | None = None
    """int64 (B, C): rows of the N instances."""
    streams: Mapping[str, Tensor] = field(default_factory=dict)
    """(B, C) by name."""

    def probabilities(self) -> Tensor:
        """Return (B, C), as `BagOutput.probabilities`."""
        return link(self.logits, self.multi_label)

    def only(self, losses: Mapping[str, Tensor]) -> BagOutput:
        """Return the answer of the only bag."""
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
    """Turn logits (..., C) into probabilities: sigmoid for one unit or several labels, softmax for exclusive classes."""
    return logits.sigmoid() if logits.shape[-1] == 1 or multi_label else logits.softmax(-1)
