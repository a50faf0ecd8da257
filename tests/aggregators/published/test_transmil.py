"""TransMIL checkpoints."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator, load_published_state
from napari_mil.aggregators.transmil import TransMIL


@pytest.mark.parametrize("heads", [2, 8])
def test_transmil_is_rebuilt_with_its_heads(heads):
    original = create_aggregator("transmil", 24, 3, hidden=64, heads=heads)
    names = {"projection.": "_fc1.", "classifier.": "_fc2."}
    state = {}
    for name, tensor in original.state_dict().items():
        for here, published in names.items():
            name = name.replace(here, published) if name.startswith(here) else name
        state["model." + name] = tensor
    aggregator = load_published_state({"state_dict": state})
    bag = torch.randn(30, 24)
    assert isinstance(aggregator, TransMIL)
    assert torch.equal(aggregator(bag).logits, original.eval()(bag).logits)
