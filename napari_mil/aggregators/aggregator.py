"""The contract of every aggregator."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.output import BagOutput


class Aggregator(nn.Module, ABC):
    """A network from one bag to one answer.

    Parameters
    ----------
    in_dim
        D, the length of an instance's feature vector.
    n_classes
        C; 1 is one sigmoid unit, 2 or more are exclusive (softmax) unless `multi_label`.
    multi_label
        Whether C >= 2 classes are independent (sigmoids).
    """

    def __init__(self, in_dim: int, n_classes: int, multi_label: bool = False) -> None:
        super().__init__()
        if in_dim < 1 or n_classes < 1:
            raise ValueError(f"an aggregator needs at least one feature and one class, not {in_dim} and {n_classes}")
        self.in_dim, self.n_classes, self.multi_label = in_dim, n_classes, multi_label

    @abstractmethod
    def forward(self, bag: Tensor, target: Tensor | None = None, instance_target: Tensor | None = None) -> BagOutput:
        """Answer for one bag.

        Parameters
        ----------
        bag
            float (N, D), N >= 1.
        target
            Class index () for softmax, float (C,) for sigmoids; then `losses` is filled.
        instance_target
            The same per instance, (N,) or (N, C), for aggregators with an instance head.
        """

    def bag_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood () of a target under logits (C,)."""
        if self.n_classes == 1 or self.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype).reshape(logits.shape))
        return functional.cross_entropy(logits, target.reshape(()).long())

    def instance_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood () of instance targets (N,) or (N, C) under logits (N, C)."""
        if self.n_classes == 1 or self.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype).reshape(logits.shape))
        return functional.cross_entropy(logits, target.long())


def pool(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sums (K, D) of instances (N, D) under weights (N, K)."""
    return torch.einsum("nk,nd->kd", weights, values)
