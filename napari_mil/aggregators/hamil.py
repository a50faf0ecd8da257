"""HAMIL: hierarchical aggregation for multi-instance learning.

Tu et al. 2021, "HAMIL: high-resolution image classification by hierarchical aggregation of microscopy images": algorithm 1, eq. 1-3.

    T = queue of merges (C1, C2, C) of single linkage on the features of the instances         (algorithm 1)
    x_C = Agg(x_C1, x_C2), replayed along T, for every channel with the same unit:             (eq. 1)
    L1   O = W * [x1, x2] + b                                                                  (eq. 2)
    L2   O = W' * relu(BN(W * [x1, x2] + b)) + b';   L3 with one layer more                     (eq. 3)

The tree carries no gradient; the merges do, into the features and whatever made them. Choices the paper leaves open: maps are flattened
for clustering (`distance="mean"` averages them over space); hidden layers have 2 channels; the text puts a batch norm behind the single
convolution that eq. 2 does not print, so L1 has one and L2 and L3 have none at the end; the result is averaged over space and classified.
As printed, the operands of a merge follow the order of the bag and the unit is not symmetric in them, so the answer depends on that order:
`order="canonical"` (see `single_linkage`) removes this and is the default, `order="index"` is as printed.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import Aggregator, Task, spatial_mean
from napari_mil.aggregators.merge_tree import MergeTree, Order, single_linkage
from napari_mil.aggregators.output import BagOutput


class ConvolutionUnit(nn.Module):
    """Agg of eq. 2 and 3: one, two or three convolutions over the pair of planes of each channel.

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
        None shares one filter among all channels; otherwise each of so many has its own.
    frozen_norm
        Whether batch norms use their running statistics in training too.
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
    ) -> None:
        super().__init__()
        if layers not in (1, 2, 3) or kernel % 2 == 0:
            raise ValueError(
                f"a unit has 1, 2 or 3 layers with odd kernels, not {layers} layers with kernels of {kernel}"
            )
        convolution, norm = (
            (nn.Conv1d, nn.BatchNorm1d) if spatial_dims == 1 else (nn.Conv2d, nn.BatchNorm2d)
        )
        groups = channels or 1
        widths = [2, *[hidden] * (layers - 1), 1]
        self.layers, self.channels, self.frozen_norm = layers, channels, frozen_norm
        for k in range(layers):
            self.add_module(
                f"conv{k + 1}",
                convolution(
                    groups * widths[k],
                    groups * widths[k + 1],
                    kernel,
                    padding=kernel // 2,
                    groups=groups,
                ),
            )
            if k < layers - 1 or final_norm:
                self.add_module(f"bn{k + 1}", norm(groups * widths[k + 1]))

    @property
    def pairs_are_alike(self) -> bool:
        """Whether many pairs can be merged in one call: no norm takes its statistics from the pair itself."""
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
        planes = (
            left.shape if left.ndim == 4 else (len(left), 1, left.shape[1])
        )  # vectors are one plane
        x = torch.stack([left.reshape(planes), right.reshape(planes)], 2)  # (P, C, 2, ...)
        x = x.flatten(1, 2) if self.channels else x.flatten(0, 1)
        for k in range(1, self.layers + 1):
            x = getattr(self, f"conv{k}")(x)
            if hasattr(self, f"bn{k}"):
                x = _normalised(getattr(self, f"bn{k}"), x)
            if k < self.layers:
                x = x.relu()
        return x.reshape(left.shape)


class MeanUnit(nn.Module):
    """The plain average of two operands, whatever their sizes (HAMIL-A)."""

    pairs_are_alike = True

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """(P, ...) twice -> (P, ...)."""
        return (left + right) / 2


class MergingAggregator(Aggregator):
    """Merges of instances, two by two, until one is left.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    unit
        Merges pairs of operands.
    """

    works_on_maps: ClassVar[bool] = True

    def __init__(
        self, in_dim: int, n_classes: int, unit: ConvolutionUnit | MeanUnit, **task: Unpack[Task]
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.unit = unit
        self.classifier = nn.Linear(in_dim, n_classes)

    @abstractmethod
    def merges(self, bag: Tensor) -> MergeTree:
        """Return which instances merge, and when."""

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """See `Aggregator`; embedding (D,) or (D, H, W), similarity (N,), tree."""
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
            losses=losses,
        )

    def replay(self, bag: Tensor, tree: MergeTree) -> Tensor:
        """Eq. 1 along the queue, merges that do not wait for each other at once: (N, ...) -> (...)."""
        nodes: list[Tensor | None] = [*bag.unbind(), *[None] * len(tree.triplets)]
        levels = (
            tree.levels()
            if self.unit.pairs_are_alike
            else (np.array([k]) for k in range(len(tree.triplets)))
        )
        for level in levels:
            left, right, new = tree.triplets[level].T.tolist()
            merged = self.unit(_taken(nodes, left), _taken(nodes, right))
            for node, value in zip(new, merged.unbind(), strict=True):
                nodes[node] = value
        assert nodes[-1] is not None
        return nodes[-1]


