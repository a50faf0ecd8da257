"""HAMIL: hierarchical aggregation for multi-instance learning.

Tu et al. 2021, "HAMIL: high-resolution image classification by hierarchical aggregation of
microscopy images": algorithm 1, eq. 1-3.

    T = queue of merges (C1, C2, C) of single linkage on the features of instances  (algorithm 1)
    x_C = Agg(x_C1, x_C2), replayed along T, for every channel with the same unit:  (eq. 1)
    L1   O = W * [x1, x2] + b                                                       (eq. 2)
    L2   O = W' * relu(BN(W * [x1, x2] + b)) + b';   L3 with one layer more         (eq. 3)

The tree carries no gradient; the merges do, into the features and the network that made them.

Choices the paper leaves open: maps are flattened for clustering (`distance="mean"` averages them
over space); hidden layers have 2 channels; the text puts a batch norm behind the single convolution
that eq. 2 does not print, so L1 has one and L2 and L3 have none at the end; the result is averaged
over space and classified. Vectors can pass fully connected layers first (`dims`; the appendix has
256, 128 and 64 for classical data); `starts_as_mean` lets a unit begin as the plain average
(HAMIL-A), since a stack of random merges as deep as the tree forgets its leaves.

As printed, the operands of a merge follow the order of the bag and the unit is not symmetric in
them, so the answer depends on that order: `order="canonical"` (see `single_linkage`) removes this
and is the default, `order="index"` is as printed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import ClassVar, Literal, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import Aggregator, Task, spatial_mean, vector_projection
from napari_mil.aggregators.merge_tree import MergeTree, Order, single_linkage
from napari_mil.aggregators.output import BagOutput


class ConvolutionUnit(nn.Module):
    """Convolutions over the pair of planes of each channel (eq. 2, 3).

    Parameters
    ----------
    layers
        1, 2 or 3.
    kernel
        Side of the kernels, odd.
    hidden
        Channels between layers.
    final_norm
        Whether a batch norm follows the last convolution.
    spatial_dims
        1 convolves along vectors, 2 over maps.
    channels
        None shares one filter among all channels; otherwise each of these many channels has its
        own.
    frozen_norm
        Whether batch norms use their running statistics in training too.
    starts_as_mean
        Whether a unit of one layer is the average of both operands before training.
    """

    def __init__(
        self,
        layers: int,
        kernel: int,
        hidden: int,
        final_norm: bool,
        spatial_dims: int,
        channels: int | None = None,
        frozen_norm: bool = False,
        starts_as_mean: bool = False,
    ) -> None:
        super().__init__()
        if layers not in (1, 2, 3) or kernel % 2 == 0:
            raise ValueError(
                "a unit has 1, 2 or 3 layers with odd kernels, "
                f"not {layers} layers with kernels of {kernel}"
            )
        convolution = nn.Conv1d if spatial_dims == 1 else nn.Conv2d
        norm = nn.BatchNorm1d if spatial_dims == 1 else nn.BatchNorm2d
        groups = channels or 1
        widths = [2, *[hidden] * (layers - 1), 1]
        self.layers = layers
        self.channels = channels
        self.frozen_norm = frozen_norm
        for k in range(layers):
            width_in = groups * widths[k]
            width_out = groups * widths[k + 1]
            layer = convolution(width_in, width_out, kernel, padding=kernel // 2, groups=groups)
            self.add_module(f"conv{k + 1}", layer)
            if k < layers - 1 or final_norm:
                self.add_module(f"bn{k + 1}", norm(width_out))
        if starts_as_mean:
            self._start_as_mean()

    def _start_as_mean(self) -> None:
        """Let the unit average its operands until it is trained."""
        if self.layers != 1:
            raise ValueError(f"a unit of one layer can start as a mean, not one of {self.layers}")
        layer = cast("nn.Conv1d", self.conv1)
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight.flatten(2)[:, :, layer.weight[0, 0].numel() // 2] = 0.5
            cast("nn.Parameter", layer.bias).zero_()

    @property
    def can_batch_pairs(self) -> bool:
        """Whether many pairs can be merged in one call.

        They can where no norm takes its statistics from the pair itself.
        """
        norms = [
            module
            for module in self.modules()
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        ]
        return not self.training or self.frozen_norm or not norms

    def train(self, mode: bool = True) -> ConvolutionUnit:
        """Set training mode; frozen norms stay in evaluation."""
        super().train(mode)
        for module in self.modules():
            if self.frozen_norm and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Merge pairs: (P, D) or (P, C, H, W) twice -> the same."""
        # Vectors are one plane.
        planes = left.shape if left.ndim == 4 else (len(left), 1, left.shape[1])
        x = torch.stack([left.reshape(planes), right.reshape(planes)], 2)  # (P, C, 2, ...)
        x = x.flatten(1, 2) if self.channels else x.flatten(0, 1)
        for k in range(1, self.layers + 1):
            x = getattr(self, f"conv{k}")(x)
            if hasattr(self, f"bn{k}"):
                x = _apply_norm(getattr(self, f"bn{k}"), x)
            if k < self.layers:
                x = x.relu()
        return x.reshape(left.shape)


