"""Multi-view CNN (MVCNN).

Su, Maji, Kalogerakis & Learned-Miller 2015, "Multi-view convolutional neural networks for 3D shape
recognition", ICCV.

The element-wise maximum over instances of their feature maps ("view pooling"), then space is
averaged and classified.
"""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from napari_mil.aggregators.aggregator import (
    PackedAggregator,
    Task,
    spatial_mean,
    vector_projection,
)
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags


class MVCNN(PackedAggregator):
    """View pooling: element-wise maximum of feature maps (Su et al. 2015).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of a projection of vectors before it; None leaves features as they are.
    dropout
        Rate after the projection, in training.
    """

    works_on_maps = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.projection = vector_projection(in_dim, hidden, dropout, task)
        self.classifier = nn.Linear(hidden or in_dim, n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with embedding (B, D) or (B, D, H, W), see `PackedAggregator`."""
        embedding = bags.max(self.projection(features))
        return PackedOutput(
            self.classifier(spatial_mean(embedding)), self.multi_label, embedding=embedding
        )
