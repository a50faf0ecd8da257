"""Masked mining of an open bag: a strategy, and the shares that it masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_mil.aggregators.mining.cards import STRATEGIES, MaskRatios, published_ratios
from napari_mil.inference.card import ClassifierCard

MOST_KEPT = 24
"""Masks of so many settings are kept for an answer."""
LARGEST_SHARE = 0.99
Masks = Mapping[str, np.ndarray]
"""bool (N,) by kind."""


@dataclass(frozen=True)
class Mining:
    """A strategy, and the shares that it masks."""

    strategy: str = next(iter(STRATEGIES))
    ratios: MaskRatios | None = None
    """None takes the published ones."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of instances that the strategy masks."""
        return STRATEGIES[self.strategy].kinds

    def ratios_for(self, card: ClassifierCard) -> MaskRatios:
        """Return the shares that are masked of the bag of a classifier."""
        return self.ratios or published_ratios_for(self.strategy, card)

    def with_share(self, kind: str, share: float, card: ClassifierCard) -> Mining:
        """Return the strategy masking another share of a kind; the published ones are None."""
        ratios = replace(self.ratios_for(card), **{kind: min(max(share, 0.0), LARGEST_SHARE)})
        is_published = ratios == published_ratios_for(self.strategy, card)
        return replace(self, ratios=None if is_published else ratios)

    def words(self, card: ClassifierCard) -> str:
        """Return the strategy as the paper writes it, and its shares in the order of `kinds`."""
        ratios = self.ratios_for(card)
        name = STRATEGIES[self.strategy].title.split(":")[0]
        shares = "/".join(f"{100 * getattr(ratios, kind):g}" for kind in self.kinds)
        return f"{name} ({shares} %)"


def published_ratios_for(strategy: str, card: ClassifierCard) -> MaskRatios:
    """Return the published shares of a strategy for the method of a classifier."""
    return published_ratios(strategy, transmil=card.aggregator.name == "transmil")


def with_masks_of(
    kept: Mapping[Mining, Masks], mining: Mining, masks: Masks
) -> dict[Mining, Masks]:
    """Return masks by setting with one more, the oldest beyond `MOST_KEPT` forgotten."""
    others = {other: kept[other] for other in kept if other != mining}
    newest = list(others.items())[-(MOST_KEPT - 1) :]
    return {**dict(newest), mining: masks}


def newest_of_strategy(kept: Mapping[Mining, Masks], mining: Mining) -> Mining | None:
    """Return the setting whose masks are shown until those of another one are there."""
    if mining in kept:
        return mining
    same = (other for other in reversed(list(kept)) if other.strategy == mining.strategy)
    return next(same, None)
