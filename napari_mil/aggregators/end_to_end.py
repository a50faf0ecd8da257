"""A backbone and an aggregator as one: from images to the answer, with gradients all the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.output import BagOutput


class EndToEnd(Aggregator):
    """An aggregator whose instances are images.

    Parameters
    ----------
    backbone
        Images (n, C, H, W) to vectors or maps, as the aggregator takes them.
    aggregator
        What the instances meet next.
    channels
        C of the images.
    chunk
        Images that pass the backbone at a time; their activations are computed again for the gradient. None keeps all of them.
    """

    works_on_maps = True

    def __init__(self, backbone: nn.Module, aggregator: Aggregator, channels: int = 3, chunk: int | None = None) -> None:
        super().__init__(channels, aggregator.n_classes, multi_label=aggregator.multi_label, spatial_dims=2)
        self.backbone, self.aggregator, self.chunk = backbone, aggregator, chunk

    def aggregate(self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None) -> BagOutput:
        """See `Aggregator`."""
        return self.aggregator(self.embed(bag), target, instance_target)

    def embed(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D) or (N, D, h, w)."""
        if self.chunk is None:
            return self.backbone(images)
        blocks = images.split(self.chunk)
        if not torch.is_grad_enabled():
            return torch.cat([self.backbone(block) for block in blocks])
        return torch.cat([checkpoint(self.backbone, block, use_reentrant=False) for block in blocks])
