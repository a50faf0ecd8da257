"""Answers of a classifier for parts of a bag: what each instance counts for.

Contributions are exact: the log-odds of a class with all instances, less those without one of them
(leave-one-out). Attention MIL, CLAM and mean pooling give them, every instance alone, and every
step of deletion and insertion from sums over the bag (`aggregators.weighted_values`); DSMIL while
its critical instances stay. Everything else is answered again for each part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_mil.errors import BagError
from napari_mil.inference.aggregation import probabilities_of
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.explanation import standardised_features
from napari_mil.inference.prediction import Prediction

STEPS = 64
"""Steps of a curve of a method that has to answer again for each."""
MOST_LEFT_OUT = 2_000
"""Instances up to which such a method answers again without each of them."""
ROWS_AT_ONCE = 8_192
"""Instances that are answered for alone in one pass."""
TOLERANCE = 0.05
"""Difference in probability up to which a part of a bag gives the same answer."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Probabilities while instances are taken away, or added."""

    counts: np.ndarray
    """int (M,): instances taken away, or there."""
    probabilities: np.ndarray
    """float32 (M, C)."""
    n: int
    """Instances of the bag."""

    def area(self, k: int) -> float:
        """Return the mean probability of class k over the share of instances (trapezoidal rule)."""
        shares = self.counts / self.n
        values = self.probabilities[:, k]
        if len(shares) < 2:
            return float(values.mean())
        return float(np.trapezoid(values, shares) / (shares[-1] - shares[0]))


class BagParts:
    """A bag and the classifier that answers for parts of it.

    N instances, C classes; probabilities are after temperature, one for each class.

    Parameters
    ----------
    prediction
        An answer whose features are still in memory.
    classifier
        The classifier that gave it.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer any more.
    """

    def __init__(self, prediction: Prediction, classifier: Classifier) -> None:
        self._features = standardised_features(prediction, classifier)
        self._aggregator = classifier.aggregator
        self._card = classifier.card
        self._values = self._aggregator.weighted_values(self._features)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def is_exact_at_once(self) -> bool:
        """Whether every part follows from sums over the bag."""
        return self._values is not None and not self._values.anchors

    def probabilities_of(self, kept: np.ndarray) -> np.ndarray:
        """Return the probabilities (C,) of a part of the bag.

        Parameters
        ----------
        kept
            Indices of the instances that stay, one at least.

        Raises
        ------
        BagError
            If none stays.
        """
        return self._probabilities(self._logits_of(np.asarray(kept)))

    def probabilities_without(self, removed: np.ndarray) -> np.ndarray:
        """Return the probabilities (C,) of the bag without some of its instances.

        Raises
        ------
        BagError
            If none stays.
        """
        removed = np.unique(removed)
        values = self._values
        is_part = len(removed) < len(self)
        if values is not None and is_part and not np.isin(values.anchors, removed).any():
            return self._probabilities(values.without(removed))
        return self.probabilities_of(np.setdiff1d(np.arange(len(self)), removed))

    def alone(self, on_block: Callable[[], None] = lambda: None) -> np.ndarray:
        """Return the probabilities (N, C) of every instance as a bag of its own.

        Parameters
        ----------
        on_block
            Called now and then; what it raises ends the work.
        """
        if self.is_exact_at_once:
            assert self._values is not None
            return self._probabilities(self._values.alone())
        parts = []
        with torch.inference_mode():
            for rows in self._features.split(ROWS_AT_ONCE):
                on_block()
                offsets = torch.arange(len(rows) + 1, device=rows.device)
                parts.append(self._aggregator.forward_packed(rows, offsets).logits.cpu().numpy())
        return self._probabilities(np.concatenate(parts))

    def contributions(self, on_block: Callable[[], None] = lambda: None) -> np.ndarray | None:
        """Return what every instance adds to the log-odds of every class, float32 (N, C).

        Parameters
        ----------
        on_block
            Called now and then; what it raises ends the work.

        Returns
        -------
        np.ndarray or None
            NaN for the only instance of a bag. None where the method would have to answer again
            for each of more than `MOST_LEFT_OUT` instances.
        """
        n = len(self)
        everything = np.arange(n)
        if self._values is None:
            if n > MOST_LEFT_OUT:
                return None
            without = np.full((n, len(self._logits_of(everything))), np.nan)
            again: tuple[int, ...] = tuple(range(n))
        else:
            without = self._values.without_each()
            again = self._values.anchors
        for i in again if n > 1 else ():
            on_block()
            without[i] = self._logits_of(np.delete(everything, i))
        whole = log_odds(self._logits_of(everything), self._card)
        return (whole - log_odds(without, self._card)).astype(np.float32)

    def while_deleting(
        self, order: np.ndarray, on_block: Callable[[], None] = lambda: None
    ) -> Curve:
        """Return the probabilities while instances are taken away in an order (N,).

        Every step but the last instance where that follows from sums, otherwise `STEPS` of them.
        """
        if self.is_exact_at_once:
            assert self._values is not None
            return self._curve(np.arange(len(order)), self._values.while_deleting(order))
        counts = _steps(len(order))
        logits = [self._logits_at(order[count:], on_block) for count in counts]
        return self._curve(counts, np.stack(logits))

    def while_inserting(
        self, order: np.ndarray, on_block: Callable[[], None] = lambda: None
    ) -> Curve:
        """Return the probabilities while instances are added in an order (N,)."""
        if self.is_exact_at_once:
            assert self._values is not None
            return self._curve(np.arange(len(order)) + 1, self._values.while_inserting(order))
        counts = _steps(len(order)) + 1
        logits = [self._logits_at(order[:count], on_block) for count in counts]
        return self._curve(counts, np.stack(logits))

    def _curve(self, counts: np.ndarray, logits: np.ndarray) -> Curve:
        return Curve(counts, self._probabilities(logits), len(self))

    def _logits_at(self, kept: np.ndarray, on_block: Callable[[], None]) -> np.ndarray:
        on_block()
        return self._logits_of(kept)

    def _logits_of(self, kept: np.ndarray) -> np.ndarray:
        """Return the logits of a part: from sums where they hold for it, otherwise anew.

        Instances stay in the order of the bag, on which TransMIL's answer depends.
        """
        if not len(kept):
            raise BagError("No instance is left to answer for; keep one at least.")
        if self._values is not None and np.isin(self._values.anchors, kept).all():
            return self._values.logits(kept)
        with torch.inference_mode():
            in_order = torch.from_numpy(np.sort(kept)).to(self._features.device)
            rows: Tensor = self._features[in_order]
            return self._aggregator(rows).logits.double().cpu().numpy()

    def _probabilities(self, logits: np.ndarray) -> np.ndarray:
        return probabilities_of(logits, self._card)


