"""Graph neural network MIL (GNN-MIL).

Tu, Huang, He & Zhou 2019, "Multiple instance learning with graph neural networks".

    A[i, j] = 1 if ||x_i - x_j|| < threshold, i != j
    H = relu-like(SAGE(A, X)),   S = softmax(W SAGE(A, H))        instances, and their soft
                                                                  assignment to K clusters
    X' = S^T H,  A' = S^T A S,   H' = relu-like(SAGE(A', X'))     the coarse graph
                                                                  (differentiable pooling)
    logits = MLP(concatenated rows of H')

SAGE(A, X)_i = W_rel mean of neighbours + W_root x_i. The paper's text was not at hand: layers
follow a public re-implementation (georg-wolflein/das-mil). The threshold of the paper is unknown;
by default it is the root mean square distance of the pairs of the bag, which takes linear time and
needs no training set.

Losses: bag; link prediction ||A - S S^T||_F / N^2; entropy of the assignment. A is visited in
blocks of rows and never held.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import Aggregator, Task
from napari_mil.aggregators.output import BagOutput

PAIRS = 4_000_000
"""Entries of A held at a time."""
SLOPE = 0.01
"""Negative slope of the leaky ReLU."""


class SAGE(nn.Module):
    """GraphSAGE layer: W_rel mean of neighbours + W_root x."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.lin_rel = nn.Linear(in_dim, out_dim, bias=False)
        self.lin_root = nn.Linear(in_dim, out_dim)

    def forward(self, neighbours: Tensor, x: Tensor) -> Tensor:
        """Apply the layer: means of neighbours and nodes (N, D) -> (N, out_dim)."""
        out: Tensor = self.lin_rel(neighbours) + self.lin_root(x)
        return out


class GNNMIL(Aggregator):
    """Graph network with differentiable pooling (Tu et al. 2019).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Width of a node.
    clusters
        K of the soft assignment.
    threshold
        Distance below which instances are neighbours; None is the root mean square distance of the
        pairs of the bag.
    auxiliary_weight
        Weight of link prediction and entropy in the loss.
    dropout
        Rate of the node embeddings, in training.
    averages
        Whether nodes of the coarse graph are means of their instances, so that the answer does not
        grow with the bag; sums as published.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int = 64,
        clusters: int = 1,
        threshold: float | None = None,
        auxiliary_weight: float = 1.0,
        dropout: float = 0.0,
        averages: bool = False,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.threshold = threshold
        self.auxiliary_weight = auxiliary_weight
        self.dropout = nn.Dropout(dropout)
        self.averages = averages
        self.gnn_embd = SAGE(in_dim, hidden)
        self.gnn_pool = SAGE(hidden, clusters)
        self.mlp = nn.Linear(clusters, clusters)
        self.gnn_embd2 = SAGE(hidden, hidden)
        self.lin1 = nn.Linear(clusters * hidden, max(1, hidden // 2))
        self.lin2 = nn.Linear(self.lin1.out_features, n_classes)

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer with embedding (K * hidden,), see `Aggregator.forward`."""
        # Sums over all pairs overflow 16 bits.
        with torch.autocast(bag.device.type, enabled=False):
            return self.apply_graph_network(bag, target)

    def apply_graph_network(self, bag: Tensor, target: Tensor | None) -> BagOutput:
        """Answer for instances (N, D) in full precision."""
        threshold = self.neighbour_distance(bag)
        h = self.embed(bag, threshold)
        s = self.assign(bag, h, threshold)
        coarse = self.coarse_adjacency(bag, s, threshold)  # (K, K)
        x = s.T @ h  # (K, hidden)
        if self.averages:
            x = x / s.sum(0)[:, None]
        means = coarse @ x / coarse.sum(1, keepdim=True).clamp(min=1)
        embedding = functional.leaky_relu(self.gnn_embd2(means, x), SLOPE).flatten()
        logits = self.lin2(functional.leaky_relu(self.lin1(embedding), SLOPE))
        losses = {}
        if target is not None:
            losses["bag"] = self.bag_loss(logits, target)
            for name, loss in self.auxiliary_losses(bag, s, coarse, threshold).items():
                losses[name] = self.auxiliary_weight * loss
        return BagOutput(logits, self.multi_label, embedding=embedding, losses=losses)

    def embed(self, bag: Tensor, threshold: Tensor) -> Tensor:
        """Embed instances: (N, D) -> (N, hidden).

        H = relu-like(SAGE(A, X)).
        """
        nodes = self.gnn_embd(self.neighbour_means(bag, bag, threshold), bag)
        embedded: Tensor = self.dropout(functional.leaky_relu(nodes, SLOPE))
        return embedded

    def assign(self, bag: Tensor, h: Tensor, threshold: Tensor) -> Tensor:
        """Assign instances to clusters: (N, hidden) -> (N, K).

        S = softmax(W SAGE(A, H)).
        """
        s = functional.leaky_relu(self.gnn_pool(self.neighbour_means(bag, h, threshold), h), SLOPE)
        return functional.leaky_relu(self.mlp(s), SLOPE).softmax(1)

    def neighbour_distance(self, bag: Tensor) -> Tensor:
        """Return the distance () below which instances are neighbours."""
        if self.threshold is not None:
            return bag.new_tensor(self.threshold)
        # mean over pairs of ||x_i - x_j||^2 = 2 N / (N - 1) mean ||x_i - mean||^2
        spread = (bag - bag.mean(0)).square().sum(1).mean()
        return (2 * len(bag) / max(1, len(bag) - 1) * spread).sqrt().detach()

    def edges(self, bag: Tensor, threshold: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield blocks of rows of A: their slice, and (n, N)."""
        points = bag.detach()
        rows = max(1, PAIRS // len(bag))
        for start in range(0, len(bag), rows):
            block = points[start : start + rows]
            near = (torch.cdist(block, points) < threshold).to(bag.dtype)
            index = torch.arange(len(block), device=bag.device)
            near[index, start + index] = 0
            yield slice(start, start + len(block)), near

    def neighbour_means(self, bag: Tensor, values: Tensor, threshold: Tensor) -> Tensor:
        """Average the neighbours of each instance: (N, M) -> (N, M).

        0 where there is none.
        """
        return torch.cat(
            [
                near @ values / near.sum(1, keepdim=True).clamp(min=1)
                for _, near in self.edges(bag, threshold)
            ]
        )

    def coarse_adjacency(self, bag: Tensor, s: Tensor, threshold: Tensor) -> Tensor:
        """Return the coarse adjacency S^T A S, (K, K)."""
        return torch.stack(
            [s[where].T @ (near @ s) for where, near in self.edges(bag, threshold)]
        ).sum(0)

    def auxiliary_losses(
        self, bag: Tensor, s: Tensor, coarse: Tensor, threshold: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses of link prediction and assignment entropy.

        ||A - S S^T||_F / N^2, written out as |A|^2 - 2 tr(S^T A S) + |S^T S|^2; and the mean
        entropy of the assignment.
        """
        edges = torch.stack([near.sum() for _, near in self.edges(bag, threshold)]).sum()
        squared = edges - 2 * coarse.trace() + (s.T @ s).square().sum()
        entropy = -(s * s.clamp(min=1e-12).log()).sum(1).mean()
        return {
            "link prediction": squared.clamp(min=1e-12).sqrt() / len(bag) ** 2,
            "assignment entropy": entropy,
        }
