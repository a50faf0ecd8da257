"""What the window says of mining without torch is what the miner does."""

from napari_mil.aggregators.mining.miner import BASES, STRATEGIES
from napari_mil.aggregators.registry import AGGREGATORS
from napari_mil.gui import mining


def test_what_the_window_offers_is_what_the_miner_takes():
    assert mining.STRATEGIES == STRATEGIES
    assert [key for key, _ in mining.STRATEGY_TEXTS] == list(STRATEGIES)
    assert set(mining.MINED) == {name for name, kind in AGGREGATORS.items() if issubclass(kind, BASES)}
