"""No bags at all: every instance learns the label of its bag, and the mean of their probabilities answers for the bag.

The baseline "SI" of the HAMIL paper; how it combines instances is not stated there, the mean is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from torch import Tensor, nn

from napari_mil.aggregators.aggregator import PackedAggregator, Task, projection
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags
from napari_mil.aggregators.pooling import pool_probabilities


class SingleInstance(PackedAggregator):
    """A classifier of instances that is trained on the label of the bag.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of the projection; None leaves features as they are.
    dropout
        Rate after the projection, in training.
    """

    def __init__(self, in_dim: int, n_classes: int, *, hidden: int | None = 512, dropout: float = 0.0, **task: Unpack[Task]) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.projection = projection(in_dim, hidden, dropout)
        self.classifier = nn.Linear(hidden or in_dim, n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """See `PackedAggregator`; instance_logits (N, C)."""
        instance_logits = self.classifier(self.projection(features))
        logits = pool_probabilities(instance_logits, self.sigmoids, bags, "mean")
        return PackedOutput(logits, self.multi_label, instance_logits=instance_logits)

    def losses(self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None) -> Mapping[str, Tensor]:
        """One term: the mean loss of the instances on their own targets, or else on the target of the bag."""
        assert output.instance_logits is not None
        if instance_target is not None:
            return {"instances": self.instance_loss(output.instance_logits, instance_target)}
        if target is None:
            return {}
        n = len(output.instance_logits)
        shared = target.reshape(1, -1).expand(n, -1) if self.sigmoids else target.reshape(()).expand(n)
        return {"instances": self.instance_loss(output.instance_logits, shared)}
