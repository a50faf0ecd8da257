"""Deep MIML network: Feng & Zhou 2017, "Deep MIML network", AAAI.

s[n, l, k] = w[l, k]^T h_n + b[l, k]        K sub-concepts of each of L labels
instance score = max over k,  bag score = max over n
"""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from napari_mil.aggregators.aggregator import PackedAggregator, Task, projection
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags


class DeepMIML(PackedAggregator):
    """Best sub-concept of the best instance per label (Feng & Zhou 2017).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`; made for several labels.
    sub_concepts
        K of each label.
    hidden
        Units of a projection before it; None leaves features as they are.
    dropout
        Rate after the projection, in training.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        sub_concepts: int = 20,
        hidden: int | None = None,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.projection = projection(in_dim, hidden, dropout)
        self.subconcept = nn.Linear(hidden or in_dim, n_classes * sub_concepts)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with instance_logits (N, C), see `PackedAggregator`."""
        h = self.projection(features)
        scores = self.subconcept(h).unflatten(1, (self.n_classes, -1))  # (N, M) -> (N, C, K)
        instance_logits = scores.amax(2)
        return PackedOutput(
            bags.max(instance_logits), self.multi_label, instance_logits=instance_logits
        )
