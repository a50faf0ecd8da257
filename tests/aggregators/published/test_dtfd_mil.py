"""DTFD-MIL checkpoints."""

import pytest
import torch

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.dtfd import DTFD
from tests.aggregators.published.states import dtfd


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("blocks", [0, 2])
def test_dtfd_is_rebuilt_from_four_groups(prefix, blocks):
    aggregator = load_published_state(dtfd(prefix, blocks))
    assert isinstance(aggregator, DTFD)
    assert aggregator.shuffle
    assert aggregator(torch.randn(9, 24)).logits.shape == (2,)