class MeanUnit(nn.Module):
    """Plain average of two operands (HAMIL-A).

    Clusters of any two sizes weigh the same.
    """

    can_batch_pairs = True
    """Whether many pairs can be merged in one call."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Average pairs: (P, ...) twice -> (P, ...)."""
        return (left + right) / 2


class MergingAggregator(Aggregator):
    """Base of methods that merge instances two by two until one is left.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    unit
        Merges pairs of operands.
    dims
        Units of fully connected layers with ReLU that vectors pass first; none by default.
    dropout
        Rate after each of these layers, in training.
    """

    works_on_maps: ClassVar[bool] = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        unit: ConvolutionUnit | MeanUnit,
        *,
        dims: Sequence[int] | None = None,
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        widths = [in_dim, *(dims or ())]
        self.projection = nn.Sequential(
            *(
                vector_projection(width_in, width_out, dropout, task)
                for width_in, width_out in pairwise(widths)
            )
        )
        self.unit = unit
        self.classifier = nn.Linear(widths[-1], n_classes)

    @abstractmethod
    def merges(self, bag: Tensor) -> MergeTree:
        """Return the tree of merges of a bag."""

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer with similarity (N,) and tree, see `Aggregator.forward`.

        The embedding is (D,) or (D, H, W).
        """
        bag = self.projection(bag)
        tree = self.merges(bag)
        embedding = self.replay(bag, tree)
        logits = self.classifier(spatial_mean(embedding[None])[0])
        similarity = functional.cosine_similarity(bag.flatten(1), embedding.flatten()[None])
        losses = {} if target is None else {"bag": self.bag_loss(logits, target)}
        return BagOutput(
            logits,
            self.multi_label,
            embedding=embedding,
            similarity=similarity,
            tree=tree,
            warm_up_logits=None if target is None else self.classifier(spatial_mean(bag)),
            losses=losses,
        )

    def replay(self, bag: Tensor, tree: MergeTree) -> Tensor:
        """Merge instances along the tree (eq. 1): (N, ...) -> (...).

        Merges that do not depend on each other are made at once where the unit allows it.
        """
        nodes: list[Tensor | None] = [*bag.unbind(), *[None] * len(tree.triplets)]
        levels: Iterable[np.ndarray]
        if self.unit.can_batch_pairs:
            levels = tree.levels()
        else:
            levels = (np.array([k]) for k in range(len(tree.triplets)))
        for level in levels:
            left, right, new = tree.triplets[level].T.tolist()
            merged = self.unit(_take_nodes(nodes, left), _take_nodes(nodes, right))
            for node, value in zip(new, merged.unbind(), strict=True):
                nodes[node] = value
        assert nodes[-1] is not None
        return nodes[-1]


class TreeAggregator(MergingAggregator):
    """Base of methods that merge in the order of single linkage (algorithm 1).

    Parameters
    ----------
    in_dim, n_classes, unit, **task
        See `MergingAggregator`.
    distance
        Cluster flattened maps (``"flatten"``) or their means over space (``"mean"``).
    order
        ``"canonical"`` or, as printed, ``"index"``.
    dims, dropout
        See `MergingAggregator`.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        unit: ConvolutionUnit | MeanUnit,
        *,
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        dims: Sequence[int] | None = None,
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, unit, dims=dims, dropout=dropout, **task)
        self.distance = distance
        self.order = order

    def merges(self, bag: Tensor) -> MergeTree:
        """Cluster the detached features (algorithm 1)."""
        features = (spatial_mean(bag) if self.distance == "mean" else bag).detach()
        return single_linkage(features.flatten(1).cpu().numpy(), self.order)


