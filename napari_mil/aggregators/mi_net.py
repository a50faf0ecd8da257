"""Multiple-instance networks: Wang, Yan, Tang, Bai & Liu 2018, "Revisiting multiple instance neural networks", Pattern Recognition.

Three fully connected layers with ReLU; what is pooled, and where, tells them apart:

    mi-Net       instance probabilities, pooled                                     (section 3.1)
    MI-Net       features of the third layer, pooled, then classified               (section 3.2)
    MI-Net + DS  pooled and classified at each level; probabilities averaged        (section 3.3, deep supervision)
    MI-Net + RC  pooled features of the levels added up, then classified            (section 3.4, residual connections)

As its authors' code has it: dropout of 0.5 before each pooling or instance classifier, log-sum-exp with a mean inside;
the three losses of deep supervision have weight 1 each and their average is only read out.
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
    """The layers that the four networks share.

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
        first, second, third = self.dims = tuple(dims or self.published_dims)
        self.pooling = pooling
        self.fc1, self.fc2, self.fc3 = (
            nn.Linear(in_dim, first),
            nn.Linear(first, second),
            nn.Linear(second, third),
        )
        self.dropout = nn.Dropout(dropout)

    def levels(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs of the three layers (N, dims[i]), without dropout."""
        h1 = self.fc1(features).relu()
        h2 = self.fc2(h1).relu()
        return h1, h2, self.fc3(h2).relu()

    def pool(self, h: Tensor, bags: Bags) -> Tensor:
        """Dropout, then pooling: (N, M) -> (B, M)."""
        return POOLINGS[self.pooling](self.dropout(h), bags)


class MiNetInstance(ThreeLayers):
    """mi-Net: pooled instance probabilities (Wang et al. 2018, section 3.1).

    Parameters as `ThreeLayers`.
    """

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        self.score = nn.Linear(self.dims[2], n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """See `PackedAggregator`; instance_logits (N, C)."""
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
        """See `PackedAggregator`; embedding (B, dims[2])."""
        embedding = self.pool(self.levels(features)[2], bags)
        return PackedOutput(self.score(embedding), self.multi_label, embedding=embedding)


class MINetDS(ThreeLayers):
    """MI-Net with deep supervision: an answer at each level (Wang et al. 2018, section 3.3).

    Parameters as `ThreeLayers`.
    """

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        self.score1, self.score2, self.score3 = (nn.Linear(units, n_classes) for units in self.dims)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """See `PackedAggregator`; streams are the logits of the levels."""
        heads = (self.score1, self.score2, self.score3)
        pooled = [self.pool(h, bags) for h in self.levels(features)]
        answers = [
            head(embedding) for head, embedding in zip(heads, pooled, strict=True)
        ]  # (B, C) each
        logits = pool_probabilities(torch.stack(answers), self.sigmoids, OneBag(), "mean")[
            0
        ]  # averaged over levels
        streams = {f"level {k}": logits for k, logits in enumerate(answers, 1)}
        return PackedOutput(logits, self.multi_label, embedding=pooled[2], streams=streams)

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """One term for each level; their average is only read out."""
        return (
            {}
            if target is None
            else {name: self.bag_loss(logits[0], target) for name, logits in output.streams.items()}
        )


class MINetRC(ThreeLayers):
    """MI-Net with residual connections: pooled levels are added up (Wang et al. 2018, section 3.4).

    Parameters as `ThreeLayers`.
    """

    published_dims = (128, 128, 128)

    def __init__(self, in_dim: int, n_classes: int, **options: object) -> None:
        super().__init__(in_dim, n_classes, **options)  # type: ignore[arg-type]
        if len(set(self.dims)) > 1:
            raise ValueError(f"levels are added up and need equal dims, not {self.dims}")
        self.score = nn.Linear(self.dims[2], n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """See `PackedAggregator`; embedding (B, dims[2])."""
        first, second, third = (self.pool(h, bags) for h in self.levels(features))
        embedding = first + second + third
        return PackedOutput(self.score(embedding), self.multi_label, embedding=embedding)
