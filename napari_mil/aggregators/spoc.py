"""Sum-pooled convolutional features (SPoC).

Babenko & Lempitsky 2015, "Aggregating deep convolutional features for image retrieval", ICCV.

    psi = sum_y sum_x w(y, x) f(y, x)                             (eq. 1)
    w = exp(-((y - y0)^2 + (x - x0)^2) / (2 sigma^2))             (eq. 4; centring prior)

sigma is a third of the distance from the centre to the closest border; the centre is
((H - 1) / 2, (W - 1) / 2), so that the prior is symmetric. A bag is the sum of its instances, of
length 1 for the classifier (`normalise`), or its logits would grow with the bag and the map.
Whitening, which the paper adds for retrieval, is left out: training follows.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import PackedAggregator, Task, vector_projection
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags


class SPoC(PackedAggregator):
    """Sum pooling with a centring prior (Babenko & Lempitsky 2015).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    centring
        Whether maps are weighted towards their centre.
    normalise
        Whether the sum is divided by its length.
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
        centring: bool = True,
        normalise: bool = True,
        hidden: int | None = None,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.centring = centring
        self.normalise = normalise
        self.projection = vector_projection(in_dim, hidden, dropout, task)
        self.classifier = nn.Linear(hidden or in_dim, n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with embedding (B, D), see `PackedAggregator`."""
        if features.ndim == 4:
            weights = self.prior(*features.shape[2:]).to(features)
            features = torch.einsum("ncyx,yx->nc", features, weights)  # eq. 1
        embedding = bags.sum(self.projection(features))
        if self.normalise:
            embedding = functional.normalize(embedding)
        return PackedOutput(self.classifier(embedding), self.multi_label, embedding=embedding)

    def prior(self, height: int, width: int) -> Tensor:
        """Return the centring prior w of eq. 4, float64 (H, W)."""
        if not self.centring:
            return torch.ones(height, width)
        y, x = (
            torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in (height, width)
        )
        sigma = min(height, width) / 2 / 3
        return torch.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2))
