"""Contrastive objective: two views of a tile are told from the views of other tiles.

Chen et al. 2020, "A simple framework for contrastive learning of visual representations", ICML.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 256
"""Width of the projection's hidden layer."""
PROJECTED = 64
"""Length of a projected vector."""


def projection_head(dim: int) -> nn.Sequential:
    """Make the projection g of the paper: one hidden layer (section 2.1).

    The vectors before it are those that are kept.
    """
    return nn.Sequential(nn.Linear(dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PROJECTED))


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the loss NT-Xent of two views of each tile.

    Equation 1 of the paper, averaged over both views as in algorithm 1: for a view i with partner
    j, the negative logarithm of exp(s_ij / t) over the sum of exp(s_ik / t) for all k other than i,
    with s the cosine of projected vectors.

    Parameters
    ----------
    first, second
        Projected vectors (B, P) of the two views; row k of both is tile k.
    temperature
        t, positive.
    """
    count = len(first)
    projected = functional.normalize(torch.cat([first, second]), dim=1)
    logits = projected @ projected.T / temperature
    logits = logits.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=logits.device), -1e9)
    partners = torch.arange(2 * count, device=logits.device).roll(count)
    return functional.cross_entropy(logits, partners)
