"""Neural aggregation network (NAN).

Yang et al. 2017, "Neural aggregation network for video face recognition", CVPR.

    e_k = q^T f_k,  a_k = softmax_k(e_k),  r = sum_k a_k f_k      (eq. 2, 3, 1) an attention block
    q1  = tanh(W r0 + b)                                          (eq. 4)       the query of block 2

q0 is learned, r1 is the aggregate. On feature maps the scores are those of their spatial means and
the weighted sum is of maps.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import (
    PackedAggregator,
    Task,
    spatial_mean,
    vector_projection,
)
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags


class NAN(PackedAggregator):
    """Two cascaded attention blocks (Yang et al. 2017).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of a projection of vectors before it; None leaves features as they are.
    dropout
        Rate after the projection, in training.
    unit_vectors
        Whether instances are scaled to length 1 before attention, as the paper does to its
        features; scores then cannot grow with their length.
    """

    works_on_maps = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        unit_vectors: bool = False,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        width = hidden or in_dim
        self.q0 = nn.Parameter(torch.randn(width) / width**0.5)
        self.transfer = nn.Linear(width, width)
        # <q1, f_k> is not scaled: the second query starts so small that one instance does not take
        # all of the attention before anything is learnt.
        nn.init.normal_(self.transfer.weight, std=1 / width)
        nn.init.zeros_(self.transfer.bias)
        self.classifier = nn.Linear(width, n_classes)
        self.projection = vector_projection(in_dim, hidden, dropout, task)
        self.unit_vectors = unit_vectors

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with attention (N, 1) and scores (N, 1), see `PackedAggregator`.

        The embedding is (B, D) or (B, D, H, W).
        """
        features = self.projection(features)
        if self.unit_vectors:
            features = functional.normalize(features, dim=1)
        f = spatial_mean(features)  # (N, D)
        first = bags.softmax(f @ self.q0[:, None])  # eq. 2, 3: (N, 1)
        r0 = bags.weighted_sum(first, f)[:, 0]  # eq. 1: (B, D)
        q1 = self.transfer(r0).tanh()  # eq. 4
        scores = bags.products(f, q1[:, None])  # (N, 1)
        attention = bags.softmax(scores)
        embedding = bags.weighted_sum(attention, features)[:, 0]  # r1
        logits = self.classifier(spatial_mean(embedding))
        return PackedOutput(logits, self.multi_label, attention, scores, embedding=embedding)
