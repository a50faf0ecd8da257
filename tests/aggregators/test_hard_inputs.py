"""Other processes and block sizes, for methods that once went wrong with them."""

import pickle

import pytest
import torch

from napari_mil.aggregators import (
    create_aggregator,
)


@pytest.mark.parametrize("name", ["sa-abmil", "transmil", "hamil"])
def test_aggregators_travel_to_other_processes(name):
    aggregator = create_aggregator(name, 16, 2).eval()
    copy = pickle.loads(pickle.dumps(aggregator))
    bag = torch.randn(5, 16)
    assert torch.equal(copy(bag).logits, aggregator(bag).logits)


@pytest.mark.parametrize(
    ("name", "module", "constant", "value", "options"),
    [
        ("transmil", "nystrom", "BLOCK", 32, {"hidden": 32, "landmarks": 8}),
        ("sa-abmil", "sa_abmil", "PAIRS", 700, {"gamma": 0.7}),
        ("gnn-mil", "gnn_mil", "PAIRS", 700, {}),
    ],
)
def test_other_block_sizes_give_the_same_answers_and_gradients(
    name, module, constant, value, options, monkeypatch
):
    import importlib

    torch.manual_seed(0)
    aggregator = create_aggregator(name, 12, 2, **options).eval()
    bag = torch.randn(150, 12)

    def answer():
        features = bag.clone().requires_grad_()
        output = aggregator(features, torch.tensor(1))
        return output.logits, torch.autograd.grad(output.loss, features)[0]

    whole = answer()
    monkeypatch.setattr(
        importlib.import_module(f"napari_mil.aggregators.{module}"), constant, value
    )
    if name == "transmil":
        monkeypatch.setattr(
            importlib.import_module("napari_mil.aggregators.transmil"), constant, value
        )
    for in_blocks, reference in zip(answer(), whole, strict=True):
        assert torch.allclose(in_blocks, reference, atol=1e-5)
