"""Base classes of all aggregators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.output import BagOutput, PackedOutput
from napari_mil.aggregators.packing import SIXTEEN_BITS, Bags, OneBag, PackedBags, blockwise
from napari_mil.aggregators.weighted_values import WeightedValues
from napari_mil.errors import BagError


class Task(TypedDict, total=False):
    """Keyword options that all aggregators share.

    See `Aggregator` for their meaning.
    """

    multi_label: bool
    spatial_dims: int


class Aggregator(nn.Module, ABC):
    """A network that answers for one bag at a time.

    Parameters
    ----------
    in_dim
        D, the length of an instance's feature vector, or C, the channels of its feature map.
    n_classes
        C; 1 is one sigmoid unit, 2 or more are exclusive (softmax) unless `multi_label`.
    multi_label
        Whether C >= 2 classes are independent (sigmoids).
    spatial_dims
        1 for bags of vectors (N, D); 2 for bags of maps (N, C, H, W), which are averaged over
        space unless the method works on maps.
    """

    works_on_maps: ClassVar[bool] = False
    """Whether feature maps reach the method without being averaged over space."""
    reads_16_bits: bool = False
    """Whether bags kept in 16 bits are multiplied as they are.

    Other methods turn them into float32 first.
    """

    def __init__(
        self, in_dim: int, n_classes: int, *, multi_label: bool = False, spatial_dims: int = 1
    ) -> None:
        super().__init__()
        if in_dim < 1 or n_classes < 1:
            raise ValueError(
                "an aggregator needs at least one feature and one class, "
                f"not {in_dim} and {n_classes}"
            )
        if spatial_dims not in (1, 2):
            raise ValueError(
                "bags are of vectors (spatial_dims=1) or of maps (spatial_dims=2), "
                f"not {spatial_dims}"
            )
        self.in_dim = in_dim
        self.n_classes = n_classes
        self.multi_label = multi_label
        self.spatial_dims = spatial_dims

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
            The same per instance, (N,) or (N, C), for aggregators with an instance head; NaN, or
            -1 for softmax, where it is unknown.

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
        """Answer for a bag that `instances` has checked.

        Parameters as `forward`.
        """

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
        bags = PackedBags(offsets.to(features.device), len(features))
        rows = self.instances(features)
        outputs = [self.aggregate(rows[start:end], None, None) for start, end in bags.bounds()]
        return PackedOutput(
            torch.stack([output.logits for output in outputs]),
            self.multi_label,
            attention=_concatenate([output.attention for output in outputs]),
            scores=_concatenate([output.scores for output in outputs]),
            instance_logits=_concatenate([output.instance_logits for output in outputs]),
        )

    def instances(self, bag: Tensor) -> Tensor:
        """Return the bag as the method takes it.

        The shape is checked; maps are averaged over space unless the method works on them; 16 bits
        become the dtype of the weights unless the method reads them.
        """
        shape = "(N, C, H, W)" if self.spatial_dims == 2 else "(N, D)"
        if bag.ndim != 2 * self.spatial_dims or len(bag) == 0 or bag.shape[1] != self.in_dim:
            raise BagError(
                f"The bag has the shape {tuple(bag.shape)}; this aggregator takes {shape} "
                f"with N of at least 1 and {self.in_dim} features."
            )
        if self.spatial_dims == 2 and not self.works_on_maps:
            bag = bag.mean((2, 3))
        if bag.dtype in SIXTEEN_BITS and self.reads_16_bits:
            return bag
        return bag.to(next(self.parameters()).dtype)

    def weighted_values(self, bag: Tensor) -> WeightedValues | None:
        """Return the logits of a bag as weighted means of values of its instances.

        In evaluation mode, at the cost of one answer; see `WeightedValues`.

        Parameters
        ----------
        bag
            As `forward` takes it.

        Returns
        -------
        WeightedValues or None
            None where the method is no weighted mean.

        Raises
        ------
        BagError
            If the bag has another shape.
        """
        return None

    def random_order(self, n: int) -> Tensor:
        """Return a random order of N instances, int64 (N,).

        Drawn anew in training, always alike in evaluation, so that a bag has one answer.
        """
        generator = None if self.training else torch.Generator().manual_seed(0)
        return torch.randperm(n, generator=generator)

    @property
    def sigmoids(self) -> bool:
        """Whether each logit has its own sigmoid.

        Otherwise the classes exclude each other and share one softmax.
        """
        return self.n_classes == 1 or self.multi_label

    def bag_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood () of a target under logits (C,)."""
        target = target.to(logits.device)
        if self.sigmoids:
            return functional.binary_cross_entropy_with_logits(
                logits, target.to(logits.dtype).reshape(logits.shape)
            )
        return functional.cross_entropy(logits, target.reshape(()).long())

    def instance_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log-likelihood () of instance targets.

        Targets (N,) or (N, C) are compared with logits (N, C) where they are known; 0 where none
        is known.
        """
        target = target.to(logits.device)
        if self.sigmoids:
            labels = target.to(logits.dtype).reshape(logits.shape)
            known = ~labels.isnan()
            total = functional.binary_cross_entropy_with_logits(
                logits[known], labels[known], reduction="sum"
            )
        else:
            known = target >= 0
            total = functional.cross_entropy(logits[known], target[known].long(), reduction="sum")
        return total / known.sum().clamp_min(1)

    def shared_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss () of instances (N, C) that all learn the target of their bag."""
        n = len(logits)
        shared = target.reshape(1, -1) if self.sigmoids else target.reshape(())
        return self.instance_loss(logits, shared.expand(n, *shared.shape[1:]))


