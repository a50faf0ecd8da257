"""A backbone and an aggregator as one: from images to the answer, with gradients all the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.output import BagOutput, PackedOutput


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

    def __init__(
        self,
        backbone: nn.Module,
        aggregator: Aggregator,
        channels: int = 3,
        chunk: int | None = None,
    ) -> None:
        super().__init__(
            channels, aggregator.n_classes, multi_label=aggregator.multi_label, spatial_dims=2
        )
        self.backbone, self.aggregator, self.chunk = backbone, aggregator, chunk

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """See `Aggregator`."""
        return self.aggregator(self.embed(bag), target, instance_target)

    def embed(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D) or (N, D, h, w)."""
        if self.chunk is None:
            return self.backbone(images)
        blocks = images.split(self.chunk)
        if not torch.is_grad_enabled():
            return torch.cat([self.backbone(block) for block in blocks])
        return torch.cat(
            [
                checkpoint(self.backbone, block, use_reentrant=False, context_fn=self._contexts)
                for block in blocks
            ]
        )

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """See `Aggregator.forward_packed`."""
        return self.aggregator.forward_packed(self.embed(self.instances(features)), offsets)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), self._statistics_kept()

    @contextmanager
    def _statistics_kept(self) -> Iterator[None]:
        """While activations are computed again, batch norms do not count the images again."""
        before = [(statistic, statistic.clone()) for statistic in self.backbone.buffers()]
        try:
            yield
        finally:
            with torch.no_grad():
                for statistic, value in before:
                    statistic.copy_(value)
