"""Cards of the aggregators against the classes they name."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest

from napari_mil.aggregators import Aggregator
from napari_mil.aggregators.cards import AGGREGATORS, names_that_can_be_mined
from napari_mil.aggregators.hamil import TreeAggregator
from napari_mil.aggregators.mining.miner import BASES

CARDS_MODULES = [
    f"napari_mil.{room}.cards"
    for room in ("aggregators", "aggregators.mining", "encoders", "networks")
]

every_card = pytest.mark.parametrize("card", AGGREGATORS.values(), ids=AGGREGATORS)


@every_card
def test_a_card_names_the_class_of_an_aggregator(card):
    assert AGGREGATORS[card.name] is card
    assert issubclass(resolve_name(card.implementation), Aggregator)


@every_card
def test_a_card_says_what_its_class_can_do(card):
    implementation = resolve_name(card.implementation)
    assert card.works_on_maps == implementation.works_on_maps
    assert card.can_be_mined == issubclass(implementation, BASES)
    assert card.merges_instances == issubclass(implementation, TreeAggregator)


def test_the_names_that_can_be_mined_are_those_of_the_cards():
    mined = names_that_can_be_mined()
    assert mined == ("abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil")


def test_cards_are_importable_without_torch():
    code = f"import sys, {', '.join(CARDS_MODULES)}; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
