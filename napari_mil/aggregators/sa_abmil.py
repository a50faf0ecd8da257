"""Kernel self-attention before attention-based MIL (SA-AbMILP).

Rymarczyk, Borowa, Tabor & Zielinski 2021, "Kernel self-attention for weakly-supervised image
classification using deep multiple instance learning", WACV.

    E[j, i] = k(q_j, k_i),  S = softmax over i of E,  O_j = sum_i S[j, i] v_i
    H' = gamma O + H,  then ABMIL on H'

    dot                 <q, k>                                    SA-AbMILP
    gaussian            exp(-relu(g) ||q - k||^2)                 GSA
    inverse_quadratic   1 / (relu(g) ||q - k||^2 + 1)             IQSA
    laplace             -||q - k||_1                              LSA (commented out in the code)
    module              sum_c (|q_c - k_c| - |q_c| - |k_c|)       MSA (as coded; a power in print)

The value of the kernel enters the softmax, as in the code. gamma starts at 0, where the network is
ABMIL; the code starts at 0 or 1. Queries are taken in blocks, so that memory grows with the number
of instances and not with its square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_mil.aggregators.abmil import ABMIL
from napari_mil.aggregators.aggregator import Aggregator, Task, projection
from napari_mil.aggregators.output import BagOutput

Kernel = Literal["dot", "gaussian", "inverse_quadratic", "laplace", "module"]
PAIRS = 4_000_000
"""Pairs of instances held at a time, 16 MB of kernel values."""


def _squared_distances(q: Tensor, k: Tensor) -> Tensor:
    """Return squared Euclidean distances: (n, Q), (N, Q) -> (n, N)."""
    return torch.cdist(q, k, compute_mode="donot_use_mm_for_euclid_dist").square()


KERNELS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dot": lambda q, k, g: q @ k.T,
    "gaussian": lambda q, k, g: (-g.relu() * _squared_distances(q, k)).exp(),
    "inverse_quadratic": lambda q, k, g: 1 / (g.relu() * _squared_distances(q, k) + 1),
    "laplace": lambda q, k, g: -torch.cdist(q, k, p=1),
    "module": lambda q, k, g: torch.cdist(q, k, p=1) - q.abs().sum(1)[:, None] - k.abs().sum(1),
}
"""Kernels by name, of queries (n, Q) and keys (N, Q) -> (n, N)."""


class SelfAttention(nn.Module):
    """Kernel self-attention over the instances of a bag.

    H' = gamma O + H.

    Parameters
    ----------
    width
        M, length of an instance's vector.
    kernel
        How queries and keys are compared.
    query_dim
        Length of queries and keys.
    gamma
        Value of gamma at the start.
    """

    def __init__(self, width: int, kernel: Kernel, query_dim: int, gamma: float) -> None:
        super().__init__()
        self.kernel = kernel
        self.query = nn.Linear(width, query_dim)
        self.key = nn.Linear(width, query_dim)
        self.value = nn.Linear(width, width)
        self.gamma = nn.Parameter(torch.full((1,), gamma))
        self.gamma_att = nn.Parameter(torch.ones(1))

    def forward(self, h: Tensor) -> Tensor:
        """Attend among instances: (N, M) -> (N, M)."""
        q = self.query(h)
        k = self.key(h)
        v = self.value(h)
        rows = max(1, PAIRS // len(h))
        if len(h) <= rows or not torch.is_grad_enabled():
            out = [self.mix(block, k, v) for block in q.split(rows)]
        else:
            out = [
                checkpoint(self.mix, block, k, v, use_reentrant=False) for block in q.split(rows)
            ]
        return self.gamma * torch.cat(out) + h

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Mix values by attention: (n, Q), (N, Q), (N, M) -> (n, M).

        sum_i softmax_i(k(q_j, k_i)) v_i.
        """
        return KERNELS[self.kernel](q, k, self.gamma_att).softmax(1) @ v


class SelfAttentionABMIL(Aggregator):
    """Kernel self-attention, then attention-based MIL (Rymarczyk et al. 2021).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    kernel
        ``"dot"``, ``"gaussian"``, ``"inverse_quadratic"``, or, experimental, ``"laplace"`` and
        ``"module"``.
    hidden
        M, units of the projection; None leaves features as they are.
    attention_dim, heads
        As `ABMIL`.
    query_dim
        Length of queries and keys; None is M // 8, as published.
    gamma
        Weight of the self-attention at the start; learned.
    dropout
        Rate after the projection, in training.
    """

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        kernel: Kernel = "dot",
        hidden: int | None = 512,
        attention_dim: int = 128,
        heads: int = 1,
        query_dim: int | None = None,
        gamma: float = 0.0,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        if kernel not in KERNELS:
            raise ValueError(f"there is no kernel {kernel!r}; choose one of {', '.join(KERNELS)}")
        width = hidden or in_dim
        self.projection = projection(in_dim, hidden, dropout)
        self.self_attention = SelfAttention(width, kernel, query_dim or max(1, width // 8), gamma)
        self.abmil = ABMIL(
            width,
            n_classes,
            hidden=None,
            attention_dim=attention_dim,
            heads=heads,
            multi_label=self.multi_label,
        )

    def aggregate(
        self, bag: Tensor, target: Tensor | None, instance_target: Tensor | None
    ) -> BagOutput:
        """Answer with attention (N, K) and scores (N, K), see `Aggregator`.

        The embedding is (K * M,).
        """
        return self.abmil.aggregate(
            self.self_attention(self.projection(bag)), target, instance_target
        )
