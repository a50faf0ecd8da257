"""Which instances the student does not see.

Tang et al. 2023, "Multiple instance learning framework with masked hard instance mining for whole slide image classification", ICCV,
section 3.3:

    HAM      the ceil(b_h N) instances of highest attention                    L-HAM   and the ceil(b_l N) of lowest
    R-HAM    and ceil(b_r N) random ones of all N                              LR-HAM  all three

Each part is a share of all N and the parts are united. With several heads each marks its own k, and the k with most votes are masked;
ties go to the higher (for the low part the lower) mean, then to the lower index. As in the published code, and not in the paper,
the high part may be drawn: ceil(b_h N) of the ceil(b_h N / b_in) highest, b_in being the share that is drawn.

Guards of ours, where the published code fails: a bag of one is not masked, at least `min_keep` instances stay (released in this order:
random ones, low ones from the highest, high ones from the lowest), and scores that are no numbers mask nothing.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from napari_mil.aggregators.mining.cards import MaskRatios

Fusion = Literal["vote", "mean"]


def mask_instances(
    scores: Tensor,
    ratios: MaskRatios,
    *,
    fusion: Fusion = "vote",
    min_keep: int = 1,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Choose what is masked.

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
        Source of chance; None is torch's.

    Returns
    -------
    dict
        bool (N,) by kind: ``high``, ``low``, ``random``. An instance can be masked for several reasons.
    """
    n = len(scores)
    masks: dict[str, Tensor] = {}
    if ratios.random:
        masks["random"] = _members(_draw(n, math.ceil(n * ratios.random), generator), n).to(
            scores.device
        )
    if ratios.low:
        masks["low"] = _members(ranked(scores, ratios.low, largest=False, fusion=fusion), n)
    if ratios.high:
        masks["high"] = _members(_high(scores, ratios, fusion, generator), n)
    if n == 1 or not torch.isfinite(scores).all():
        return {kind: torch.zeros_like(mask) for kind, mask in masks.items()}
    return _keep_some(masks, scores.mean(1), min_keep) if masks else {}


def ranked(scores: Tensor, ratio: float, *, largest: bool, fusion: Fusion = "vote") -> Tensor:
    """Return the rows that the heads agree on, int64 (k,) with k = ceil(N ratio), or up to k with ``"mean"``."""
    n, heads = scores.shape
    k = min(n, math.ceil(n * ratio))
    signed = scores if largest else -scores
    marked = signed.argsort(dim=0, descending=True, stable=True)
    if fusion == "mean":
        return marked[: k // heads].unique()
    votes = torch.bincount(marked[:k].flatten(), minlength=n)
    order = signed.mean(1).argsort(descending=True, stable=True)
    return order[votes[order].argsort(descending=True, stable=True)][:k]


def _high(
    scores: Tensor, ratios: MaskRatios, fusion: Fusion, generator: torch.Generator | None
) -> Tensor:
    if ratios.drawn == 1:
        return ranked(scores, ratios.high, largest=True, fusion=fusion)
    pool = ranked(scores, min(1.0, ratios.high / ratios.drawn), largest=True, fusion=fusion)
    count = (
        math.ceil(len(scores) * ratios.high)
        if ratios.high > ratios.drawn
        else math.ceil(len(pool) * ratios.drawn)
    )
    return pool[_draw(len(pool), count, generator).to(pool.device)]


def _draw(n: int, count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(n, generator=generator)[:count]


def _members(rows: Tensor, n: int) -> Tensor:
    mask = torch.zeros(n, dtype=torch.bool, device=rows.device)
    mask[rows] = True
    return mask


def _keep_some(masks: dict[str, Tensor], relevance: Tensor, min_keep: int) -> dict[str, Tensor]:
    union = torch.stack(list(masks.values())).any(0)
    missing = min(min_keep, len(union)) - int((~union).sum())
    if missing <= 0:
        return masks
    by_relevance = relevance.argsort(descending=True, stable=True)
    # Of several reasons to mask an instance, the one that holds it longest counts.
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
