"""Logits of a bag as weighted means of values of its instances.

Attention MIL, CLAM and mean pooling end in a linear map of weighted means, so that for K attention
distributions

    logit_c = b_c + sum_k ( sum_i w_ik v_ikc ) / ( sum_i w_ik ),   w_ik = exp(s_ik)

with scores s before the softmax, and v_ikc what instance i adds to class c through head k. The
answer for any part of the bag follows from sums over its instances, without another pass of the
network: an instance alone, the bag without one, and the bag while instances are taken away one by
one (deletion) or added (insertion), with all steps, in O(N).

Sums are made in float64, and by subtraction only where enough is left, so that an instance with
nearly all of the weight does not spoil what remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SAFE_SHARE = 1e-4
"""Share of the weight that may be left for a difference to keep ten digits."""


@dataclass(frozen=True, eq=False)
class WeightedValues:
    """A bag's instances as an additive method sees them.

    N instances, K attention distributions, C logits.
    """

    scores: np.ndarray
    """float (N, K): relevance before the softmax."""
    values: np.ndarray
    """float (N, K, C): what each instance adds to each logit through each head."""
    bias: np.ndarray
    """float (C,)."""
    anchors: tuple[int, ...] = ()
    """Instances that scores are relative to, as DSMIL's critical ones.

    What is said of a part without one of them is wrong: the method chooses another one then.
    """

    def __len__(self) -> int:
        return len(self.scores)

    def logits(self, kept: np.ndarray | None = None) -> np.ndarray:
        """Return the logits (C,) of the bag, or of some of its instances.

        Parameters
        ----------
        kept
            bool (N,) or indices of the instances that stay; None keeps all. NaN is returned where
            none stays.
        """
        chosen = slice(None) if kept is None else kept
        scores = self.scores[chosen]
        if not len(scores):
            return np.full(len(self.bias), np.nan)
        # The largest of those that stay: weights of a part far below the bag's own would vanish.
        weights = np.exp(scores.astype(np.float64) - scores.max(0))
        means = np.einsum("nk,nkc->kc", weights, self.values[chosen]) / weights.sum(0)[:, None]
        return np.asarray(means.sum(0) + self.bias)

    def without(self, removed: np.ndarray) -> np.ndarray:
        """Return the logits (C,) of the bag without some instances, in the time of these alone.

        Parameters
        ----------
        removed
            Indices of the instances that are taken away, each once.
        """
        weights, weighted = self._terms
        total_weights, total_weighted = self._totals
        left = total_weights - weights[removed].sum(0)
        if (left < SAFE_SHARE * total_weights).any():
            # What is left is too small to be found by subtracting.
            kept = np.ones(len(self), bool)
            kept[removed] = False
            return self.logits(kept)
        return self._combined(left[None], (total_weighted - weighted[removed].sum(0))[None])[0]

    def alone(self) -> np.ndarray:
        """Return the logits (N, C) of every instance as a bag of its own."""
        return np.asarray(self.values.sum(1, dtype=np.float64) + self.bias)

    def without_each(self) -> np.ndarray:
        """Return the logits (N, C) of the bag without each of its instances in turn.

        NaN for the only instance of a bag.
        """
        weights, weighted = self._terms
        return self._combined(_sum_of_others(weights), _sum_of_others(weighted))

    def while_deleting(self, order: np.ndarray) -> np.ndarray:
        """Return the logits (N, C) while instances are taken away.

        Parameters
        ----------
        order
            Indices (N,) in the order in which they are taken away.

        Returns
        -------
        np.ndarray
            Row k: without the first k; the last row keeps one instance.
        """
        return self.while_inserting(order[::-1])[::-1]

    def while_inserting(self, order: np.ndarray) -> np.ndarray:
        """Return the logits (N, C) while instances are added.

        Row k: with the first k + 1 instances of an order (N,).
        """
        weights, weighted = self._terms
        return self._combined(weights[order].cumsum(0), weighted[order].cumsum(0))

    @cached_property
    def _terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights (N, K) and weighted values (N, K, C), the largest weight being 1."""
        weights = np.exp(self.scores.astype(np.float64) - self.scores.max(0))
        return weights, weights[:, :, None] * self.values

    @cached_property
    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of weights (K,) and of weighted values (K, C)."""
        weights, weighted = self._terms
        return weights.sum(0), weighted.sum(0)

    def _combined(self, weights: np.ndarray, weighted: np.ndarray) -> np.ndarray:
        """Divide sums of weighted values (M, K, C) by those of weights (M, K); add the bias."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = weighted / weights[:, :, None]
        return np.asarray(means.sum(1) + self.bias)


def _sum_of_others(terms: np.ndarray) -> np.ndarray:
    """Return for each row of (N, ...) the sum of all other rows, without subtracting."""
    before = np.zeros_like(terms)
    after = np.zeros_like(terms)
    np.cumsum(terms[:-1], axis=0, out=before[1:])
    np.cumsum(terms[:0:-1], axis=0, out=after[-2::-1])
    before += after
    return before
