"""What the window says of mining without torch is what the miner does."""

from napari_mil.aggregators.mining.miner import BASES, STRATEGIES
from napari_mil.aggregators.registry import AGGREGATORS
from napari_mil.errors import OptionError
from napari_mil.gui import mining
from napari_mil.training.config import make_config


def test_what_the_window_offers_is_what_the_miner_takes():
    assert mining.STRATEGIES == STRATEGIES
    assert [key for key, _ in mining.STRATEGY_TEXTS] == list(STRATEGIES)
    assert set(mining.MINED) == {
        name for name, kind in AGGREGATORS.items() if issubclass(kind, BASES)
    }


def test_streams_learn_in_turns_where_the_window_offers_it_and_nowhere_else():
    def takes_turns(name):
        try:
            return make_config(aggregator=name, alternate_streams=True).alternate_streams
        except OptionError:
            return False

    assert set(mining.TWO_STREAMS) == {name for name in AGGREGATORS if takes_turns(name)}
