"""Double-tier feature distillation (DTFD-MIL).

Zhang et al. 2022, "DTFD-MIL: double-tier feature distillation multiple instance learning for
histopathology whole slide image classification", CVPR.

    tier 1   instances are dealt into G pseudo-bags; gated attention inside each,
             z_g = sum a_n h_n, y_g = W z_g                                        (eq. 6, 7)
             instance probability p_n = softmax_c( W_c a_n h_n ), the last class,
             without bias                                                          (eq. 5)
    distil   from each pseudo-bag: its embedding (AFS), its most probable
             instances (MaxS), and its least probable (MaxMinS), or its instance
             of highest attention (MAS)                                            (section 3.3)
    tier 2   gated attention and a classifier over what was distilled              (eq. 8)

Both tiers learn the label of the bag; what is distilled is detached, which is what the published
code amounts to (its AFS branch fails on current torch, and gradients of tier 2 that reach tier 1
are dropped before they are used).
Pseudo-bags are sums under masks of one attention pass, so that no instance is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Unpack

import torch
from torch import Tensor, nn

from napari_mil.aggregators.abmil import Attention
from napari_mil.aggregators.aggregator import Aggregator, Task
from napari_mil.aggregators.output import BagOutput, link
from napari_mil.aggregators.packing import Attended, OneBag
from napari_mil.aggregators.pooling import pool_probabilities

Distillation = Literal["afs", "maxs", "maxmins", "mas"]


class ResidualBlock(nn.Module):
    """Residual block after the projection: relu(x) + relu(B relu(A x)).

    x is not negative here, so relu(x) is x.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (N, M) -> (N, M)."""
        y: Tensor = x + self.block(x)
        return y


class DTFD(Aggregator):
    """Double-tier feature distillation over pseudo-bags (Zhang et al. 2022).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        M, units of the projection (without bias); None leaves features as they are.
    attention_dim
        Units of the gated attention.
    groups
        G, pseudo-bags; at most one per instance.
    distillation
        ``"afs"``, ``"maxs"``, ``"maxmins"`` or ``"mas"``.
    instances_per_group
        Taken from each end by MaxS and MaxMinS.
    residual_blocks
        Blocks after the projection.
    shuffle
        Deal instances at random: anew in training, always alike in evaluation. False keeps their
        order.
    mean_inference
        Shuffles whose answers are averaged in evaluation.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = 512,
        attention_dim: int = 128,
        groups: int = 4,
        distillation: Distillation = "afs",
        instances_per_group: int = 1,
        residual_blocks: int = 0,
        shuffle: bool = True,
        mean_inference: int = 1,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        if distillation not in ("afs", "maxs", "maxmins", "mas"):
            raise ValueError(
                f"there is no distillation {distillation!r}; choose afs, maxs, maxmins or mas"
            )
        self.groups = groups
        self.distillation = distillation
        self.instances_per_group = instances_per_group
        self.shuffle = shuffle
        self.mean_inference = mean_inference
        width = hidden or in_dim
        self.projection: nn.Module = nn.Identity()
        if hidden:
            self.projection = nn.Sequential(
                nn.Linear(in_dim, hidden, bias=False),
                nn.ReLU(),
                *(ResidualBlock(hidden) for _ in range(residual_blocks)),
            )
        self.attention1 = Attention(width, attention_dim, gated=True)
        self.classifier1 = nn.Linear(width, n_classes)
        self.attention2 = Attention(width, attention_dim, gated=True)
        self.classifier2 = nn.Linear(width, n_classes)

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer with attention (N, 1) and scores (N, 1), see `Aggregator.forward`.

        The attention of each pseudo-bag is multiplied by 1 / G.
        """
        passes = [
            self.one_pass(bag, self.deal(bag, k), target)
            for k in range(1 if self.training else self.mean_inference)
        ]
        if len(passes) == 1:
            return passes[0]
        logits = pool_probabilities(
            torch.stack([output.logits for output in passes]), self.sigmoids, OneBag(), "mean"
        )[0]
        attention = torch.stack(
            [output.attention for output in passes if output.attention is not None]
        ).mean(0)
        losses: Mapping[str, Tensor] = {
            name: torch.stack([output.losses[name] for output in passes]).mean()
            for name in passes[0].losses
        }
        return BagOutput(
            logits,
            self.multi_label,
            attention,
            passes[0].scores,
            embedding=passes[0].embedding,
            losses=losses,
        )

    def deal(self, bag: Tensor, attempt: int) -> Tensor:
        """Deal instances into pseudo-bags: int64 (N,), the pseudo-bag of each.

        Sizes differ by at most 1.
        """
        n = len(bag)
        groups = min(self.groups, n)
        sizes = torch.full((groups,), n // groups) + (torch.arange(groups) < n % groups)
        owner = torch.repeat_interleave(torch.arange(groups), sizes).to(bag.device)
        if self.training and self.shuffle:
            return owner[torch.randperm(n, device=bag.device)]
        if self.shuffle or attempt:
            generator = torch.Generator().manual_seed(attempt)
            return owner[torch.randperm(n, generator=generator).to(bag.device)]
        return owner

    def one_pass(self, bag: Tensor, owner: Tensor, target: Tensor | None) -> BagOutput:
        """Run both tiers for one dealing of the instances."""
        groups = min(self.groups, len(bag))
        tier1 = self.attend_within_groups(bag, owner, groups)
        # Outside its own pseudo-bag the attention of an instance is 0.
        attention = tier1.attention.sum(1, keepdim=True)  # (N, 1)
        pseudo_logits = self.classifier1(tier1.embedding[0])  # eq. 7: (G, C)
        distilled = self.distil(bag, owner, attention, tier1).detach()
        tier2 = self.attention2(distilled).softmax(0)  # (S, 1)
        embedding = (tier2.T @ distilled)[0]  # eq. 8: (M,)
        logits = self.classifier2(embedding)
        losses = {}
        if target is not None:
            pseudo = torch.stack([self.bag_loss(row, target) for row in pseudo_logits]).mean()
            losses = {"bag": self.bag_loss(logits, target), "pseudo-bags": pseudo}
        scores = tier1.scores.gather(1, owner[:, None])
        return BagOutput(
            logits, self.multi_label, attention / groups, scores, embedding=embedding, losses=losses
        )

    def attend_within_groups(self, bag: Tensor, owner: Tensor, groups: int) -> Attended:
        """Attend within each pseudo-bag, each as one head.

        Scores (N, G) are lowest outside the pseudo-bag; `more` holds W h without bias, (N, C).
        """

        def rows(features: Tensor, owners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = self.projection(features)
            others = owners[:, None] != torch.arange(groups, device=owners.device)
            scores = self.attention1(h).expand(-1, groups)
            scores = scores.masked_fill(others, torch.finfo(scores.dtype).min / 2)
            return h, scores, h @ self.classifier1.weight.T

        return OneBag().attend(rows, bag, owner)

    def distil(self, bag: Tensor, owner: Tensor, attention: Tensor, tier1: Attended) -> Tensor:
        """Distil the instances of tier 2 from the pseudo-bags: (S, M)."""
        if self.distillation == "afs":
            return tier1.embedding[0]
        if self.distillation == "mas":
            rank = attention[:, 0]
        else:
            rank = link(attention * tier1.more[0], self.multi_label)[:, -1]  # eq. 5
        selected = []
        for group in range(tier1.embedding.shape[1]):
            members = (owner == group).nonzero()[:, 0]
            k = 1 if self.distillation == "mas" else min(self.instances_per_group, len(members))
            order = rank[members].argsort(descending=True, stable=True)
            selected.append(members[order[:k]])
            if self.distillation == "maxmins":
                selected.append(members[order[-k:]])
        return self.projection(bag[torch.cat(selected)])
