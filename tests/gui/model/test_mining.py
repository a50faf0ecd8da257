"""Strategies of masked mining and the shares that they mask."""

import pytest

from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.gui.model.mining import (
    LARGEST_SHARE,
    MOST_KEPT,
    Mining,
    newest_of_strategy,
    published_ratios_for,
    with_masks_of,
)
from tests.gui.model.builders import card, mined


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_a_choice_shares_are_as_published_for_the_kinds_of_the_strategy(strategy):
    ratios = Mining(strategy).ratios_for(card())
    kinds = STRATEGIES[strategy].kinds
    assert {kind for kind in ("high", "low", "random") if getattr(ratios, kind)} == set(kinds)


def test_transmil_has_published_shares_of_its_own():
    assert published_ratios_for("ham", card()).high == 0.01
    assert published_ratios_for("ham", card(aggregator="transmil")).high == 0.03


def test_a_share_is_changed_and_the_others_stay():
    changed = Mining("lr-ham").with_share("low", 0.35, card())
    assert (changed.ratios.low, changed.ratios.high, changed.ratios.random) == (0.35, 0.02, 0.7)
    assert changed.words(card()) == "LR-HAM (2/35/70 %)"


def test_the_published_shares_are_the_same_however_they_were_chosen():
    away = Mining("ham").with_share("high", 0.3, card())
    assert away.with_share("high", 0.01, card()) == Mining("ham")


@pytest.mark.parametrize(("wanted", "taken"), [(-1, 0), (5, LARGEST_SHARE)])
def test_shares_stay_in_their_range(wanted, taken):
    assert Mining().with_share("high", wanted, card()).ratios.high == taken


def test_the_newest_masks_are_kept():
    kept = {}
    for k in range(MOST_KEPT + 5):
        kept = with_masks_of(kept, Mining("ham").with_share("high", k / 100, card()), mined(4))
    assert len(kept) == MOST_KEPT
    assert Mining("ham").with_share("high", 0.0, card()) not in kept


def test_until_masks_are_there_the_newest_of_the_strategy_are_shown():
    other = Mining("ham").with_share("high", 0.2, card())
    kept = with_masks_of({}, Mining("ham"), mined(4))
    assert newest_of_strategy(kept, other) == Mining("ham")
    assert newest_of_strategy(kept, Mining("r-ham")) is None
    kept = with_masks_of(kept, other, mined(4))
    assert newest_of_strategy(kept, Mining("ham")) == Mining("ham")
