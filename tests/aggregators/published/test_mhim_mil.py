"""MHIM-MIL checkpoints."""

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.abmil import ABMIL
from napari_mil.aggregators.mining import Miner
from tests.aggregators.published.states import mhim


def test_mhim_opens_as_its_student_and_with_ratios_as_the_miner():
    assert isinstance(load_published_state(mhim(gated=True)), ABMIL)
    pair = {"model": mhim(), "teacher": mhim()}
    assert isinstance(load_published_state(pair), ABMIL)
    assert load_published_state(pair).attention.V.bias is None
    assert isinstance(load_published_state(pair, {"aggregator": "mhim", "ratio_high": 0.03}), Miner)
