"""Cards and published settings of mining strategies, importable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StrategyCard:
    """Description of a mining strategy for choosing one."""

    name: str
    """Name in `create_miner`."""
    title: str
    """What it masks, in words."""
    kinds: tuple[str, ...]
    """Kinds of instances it masks, of ``high``, ``low`` and ``random``."""


STRATEGIES: dict[str, StrategyCard] = {
    card.name: card
    for card in (
        StrategyCard("ham", "HAM: high", ("high",)),
        StrategyCard("l-ham", "L-HAM: high and low", ("high", "low")),
        StrategyCard("r-ham", "R-HAM: high and random", ("high", "random")),
        StrategyCard("lr-ham", "LR-HAM: all three", ("high", "low", "random")),
    )
}
"""Strategies by name (Tang et al. 2023, section 3.3)."""

KINDS = ("high", "low", "random")
"""Kinds of masked instances."""


@dataclass(frozen=True, slots=True)
class MaskRatios:
    """Shares of all instances that are masked, each in [0, 1).

    Raises
    ------
    ValueError
        If a share is out of range.
    """

    high: float = 0.0
    """Share b_h, masked of the highest scores."""
    low: float = 0.0
    """Share b_l, masked of the lowest scores."""
    random: float = 0.0
    """Share b_r, masked of all instances at random."""
    drawn: float = 1.0
    """Share b_in of the high candidates that is drawn, in (0, 1].

    1 takes the highest themselves.
    """

    def __post_init__(self) -> None:
        for name in KINDS:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"the share of {name} instances to mask lies in [0, 1), "
                    f"not {getattr(self, name):g}"
                )
        if not 0 < self.drawn <= 1:
            raise ValueError(
                f"the share drawn of the high candidates lies in (0, 1], not {self.drawn:g}"
            )


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """One published setting of masked mining."""

    high: float
    """See `MaskRatios.high`."""
    low: float
    """See `MaskRatios.low`."""
    random: float
    """See `MaskRatios.random`."""
    drawn: float
    """See `MaskRatios.drawn`."""
    consistency: float
    """Weight alpha of the consistency loss."""
    momentum_rises: bool
    """Whether the teacher's momentum rises to 1 by a cosine."""


# CAMELYON16 (small tumours) for one or two kinds, TCGA-NSCLC for all three; TransMIL has its own.
# Two shares are not published and taken from TCGA: what L-HAM hides of the lowest with ABMIL and
# DSMIL, and what R-HAM hides at random with TransMIL.
_SMALL = MiningSettings(0.01, 0.2, 0.5, 0.5, 0.1, momentum_rises=False)
_LARGE = MiningSettings(0.02, 0.2, 0.7, 1.0, 0.5, momentum_rises=True)
_TRANSMIL_SMALL = MiningSettings(0.03, 0.8, 0.6, 0.5, 0.1, momentum_rises=True)
_TRANSMIL_LARGE = MiningSettings(0.02, 0.2, 0.6, 1.0, 0.5, momentum_rises=False)


def published_settings(strategy: str, *, transmil: bool) -> MiningSettings:
    """Return the published settings of a strategy for a base."""
    large = strategy == "lr-ham"
    if transmil:
        return _TRANSMIL_LARGE if large else _TRANSMIL_SMALL
    return _LARGE if large else _SMALL


def published_ratios(strategy: str, *, transmil: bool) -> MaskRatios:
    """Return the published shares of the kinds that a strategy masks, for a base."""
    settings = published_settings(strategy, transmil=transmil)
    shares = {kind: getattr(settings, kind) for kind in STRATEGIES[strategy].kinds}
    return MaskRatios(**shares, drawn=settings.drawn)


def check_shares(strategy: str, options: Mapping[str, Any]) -> None:
    """Refuse shares that a strategy does not take.

    These are shares of kinds that it does not mask, and shares out of range.

    Raises
    ------
    ValueError
        Naming the first such share.
    """
    kinds = STRATEGIES[strategy].kinds
    if foreign := sorted(set(KINDS) & set(options) - set(kinds)):
        raise ValueError(
            f"The strategy {strategy} masks {' and '.join(kinds)} instances only; "
            f"leave out {', '.join(foreign)}."
        )
    MaskRatios(**{name: options[name] for name in (*kinds, "drawn") if name in options})