def fewest_sufficient(
    curve: Curve, k: int, whole: np.ndarray, has_label: Callable[[np.ndarray], bool]
) -> int:
    """Return how many instances of an insertion curve give the answer of the whole bag.

    Parameters
    ----------
    curve
        From `BagParts.while_inserting`.
    k
        Class whose probability stays within `TOLERANCE`.
    whole
        Probabilities (C,) of the whole bag.
    has_label
        Whether probabilities (C,) give the label of the whole bag.
    """
    close = np.flatnonzero(np.abs(curve.probabilities[:, k] - whole[k]) <= TOLERANCE)
    for step in close:
        if has_label(curve.probabilities[step]):
            return int(curve.counts[step])
    return curve.n


def log_odds(logits: np.ndarray, card: ClassifierCard) -> np.ndarray:
    """Return the log-odds (..., C) of each class after temperature.

    Parameters
    ----------
    logits
        (..., C), or (..., 1) for one sigmoid unit.
    card
        Link and temperature.
    """
    tempered = np.asarray(logits, np.float64) / card.temperature
    if card.link == "sigmoid":
        return np.concatenate([-tempered, tempered], -1)
    if card.multi_label:
        return tempered
    others = np.empty_like(tempered)
    for k in range(tempered.shape[-1]):
        others[..., k] = np.logaddexp.reduce(np.delete(tempered, k, -1), -1)
    return tempered - others


def _steps(n: int) -> np.ndarray:
    """Return numbers of instances from 0 to n - 1, dense at the start: those come first."""
    if n <= STEPS:
        return np.arange(n)
    return np.unique(np.concatenate([[0], np.geomspace(1, n - 1, STEPS - 1).round().astype(int)]))