class HAMIL(TreeAggregator):
    """Convolutional merges along the tree of the bag (HAMIL, algorithm 1, eq. 1-3).

    Parameters
    ----------
    in_dim, n_classes, distance, order, dims, dropout, **task
        See `TreeAggregator`.
    layers
        Convolutions of a unit: 1 (L1), 2 (L2) or 3 (L3).
    kernel
        Side of the kernels.
    hidden
        Channels between the layers of a unit.
    final_norm
        Whether a batch norm ends a unit; None is only for units of one layer.
    frozen_norm
        Whether batch norms use running statistics in training too. Otherwise the planes of one
        merge are their batch, and merges are computed one by one.
    depthwise
        Whether each channel of a map has its own unit.
    starts_as_mean
        See `ConvolutionUnit`.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        layers: int = 1,
        kernel: int = 7,
        hidden: int = 2,
        final_norm: bool | None = None,
        frozen_norm: bool = False,
        depthwise: bool = False,
        starts_as_mean: bool = False,
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        dims: Sequence[int] | None = None,
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        unit = _convolution_unit(
            in_dim, task, layers, kernel, hidden, final_norm, frozen_norm, depthwise, starts_as_mean
        )
        super().__init__(
            in_dim,
            n_classes,
            unit,
            distance=distance,
            order=order,
            dims=dims,
            dropout=dropout,
            **task,
        )


class HAMILMean(TreeAggregator):
    """Plain averages along the tree of the bag (HAMIL-A).

    Parameters
    ----------
    in_dim, n_classes, distance, order, dims, dropout, **task
        See `TreeAggregator`.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        dims: Sequence[int] | None = None,
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(
            in_dim,
            n_classes,
            MeanUnit(),
            distance=distance,
            order=order,
            dims=dims,
            dropout=dropout,
            **task,
        )


class RAMIL(MergingAggregator):
    """Convolutional merges in random order (RAMIL).

    (((i1, i2), i3), ...), shuffled anew in training, always alike in evaluation.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    layers, kernel, hidden, final_norm, frozen_norm, depthwise, starts_as_mean, dims, dropout
        As `HAMIL`.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        layers: int = 1,
        kernel: int = 7,
        hidden: int = 2,
        final_norm: bool | None = None,
        frozen_norm: bool = False,
        depthwise: bool = False,
        starts_as_mean: bool = False,
        dims: Sequence[int] | None = None,
        dropout: float = 0.5,
        **task: Unpack[Task],
    ) -> None:
        unit = _convolution_unit(
            in_dim, task, layers, kernel, hidden, final_norm, frozen_norm, depthwise, starts_as_mean
        )
        super().__init__(in_dim, n_classes, unit, dims=dims, dropout=dropout, **task)

    def merges(self, bag: Tensor) -> MergeTree:
        """Return the merges in random order, one instance after another."""
        return self.chain(self.random_order(len(bag)))

    @staticmethod
    def chain(order: Tensor) -> MergeTree:
        """Return the tree that merges instances one after another.

        `order` is int64 (N,); heights count the merges.
        """
        n = len(order)
        new = np.arange(n, 2 * n - 1)
        instances = order.numpy()
        left = np.concatenate([instances[:1], new[:-1]])[: n - 1]
        return MergeTree(np.stack([left, instances[1:], new], 1), np.arange(1, n, dtype=np.float64))


def _convolution_unit(
    in_dim: int,
    task: Task,
    layers: int,
    kernel: int,
    hidden: int,
    final_norm: bool | None,
    frozen_norm: bool,
    depthwise: bool,
    starts_as_mean: bool,
) -> ConvolutionUnit:
    """Make the unit of HAMIL or RAMIL from their options."""
    spatial_dims = task.get("spatial_dims", 1)
    if depthwise and spatial_dims == 1:
        raise ValueError("units of their own for each channel need maps (spatial_dims=2)")
    final_norm = layers == 1 if final_norm is None else final_norm
    return ConvolutionUnit(
        layers,
        kernel,
        hidden,
        final_norm,
        spatial_dims,
        channels=in_dim if depthwise else None,
        frozen_norm=frozen_norm,
        starts_as_mean=starts_as_mean,
    )


def _take_nodes(nodes: list[Tensor | None], indices: list[int]) -> Tensor:
    """Stack nodes and release them, since each is an operand once."""
    operands = [nodes[i] for i in indices]
    for i in indices:
        nodes[i] = None
    return torch.stack([node for node in operands if node is not None])


def _apply_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply a batch norm.

    One value per channel has no statistics of its own, so the running ones are taken.
    """
    if norm.training and x.numel() == x.shape[1]:
        return functional.batch_norm(
            x,
            cast("Tensor", norm.running_mean),
            cast("Tensor", norm.running_var),
            norm.weight,
            norm.bias,
            eps=norm.eps,
        )
    normalised: Tensor = norm(x)
    return normalised
