"""Operations over the instances of bags, for one bag or many packed ones.

A method says `bags.softmax(scores)` where the paper says softmax over the instances of the bag.
`OneBag` walks a large bag in blocks of rows that fit the cache; `PackedBags` works on segments of
rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from napari_mil.errors import BagError

ROWS = 2048
"""Rows of a block, 4 MB of 512 features in float32.

Measured: 1 024 to 4 096 are alike, one pass over all rows is 1.4 times slower.
"""
SIXTEEN_BITS = (torch.bfloat16, torch.float16)
"""Dtypes of bags kept in 16 bits."""
RowFunction = Callable[..., tuple[Tensor, ...]]
"""A function of rows of features.

It returns values, scores and further tensors of these rows.
"""


class Attended(NamedTuple):
    """The result of attention over the instances of each bag."""

    attention: Tensor
    """Attention (N, K); each column sums to 1 within each bag."""
    scores: Tensor
    """Scores (N, K) before the softmax."""
    embedding: Tensor
    """Sums (B, K, M) of the values, weighted by attention."""
    more: tuple[Tensor, ...]
    """Further outputs (N, ...) of the row function."""


class Bags(ABC):
    """Operations over the instances of each of B bags."""

    @abstractmethod
    def softmax(self, scores: Tensor) -> Tensor:
        """Normalise scores within each bag: (N, K) -> (N, K).

        Each column of each bag sums to 1.
        """

    @abstractmethod
    def weighted_sum(self, weights: Tensor, values: Tensor) -> Tensor:
        """Sum weighted values of each bag: (N, K), (N, ...) -> (B, K, ...)."""

    @abstractmethod
    def sum(self, values: Tensor) -> Tensor:
        """Sum the values of each bag: (N, ...) -> (B, ...)."""

    @abstractmethod
    def mean(self, values: Tensor) -> Tensor:
        """Average the values of each bag: (N, ...) -> (B, ...)."""

    @abstractmethod
    def max(self, values: Tensor) -> Tensor:
        """Take the maximum of each bag: (N, ...) -> (B, ...)."""

    @abstractmethod
    def argmax(self, scores: Tensor) -> Tensor:
        """Find the row of each maximum: (N, C) -> int64 (B, C).

        Of equal scores, the first row counts.
        """

    @abstractmethod
    def spread(self, per_bag: Tensor) -> Tensor:
        """Give each instance the value of its bag: (B, ...) -> (N, ...).

        (1, ...) for one bag.
        """

    @abstractmethod
    def products(self, rows: Tensor, per_bag: Tensor) -> Tensor:
        """Multiply each row with the vectors of its bag.

        Inner products with what the bag holds for each class: (N, Q), (B, C, Q) -> (N, C).
        """

    @abstractmethod
    def attend(self, rows: RowFunction, features: Tensor, *along: Tensor) -> Attended:
        """Attend to the instances of each bag.

        Parameters
        ----------
        rows
            Turns features (n, D), and the same rows of the tensors `along`, into values (n, M),
            scores (n, K) and further tensors of each row.
        features
            (N, D).
        *along
            (N, ...) each.
        """

    def logmeanexp(self, values: Tensor) -> Tensor:
        """Return log mean exp over each bag: (N, ...) -> (B, ...)."""
        top = self.max(values).detach()
        return top + self.mean((values - self.spread(top)).exp()).log()


class OneBag(Bags):
    """One bag of all rows."""

    def softmax(self, scores: Tensor) -> Tensor:
        """Normalise scores over all rows, see `Bags`."""
        return scores.softmax(0)

    def weighted_sum(self, weights: Tensor, values: Tensor) -> Tensor:
        """Sum weighted values over all rows, see `Bags`."""
        flat = values.flatten(1)
        if flat.dtype == weights.dtype:
            return (weights.T @ flat).unflatten(1, values.shape[1:])[None]
        parts = [
            w.T @ block.to(w.dtype)
            for w, block in zip(weights.split(ROWS), flat.split(ROWS), strict=True)
        ]
        return torch.stack(parts).sum(0).unflatten(1, values.shape[1:])[None]

    def sum(self, values: Tensor) -> Tensor:
        """Sum the values of all rows, see `Bags`."""
        return values.sum(0, keepdim=True)

    def mean(self, values: Tensor) -> Tensor:
        """Average the values of all rows, see `Bags`."""
        return values.mean(0, keepdim=True)

    def max(self, values: Tensor) -> Tensor:
        """Take the maximum over all rows, see `Bags`."""
        return values.amax(0, keepdim=True)

    def argmax(self, scores: Tensor) -> Tensor:
        """Find the row of each maximum, see `Bags`."""
        return scores.argmax(0, keepdim=True)

    def spread(self, per_bag: Tensor) -> Tensor:
        """Return the value of the bag, which broadcasts to all rows, see `Bags`."""
        return per_bag

    def products(self, rows: Tensor, per_bag: Tensor) -> Tensor:
        """Multiply each row with the vectors of the bag, see `Bags`."""
        return torch.cat([block.to(per_bag.dtype) @ per_bag[0].T for block in rows.split(ROWS)])

    def attend(self, rows: RowFunction, features: Tensor, *along: Tensor) -> Attended:
        """Attend to all rows, reading the bag once.

        The running maximum, normaliser and weighted sum of the softmax are kept (Milakov &
        Gimelshein 2018). Parameters as `Bags.attend`.
        """
        if len(features) <= ROWS:
            values, scores, *more = row_function(rows, features, *along)
            attention = scores.softmax(0)
            return Attended(
                attention, scores, (attention.T @ values.to(attention.dtype))[None], tuple(more)
            )
        parts: list[tuple[Tensor, ...]] = []
        top = features.new_zeros(0)
        total = features.new_zeros(0)
        pooled = features.new_zeros(0)
        for blocks in zip(*(tensor.split(ROWS) for tensor in (features, *along)), strict=True):
            values, *per_row = row_function(rows, *blocks)
            scores = per_row[0]
            parts.append(tuple(per_row))
            highest = scores.detach().amax(0)
            previous = top
            top = torch.maximum(previous, highest) if len(previous) else highest
            weights = (scores - top).exp()
            block_total = weights.sum(0)
            block_pooled = weights.T @ values.to(weights.dtype)
            if len(previous):
                # Earlier sums were taken under a lower maximum and are scaled to the new one.
                fade = (previous - top).exp()
                block_total = total * fade + block_total
                block_pooled = pooled * fade[:, None] + block_pooled
            total = block_total
            pooled = block_pooled
        scores, *more = (torch.cat(column) for column in zip(*parts, strict=True))
        return Attended(
            (scores - top).exp() / total, scores, (pooled / total[:, None])[None], tuple(more)
        )


class PackedBags(Bags):
    """Bags whose rows lie one bag after another.

    Parameters
    ----------
    offsets
        int64 (B + 1,): bag b is rows offsets[b] to offsets[b + 1].
    n_rows
        N.

    Raises
    ------
    BagError
        If the offsets do not cut N rows into bags of at least one.
    """

    def __init__(self, offsets: Tensor, n_rows: int) -> None:
        self.offsets = offsets.long()
        self.lengths = self.offsets.diff()
        if (
            offsets.ndim != 1
            or len(offsets) < 2
            or offsets[0] != 0
            or offsets[-1] != n_rows
            or bool((self.lengths < 1).any())
        ):
            raise BagError(
                f"Offsets must rise from 0 to the number of instances, {n_rows}, "
                "with at least one instance in every bag."
            )
        self.owner = torch.repeat_interleave(
            torch.arange(len(self.lengths), device=offsets.device), self.lengths
        )

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Yield the first row and the row after the last of each bag."""
        return pairwise(self.offsets.tolist())

    def softmax(self, scores: Tensor) -> Tensor:
        """Normalise scores within each bag, see `Bags`."""
        weights = (scores - self.spread(self.max(scores).detach())).exp()
        return weights / self.spread(self.sum(weights))

    def weighted_sum(self, weights: Tensor, values: Tensor) -> Tensor:
        """Sum weighted values of each bag, see `Bags`."""
        return torch.stack(
            [
                self.sum(weights[:, k].reshape(-1, *(1,) * (values.ndim - 1)) * values)
                for k in range(weights.shape[1])
            ],
            1,
        )

    def sum(self, values: Tensor) -> Tensor:
        """Sum the values of each bag, see `Bags`."""
        return values.new_zeros(len(self.lengths), *values.shape[1:]).index_add(
            0, self.owner, values
        )

    def mean(self, values: Tensor) -> Tensor:
        """Average the values of each bag, see `Bags`."""
        return self.sum(values) / self.lengths.reshape(-1, *(1,) * (values.ndim - 1))

    def max(self, values: Tensor) -> Tensor:
        """Take the maximum of each bag, see `Bags`."""
        lowest = values.new_full((len(self.lengths), *values.shape[1:]), -torch.inf)
        owner = self.owner.reshape(-1, *(1,) * (values.ndim - 1)).expand_as(values)
        return lowest.scatter_reduce(0, owner, values, "amax", include_self=False)

    def argmax(self, scores: Tensor) -> Tensor:
        """Find the row of each maximum within its bag, see `Bags`."""
        rows = torch.arange(len(scores), device=scores.device)[:, None].expand_as(scores)
        is_maximum = (scores == self.spread(self.max(scores))) | scores.isnan()
        candidates = torch.where(is_maximum, rows, len(scores))
        first = candidates.new_full((len(self.lengths), scores.shape[1]), len(scores))
        owner = self.owner[:, None].expand_as(candidates)
        return first.scatter_reduce(0, owner, candidates, "amin")

    def spread(self, per_bag: Tensor) -> Tensor:
        """Give each row the value of its bag, see `Bags`."""
        return per_bag[self.owner]

    def products(self, rows: Tensor, per_bag: Tensor) -> Tensor:
        """Multiply each row with the vectors of its bag, see `Bags`."""
        return torch.einsum("nq,ncq->nc", rows.to(per_bag.dtype), self.spread(per_bag))

    def attend(self, rows: RowFunction, features: Tensor, *along: Tensor) -> Attended:
        """Attend to the instances of each bag, see `Bags`."""
        values, scores, *more = row_function(rows, features, *along)
        attention = self.softmax(scores)
        return Attended(attention, scores, self.weighted_sum(attention, values), tuple(more))


def row_function(rows: RowFunction, features: Tensor, *along: Tensor) -> tuple[Tensor, ...]:
    """Apply a row function in the precision that its features allow.

    bfloat16 is multiplied in 16 bits, float16 (which overflows above 65 504) in 32; scores come out
    in float32.
    """
    if features.dtype == torch.float16:
        return rows(features.float(), *along)
    if features.dtype != torch.bfloat16:
        return rows(features, *along)
    with torch.autocast(features.device.type, features.dtype):
        values, *per_row = rows(features, *along)
    return values, *(column.float() for column in per_row)


def blockwise(function: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Apply a function of rows block by block: (N, D) -> (N, ...).

    The result is float32 for a bag of 16 bits.
    """
    parts = [
        row_function(lambda rows: (rows, function(rows)), block)[1]
        for block in features.split(ROWS)
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]
