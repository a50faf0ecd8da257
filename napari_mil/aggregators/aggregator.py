"""The contract of every aggregator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.output import BagOutput, PackedOutput
from napari_mil.aggregators.packing import SIXTEEN_BITS, Bags, OneBag, PackedBags
from napari_mil.errors import BagError


class Task(TypedDict, total=False):
    """What every aggregator is asked, besides its dimensions; see `Aggregator`."""

    multi_label: bool
    spatial_dims: int


class Aggregator(nn.Module, ABC):
    """A network from one bag to one answer.

    Parameters
    ----------
    in_dim
        D, the length of an instance's feature vector, or C, the channels of its feature map.
    n_classes
        C; 1 is one sigmoid unit, 2 or more are exclusive (softmax) unless `multi_label`.
    multi_label
        Whether C >= 2 classes are independent (sigmoids).
    spatial_dims
        1 for bags of vectors (N, D); 2 for bags of maps (N, C, H, W), which are averaged over space unless the method works on maps.
    """

    works_on_maps: ClassVar[bool] = False
    reads_16_bits: bool = False
    """Whether a bag kept in 16 bits is multiplied as it is; other methods turn it into float32 first."""

    def __init__(
        self, in_dim: int, n_classes: int, *, multi_label: bool = False, spatial_dims: int = 1
    ) -> None:
        super().__init__()
        if in_dim < 1 or n_classes < 1:
            raise ValueError(
                f"an aggregator needs at least one feature and one class, not {in_dim} and {n_classes}"
            )
        if spatial_dims not in (1, 2):
            raise ValueError(
                f"bags are of vectors (spatial_dims=1) or of maps (spatial_dims=2), not {spatial_dims}"
            )
        self.in_dim, self.n_classes, self.multi_label, self.spatial_dims = (
            in_dim,
            n_classes,
            multi_label,
            spatial_dims,
        )

    def forward(
        self, bag: Tensor, target: Tensor | None = None, instance_target: Tensor | None = None
    ) -> BagOutput:
        """Answer for one bag.

        Parameters
        ----------
        bag
            float (N, D) or (N, C, H, W), N >= 1; float32, or 16 bits to save memory and time.
        target
            Class index () for softmax, float (C,) for sigmoids; then `losses` is filled.
        instance_target
            The same per instance, (N,) or (N, C), for aggregators with an instance head; NaN, or -1 for softmax, where it is unknown.

        Raises
        ------
        BagError
            If the bag is empty or its instances are of another shape.
        """
        return self.aggregate(self.instances(bag), target, instance_target)

    @abstractmethod
    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer for a bag that `instances` has checked; see `forward`."""

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """Answer for many bags at once.

        Parameters
        ----------
        features
            float (N, D) or (N, C, H, W): the instances of all B bags, one bag after another.
        offsets
            int64 (B + 1,): bag b is rows offsets[b] to offsets[b + 1]; none is empty.

        Raises
        ------
        BagError
            If the offsets do not cut the features into bags of at least one instance.
        """
        bags, rows = (
            PackedBags(offsets.to(features.device), len(features)),
            self.instances(features),
        )
        outputs = [self.aggregate(rows[start:end], None, None) for start, end in bags.bounds()]
        return PackedOutput(
            torch.stack([output.logits for output in outputs]),
            self.multi_label,
            attention=_joined([output.attention for output in outputs]),
            scores=_joined([output.scores for output in outputs]),
            instance_logits=_joined([output.instance_logits for output in outputs]),
        )

    def instances(self, bag: Tensor) -> Tensor:
        """Return the bag as the method takes it: checked, maps averaged unless it works on them, 16 bits unless it reads them."""
        shape = "(N, C, H, W)" if self.spatial_dims == 2 else "(N, D)"
        if bag.ndim != 2 * self.spatial_dims or len(bag) == 0 or bag.shape[1] != self.in_dim:
            raise BagError(
                f"The bag has the shape {tuple(bag.shape)}; this aggregator takes {shape} with N of at least 1 and {self.in_dim} features."
            )
        if self.spatial_dims == 2 and not self.works_on_maps:
            bag = bag.mean((2, 3))
        return (
            bag
            if bag.dtype in SIXTEEN_BITS and self.reads_16_bits
            else bag.to(next(self.parameters()).dtype)
        )

    @property
    def sigmoids(self) -> bool:
        """Whether each logit stands for itself, rather than one of exclusive classes."""
        return self.n_classes == 1 or self.multi_label

    def bag_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood () of a target under logits (C,)."""
        target = target.to(logits.device)
        if self.sigmoids:
            return functional.binary_cross_entropy_with_logits(
                logits, target.to(logits.dtype).reshape(logits.shape)
            )
        return functional.cross_entropy(logits, target.reshape(()).long())

    def instance_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood () of the known among instance targets (N,) or (N, C) under logits (N, C); 0 where none is known."""
        target = target.to(logits.device)
        if self.sigmoids:
            wanted = target.to(logits.dtype).reshape(logits.shape)
            known = ~wanted.isnan()
            total = functional.binary_cross_entropy_with_logits(
                logits[known], wanted[known], reduction="sum"
            )
        else:
            known = target >= 0
            total = functional.cross_entropy(logits[known], target[known].long(), reduction="sum")
        return total / known.sum().clamp_min(1)


class PackedAggregator(Aggregator):
    """A method whose equations are written once for any number of bags; one bag is the special case."""

    @abstractmethod
    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer for the instances (N, D) of B bags."""

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return every weighted term for the only bag of an output."""
        losses = {} if target is None else {"bag": self.bag_loss(output.logits[0], target)}
        if instance_target is not None and output.instance_logits is not None:
            losses["instances"] = self.instance_loss(output.instance_logits, instance_target)
        return losses

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """See `Aggregator`."""
        output = self.answer(bag, OneBag())
        return output.only(self.losses(output, target, instance_target))

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """See `Aggregator.forward_packed`."""
        bags = PackedBags(offsets.to(features.device), len(features))
        return self.answer(self.instances(features), bags)


def projection(in_dim: int, hidden: int | None, dropout: float) -> nn.Module:
    """Linear, ReLU, dropout to `hidden` units, as slide-level implementations put before an aggregator; None leaves features as they are."""
    return (
        nn.Identity()
        if hidden is None
        else nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Dropout(dropout))
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


def spatial_mean(features: Tensor) -> Tensor:
    """Return (N, D) of (N, D) or (N, D, H, W)."""
    return features.mean((2, 3)) if features.ndim == 4 else features