class PackedAggregator(Aggregator):
    """A method whose equations hold for any number of packed bags.

    They are written once over `Bags`; one bag is the special case.
    """

    @abstractmethod
    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer for the instances (N, D) of B bags."""

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return all weighted loss terms of an output of one bag."""
        losses = {} if target is None else {"bag": self.bag_loss(output.logits[0], target)}
        if instance_target is not None and output.instance_logits is not None:
            losses["instances"] = self.instance_loss(output.instance_logits, instance_target)
        return losses

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer for a checked bag, see `Aggregator.forward`."""
        output = self.answer(bag, OneBag())
        return output.only(self.losses(output, target, instance_target))

    def forward_packed(self, features: Tensor, offsets: Tensor) -> PackedOutput:
        """Answer for many bags at once, see `Aggregator.forward_packed`."""
        bags = PackedBags(offsets.to(features.device), len(features))
        return self.answer(self.instances(features), bags)


@torch.inference_mode()
def values_of_linear_classifier(
    embed_and_score: Callable[[Tensor], tuple[Tensor, Tensor]],
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
) -> WeightedValues:
    """Return what instances add to a linear classifier of weighted means of embeddings.

    Parameters
    ----------
    embed_and_score
        Function of rows (n, D) that returns embeddings (n, M) and scores (n, K).
    features
        The bag, (N, D), as `Aggregator.instances` returns it.
    weight, bias
        (C, K, M) and (C,) of the classifier; head k reaches class c by ``weight[c, k]``.
    """
    n_heads = weight.shape[1]
    by_head = weight.transpose(0, 1).flatten(0, 1)  # (K * C, M)

    def scores_and_values(rows: Tensor) -> Tensor:
        h, scores = embed_and_score(rows)
        return torch.cat([scores, functional.linear(h, by_head)], 1)

    table = blockwise(scores_and_values, features).double().cpu().numpy()
    values = table[:, n_heads:].reshape(len(table), n_heads, len(weight))
    return WeightedValues(table[:, :n_heads], values, bias.double().cpu().numpy())


def projection(in_dim: int, hidden: int | None, dropout: float) -> nn.Module:
    """Make the projection in front of an aggregator.

    Linear, ReLU and dropout to `hidden` units, as slide-level implementations have it; None leaves
    features as they are.
    """
    if hidden is None:
        return nn.Identity()
    return nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Dropout(dropout))


def vector_projection(in_dim: int, hidden: int | None, dropout: float, task: Task) -> nn.Module:
    """Make the projection in front of a method that also takes maps.

    Raises
    ------
    ValueError
        If bags are of maps.
    """
    if hidden is not None and task.get("spatial_dims", 1) == 2:
        raise ValueError("a projection is of vectors (spatial_dims=1), not of maps")
    return projection(in_dim, hidden, dropout)


def _concatenate(parts: list[Tensor | None]) -> Tensor | None:
    """Concatenate the tensors among the parts, or return None where there is none."""
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if tensors else None


def spatial_mean(features: Tensor) -> Tensor:
    """Average maps over space: (N, D[, H, W]) -> (N, D)."""
    return features.mean((2, 3)) if features.ndim == 4 else features
