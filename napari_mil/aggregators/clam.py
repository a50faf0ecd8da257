"""Clustering-constrained attention MIL (CLAM).

Lu et al. 2021, "Data-efficient and weakly supervised computational pathology on whole-slide
images", Nature Biomedical Engineering.

    h_k = relu(W1 z_k)
    a_k = softmax_k( W_a ( tanh(V_a h_k) * sigm(U_a h_k) ) )      (eq. 1)
    s_c = W_c sum_k a_k h_k                                       (eq. 2)

Eq. 1 has one attention branch (SB), or one per class (MB).

Instance loss: with the label c, the k instances of highest attention are positive and the k of
lowest negative for the instance classifier of c; with `subtyping` the k highest of every other
branch are negative for theirs.

    L = 0.7 bag + 0.3 instances

As its authors' code: cross entropy for instances (the paper prints a smooth SVM loss), the mean
over 2k instances, summed over classes and divided by their number only with `subtyping`. k is at
most N, and a bag of one has no instance loss. The chosen instances pass the projection once more,
so that those of a whole bag need not be kept; in training with a dropout of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.abmil import Attention
from napari_mil.aggregators.aggregator import (
    PackedAggregator,
    Task,
    projection,
    values_of_linear_classifier,
)
from napari_mil.aggregators.output import BagOutput, PackedOutput
from napari_mil.aggregators.packing import Bags
from napari_mil.aggregators.weighted_values import WeightedValues


class CLAMSingleBranch(PackedAggregator):
    """CLAM with one attention branch (Lu et al. 2021).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of the projection W1: 512 in both published sizes; None leaves features as they are.
    attention_dim
        Units of V_a and U_a: 256 in the small network, 384 in the big one.
    gated
        Whether there is a gate U_a.
    k_sample
        k, instances taken from each end of the ranking.
    subtyping
        Whether classes exclude each other, so that evidence for one is evidence against the
        others.
    bag_weight
        Share of the bag in the loss.
    dropout
        Rate after the projection and after V_a and U_a, in training.
    """

    reads_16_bits = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = 512,
        attention_dim: int = 256,
        gated: bool = True,
        k_sample: int = 8,
        subtyping: bool = False,
        bag_weight: float = 0.7,
        dropout: float = 0.25,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.k_sample = k_sample
        self.subtyping = subtyping
        self.bag_weight = bag_weight
        width = hidden or in_dim
        self.projection = projection(in_dim, hidden, dropout)
        self.attention = Attention(
            width, attention_dim, self.count_branches(n_classes), gated=gated, dropout=dropout
        )
        self.classifier = nn.Linear(width, n_classes)
        # One sigmoid unit still has two labels, each with its instance classifier.
        self.instance_classifiers = nn.ModuleList(
            nn.Linear(width, 2) for _ in range(max(2, n_classes))
        )

    @staticmethod
    def count_branches(n_classes: int) -> int:
        """Return K, the number of attention distributions."""
        return 1

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with attention (N, K) and scores (N, K), see `PackedAggregator`.

        The embedding is (B, M), or (B, C, M) with a branch per class.
        """
        attended = bags.attend(self.embed_and_score, features)  # eq. 1
        embedding = attended.embedding  # (B, K, M)
        logits = (embedding * self.classifier.weight).sum(2) + self.classifier.bias  # eq. 2: (B, C)
        if embedding.shape[1] == 1:
            embedding = embedding[:, 0]
        return PackedOutput(
            logits, self.multi_label, attended.attention, attended.scores, embedding=embedding
        )

    def embed_and_score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Project and score instances: (n, D) -> h (n, M), scores (n, K)."""
        h = self.projection(features)
        return h, self.attention(h)

    def weighted_values(self, bag: Tensor) -> WeightedValues:
        """Return the logits as weighted means, see `Aggregator.weighted_values`."""
        weight = self.classifier.weight[:, None]  # eq. 2: (C, 1, M)
        branches = self.attention.w.out_features
        if branches > 1:
            # Each branch reaches its own class alone.
            own = torch.eye(branches, dtype=weight.dtype, device=weight.device)
            weight = own[:, :, None] * weight
        return values_of_linear_classifier(
            self.embed_and_score, self.instances(bag), weight, self.classifier.bias
        )

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer for a checked bag, see `Aggregator.forward`."""
        output = super().aggregate(bag, target, None)
        if target is None:
            return output
        assert output.attention is not None
        losses = {"bag": self.bag_weight * output.losses["bag"]}
        if len(bag) > 1:
            losses["instances"] = (1 - self.bag_weight) * self.clustering_loss(
                bag, output.attention, target
            )
        return replace(output, losses=losses)

    def clustering_loss(self, bag: Tensor, attention: Tensor, target: Tensor) -> Tensor:
        """Return the instance loss () of a bag (N, D) under attention (N, K)."""
        terms = []
        for label, classifier in enumerate(self.instance_classifiers):
            rows, targets = self.select_evidence(attention, label, self.has_label(target, label))
            if len(rows):
                h = self.projection(bag[rows].to(self.classifier.weight.dtype))
                terms.append(functional.cross_entropy(classifier(h), targets))
        # Where classes do not exclude each other, a bag may have none of the labels.
        if not terms:
            return attention.sum() * 0
        total = torch.stack(terms).sum()
        return total / len(self.instance_classifiers) if self.subtyping else total

    def select_evidence(
        self, attention: Tensor, label: int, has_label: bool
    ) -> tuple[Tensor, Tensor]:
        """Select rows and their targets for the instance classifier of a label.

        The target is 1 where the instance supports the label, else 0.
        """
        branch = attention[:, label if attention.shape[1] > 1 else 0].detach()
        k = min(self.k_sample, len(branch))
        top = branch.topk(k).indices
        if has_label:
            bottom = (-branch).topk(k).indices
            targets = torch.arange(2 * k, device=top.device).less(k).long()
            return torch.cat([top, bottom]), targets
        top = top if self.subtyping else top[:0]
        return top, torch.zeros_like(top)

    def has_label(self, target: Tensor, label: int) -> bool:
        """Whether the target of the bag has the label."""
        if self.n_classes == 1:
            return bool(target.reshape(()) >= 0.5) == bool(label)
        return bool(target[label] >= 0.5) if self.multi_label else int(target) == label


class CLAMMultiBranch(CLAMSingleBranch):
    """CLAM with one attention branch per class (Lu et al. 2021).

    Parameters as `CLAMSingleBranch`.
    """

    @staticmethod
    def count_branches(n_classes: int) -> int:
        """Return K, the number of attention distributions."""
        return n_classes
