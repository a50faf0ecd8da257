"""Masks of the instances that the student does not see.

Tang et al. 2023, "Multiple instance learning framework with masked hard instance mining for whole
slide image classification", ICCV, section 3.3:

    HAM      the ceil(b_h N) instances of highest attention
    L-HAM    HAM and the ceil(b_l N) of lowest
    R-HAM    HAM and ceil(b_r N) random ones of all N
    LR-HAM   all three

Each part is a share of all N and the parts are united. With several heads each marks its own k, and
the k with most votes are masked; ties go to the higher (for the low part the lower) mean, then to
the lower index. As in the published code, and not in the paper, the high part may be drawn:
ceil(b_h N) of the ceil(b_h N / b_in) highest, b_in being the share that is drawn.

Guards chosen here, where the published code fails: a bag of one is not masked, at least `min_keep`
instances stay (released in this order: random ones, low ones from the highest, high ones from the
lowest), and scores that are no numbers mask nothing.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from napari_mil.aggregators.mining.cards import MaskRatios

Fusion = Literal["vote", "mean"]
"""How the rankings of several heads are fused."""


def mask_instances(
    scores: Tensor,
    ratios: MaskRatios,
    *,
    fusion: Fusion = "vote",
    min_keep: int = 1,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Choose the instances to mask.

    Parameters
    ----------
    scores
        (N, H): relevance of the instances for each head.
    ratios
        How much of each kind; kinds of share 0 are left out.
    fusion
        How heads agree: ``"vote"``, or ``"mean"``, where each head masks its own k / H.
    min_keep
        Instances that stay at least.
    generator
        Random number generator; None is torch's default.

    Returns
    -------
    dict
        bool (N,) by kind: ``high``, ``low``, ``random``. An instance can be masked for several
        reasons.
    """
    n = len(scores)
    masks: dict[str, Tensor] = {}
    if ratios.random:
        rows = _draw_rows(n, math.ceil(n * ratios.random), generator)
        masks["random"] = _as_mask(rows, n).to(scores.device)
    if ratios.low:
        masks["low"] = _as_mask(ranked(scores, ratios.low, largest=False, fusion=fusion), n)
    if ratios.high:
        masks["high"] = _as_mask(_choose_high(scores, ratios, fusion, generator), n)
    if n == 1 or not torch.isfinite(scores).all():
        return {kind: torch.zeros_like(mask) for kind, mask in masks.items()}
    return _release_to_minimum(masks, scores.mean(1), min_keep) if masks else {}


def ranked(scores: Tensor, ratio: float, *, largest: bool, fusion: Fusion = "vote") -> Tensor:
    """Return the rows that the heads agree on, int64 (k,).

    k = ceil(N ratio), or up to k with ``"mean"``.
    """
    n, heads = scores.shape
    k = min(n, math.ceil(n * ratio))
    signed = scores if largest else -scores
    marked = signed.argsort(dim=0, descending=True, stable=True)
    if fusion == "mean":
        return marked[: k // heads].unique()
    votes = torch.bincount(marked[:k].flatten(), minlength=n)
    order = signed.mean(1).argsort(descending=True, stable=True)
    return order[votes[order].argsort(descending=True, stable=True)][:k]


def _choose_high(
    scores: Tensor, ratios: MaskRatios, fusion: Fusion, generator: torch.Generator | None
) -> Tensor:
    """Return the rows of the high part, drawn from the candidates where asked."""
    if ratios.drawn == 1:
        return ranked(scores, ratios.high, largest=True, fusion=fusion)
    highest = ranked(scores, min(1.0, ratios.high / ratios.drawn), largest=True, fusion=fusion)
    if ratios.high > ratios.drawn:
        count = math.ceil(len(scores) * ratios.high)
    else:
        count = math.ceil(len(highest) * ratios.drawn)
    return highest[_draw_rows(len(highest), count, generator).to(highest.device)]


def _draw_rows(n: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw rows without replacement, int64 (count,)."""
    return torch.randperm(n, generator=generator)[:count]


def _as_mask(rows: Tensor, n: int) -> Tensor:
    """Turn rows into a mask, bool (n,)."""
    mask = torch.zeros(n, dtype=torch.bool, device=rows.device)
    mask[rows] = True
    return mask


def _release_to_minimum(
    masks: dict[str, Tensor], relevance: Tensor, min_keep: int
) -> dict[str, Tensor]:
    """Unmask instances until at least `min_keep` stay, random ones first."""
    union = torch.stack(list(masks.values())).any(0)
    missing = min(min_keep, len(union)) - int((~union).sum())
    if missing <= 0:
        return masks
    by_relevance = relevance.argsort(descending=True, stable=True)
    # Of several reasons to mask an instance, the one that is released last counts.
    reason = torch.zeros(len(union), dtype=torch.int64, device=union.device)
    for rank, kind in enumerate(("random", "low", "high")):
        if kind in masks:
            reason[masks[kind]] = rank
    candidates = [
        rows[union[rows] & (reason[rows] == rank)]
        for rank, rows in enumerate((by_relevance, by_relevance, by_relevance.flip(0)))
    ]
    released = torch.cat(candidates)[:missing]
    return {kind: mask.index_fill(0, released, value=False) for kind, mask in masks.items()}
