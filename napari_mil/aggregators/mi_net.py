"""Multiple-instance networks (mi-Net, MI-Net).

Wang, Yan, Tang, Bai & Liu 2018, "Revisiting multiple instance neural networks", Pattern
Recognition.

Three fully connected layers with ReLU; the networks differ in what is pooled, and where:

    mi-Net       instance probabilities, pooled                                 (section 3.1)
    MI-Net       features of the third layer, pooled, then classified           (section 3.2)
    MI-Net + DS  pooled and classified at each level; probabilities averaged    (section 3.3)
    MI-Net + RC  pooled features of the levels added up, then classified        (section 3.4)

DS is deep supervision, RC residual connections.

As its authors' code has it: dropout of 0.5 before each pooling or instance classifier, log-sum-exp
with a mean inside; the three losses of deep supervision have weight 1 each and their average is
only read out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from napari_mil.aggregators.aggregator import PackedAggregator, Task
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags, OneBag
from napari_mil.aggregators.pooling import POOLINGS, Pooling, pool_probabilities


class ThreeLayers(PackedAggregator):
    """Base of the four networks: three fully connected layers.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    dims
        Units of the three layers.
    pooling
        ``"max"``, ``"mean"`` or ``"lse"``.
    dropout
        Rate before pooling, in training.
    """

    published_dims: ClassVar[tuple[int, int, int]] = (256, 128, 64)
    """Units of the three layers unless `dims` says otherwise."""

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        dims: Sequence[int] | None = None,
        pooling: Pooling = "max",
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.dims = tuple(dims or self.published_dims)
        first, second, third = self.dims
        self.pooling = pooling
        self.fc1 = nn.Linear(in_dim, first)
        self.fc2 = nn.Linear(first, second)
        self.fc3 = nn.Linear(second, third)
        self.dropout = nn.Dropout(dropout)

    def levels(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs of the three layers (N, dims[i]), without dropout."""
        h1 = self.fc1(features).relu()
        h2 = self.fc2(h1).relu()
        return h1, h2, self.fc3(h2).relu()

    def pool(self, h: Tensor, bags: Bags) -> Tensor:
        """Apply dropout, then pooling: (N, M) -> (B, M)."""
        return POOLINGS[self.pooling](self.dropout(h), bags)


class MiNetInstance(ThreeLayers):
    """mi-Net: pooled instance probabilities (Wang et al. 2018, section 3.1).

    Parameters as `ThreeLayers`.
    """

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        self.score = nn.Linear(self.dims[2], n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with instance_logits (N, C), see `PackedAggregator`."""
        instance_logits = self.score(self.dropout(self.levels(features)[2]))
        logits = pool_probabilities(instance_logits, self.sigmoids, bags, self.pooling)
        return PackedOutput(logits, self.multi_label, instance_logits=instance_logits)


class MINet(ThreeLayers):
    """MI-Net: pooled features (Wang et al. 2018, section 3.2).

    Parameters as `ThreeLayers`.
    """

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        self.score = nn.Linear(self.dims[2], n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with embedding (B, dims[2]), see `PackedAggregator`."""
        embedding = self.pool(self.levels(features)[2], bags)
        return PackedOutput(self.score(embedding), self.multi_label, embedding=embedding)


class MINetDS(ThreeLayers):
    """MI-Net with deep supervision at each level (Wang et al. 2018, section 3.3).

    Parameters as `ThreeLayers`.
    """

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        self.score1, self.score2, self.score3 = (nn.Linear(units, n_classes) for units in self.dims)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with the logits of the levels as streams, see `PackedAggregator`."""
        heads = (self.score1, self.score2, self.score3)
        pooled = [self.pool(h, bags) for h in self.levels(features)]
        # Logits (B, C) of each level, and those of the probabilities averaged over levels.
        per_level = [head(embedding) for head, embedding in zip(heads, pooled, strict=True)]
        logits = pool_probabilities(torch.stack(per_level), self.sigmoids, OneBag(), "mean")[0]
        streams = {f"level {k}": level_logits for k, level_logits in enumerate(per_level, 1)}
        return PackedOutput(logits, self.multi_label, embedding=pooled[2], streams=streams)

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return one loss term for each level."""
        if target is None:
            return {}
        return {name: self.bag_loss(logits[0], target) for name, logits in output.streams.items()}


class MINetRC(ThreeLayers):
    """MI-Net with residual connections (Wang et al. 2018, section 3.4).

    The pooled levels are added up.

    Parameters as `ThreeLayers`.
    """

    published_dims = (128, 128, 128)

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        if len(set(self.dims)) > 1:
            raise ValueError(f"levels are added up and need equal dims, not {self.dims}")
        self.score = nn.Linear(self.dims[2], n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with embedding (B, dims[2]), see `PackedAggregator`."""
        first, second, third = (self.pool(h, bags) for h in self.levels(features))
        embedding = first + second + third
        return PackedOutput(self.score(embedding), self.multi_label, embedding=embedding)
