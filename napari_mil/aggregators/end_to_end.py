"""End-to-end networks: a backbone and an aggregator with gradients through both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.output import BagOutput, PackedOutput


class EndToEnd(Aggregator):
    """A backbone in front of an aggregator; instances are images.

    Parameters
    ----------
    backbone
        Images (n, C, H, W) to vectors or maps, as the aggregator takes them.
    aggregator
        Takes the features that the backbone makes.
    channels
        C of the images.
    chunk
        Images that pass the backbone at a time; their activations are computed again for the
        gradient. None keeps all of them.
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
        self.backbone = backbone
        self.aggregator = aggregator
        self.chunk = chunk

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer for a checked bag of images, see `Aggregator.forward`."""
        return self.aggregator(self.embed(bag), target, instance_target)

    def embed(self, images: Tensor) -> Tensor:
        """Embed images: (N, C, H, W) -> (N, D) or (N, D, h, w)."""
        if self.chunk is None:
            return self.backbone(images)
        blocks = images.split(self.chunk)
        if not torch.is_grad_enabled():
            return torch.cat([self.backbone(block) for block in blocks])
        return torch.cat(
            [
                checkpoint(
                    self.backbone, block, use_reentrant=False, context_fn=self._checkpoint_contexts
                )
                for block in blocks
            ]
        )

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """Answer for many bags of images, see `Aggregator.forward_packed`."""
        return self.aggregator.forward_packed(self.embed(self.instances(features)), offsets)

    def _checkpoint_contexts(
        self,
    ) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Return contexts of the forward pass and of its recomputation."""
        return nullcontext(), self._frozen_statistics()

    @contextmanager
    def _frozen_statistics(self) -> Iterator[None]:
        """Keep batch norms from counting images again in the recomputation."""
        before = [(statistic, statistic.clone()) for statistic in self.backbone.buffers()]
        try:
            yield
        finally:
            with torch.no_grad():
                for statistic, value in before:
                    statistic.copy_(value)