class TreeAggregator(MergingAggregator):
    """Merges in the order of single linkage (algorithm 1).

    Parameters
    ----------
    in_dim, n_classes, unit, **task
        See `MergingAggregator`.
    distance
        Cluster flattened maps (``"flatten"``) or their means over space (``"mean"``).
    order
        ``"canonical"`` or, as printed, ``"index"``.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        unit: ConvolutionUnit | MeanUnit,
        *,
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, unit, **task)
        self.distance, self.order = distance, order

    def merges(self, bag: Tensor) -> MergeTree:
        """Algorithm 1 on detached features."""
        features = (spatial_mean(bag) if self.distance == "mean" else bag).detach()
        return single_linkage(features.flatten(1).cpu().numpy(), self.order)


class HAMIL(TreeAggregator):
    """Convolutional merges along the tree of the bag (HAMIL, algorithm 1, eq. 1-3).

    Parameters
    ----------
    in_dim, n_classes, distance, order, **task
        See `TreeAggregator`.
    layers
        Convolutions of a unit: 1 (L1), 2 (L2) or 3 (L3).
    kernel
        Side of the kernels.
    hidden
        Channels between the layers of a unit.
    final_norm
        Whether a batch norm ends a unit; None: for one layer.
    frozen_norm
        Whether batch norms use running statistics in training too. Otherwise the planes of one merge are their batch, and merges are
        computed one by one.
    depthwise
        Whether each channel of a map has its own unit.
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
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        **task: Unpack[Task],
    ) -> None:
        unit = _convolution_unit(
            in_dim, task, layers, kernel, hidden, final_norm, frozen_norm, depthwise
        )
        super().__init__(in_dim, n_classes, unit, distance=distance, order=order, **task)


class HAMILMean(TreeAggregator):
    """HAMIL-A: plain averages along the tree of the bag.

    Parameters
    ----------
    in_dim, n_classes, distance, order, **task
        See `TreeAggregator`.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        distance: Literal["flatten", "mean"] = "flatten",
        order: Order = "canonical",
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, MeanUnit(), distance=distance, order=order, **task)


class RAMIL(MergingAggregator):
    """Merges in random order instead of the tree's: (((i1, i2), i3), ...), anew in training, always alike in evaluation.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    layers, kernel, hidden, final_norm, frozen_norm, depthwise
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
        **task: Unpack[Task],
    ) -> None:
        super().__init__(
            in_dim,
            n_classes,
            _convolution_unit(
                in_dim, task, layers, kernel, hidden, final_norm, frozen_norm, depthwise
            ),
            **task,
        )

    def merges(self, bag: Tensor) -> MergeTree:
        """Left fold in random order."""
        generator = None if self.training else torch.Generator().manual_seed(0)
        return self.fold(torch.randperm(len(bag), generator=generator))

    @staticmethod
    def fold(order: Tensor) -> MergeTree:
        """Return the left fold of instances int64 (N,) as a tree; heights count the merges."""
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
) -> ConvolutionUnit:
    spatial_dims = task.get("spatial_dims", 1)
    if depthwise and spatial_dims == 1:
        raise ValueError("units of their own for each channel need maps (spatial_dims=2)")
    final_norm = layers == 1 if final_norm is None else final_norm
    return ConvolutionUnit(
        layers, kernel, hidden, final_norm, spatial_dims, in_dim if depthwise else None, frozen_norm
    )


def _taken(nodes: list[Tensor | None], indices: list[int]) -> Tensor:
    """Stack nodes and let go of them: each is an operand once."""
    taken = [nodes[i] for i in indices]
    for i in indices:
        nodes[i] = None
    return torch.stack([node for node in taken if node is not None])


def _normalised(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a batch norm; one value per channel has no statistics of its own, and the running ones are taken."""
    if norm.training and x.numel() == x.shape[1]:
        return functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )  # type: ignore[arg-type]
    normalised: Tensor = norm(x)
    return normalised
