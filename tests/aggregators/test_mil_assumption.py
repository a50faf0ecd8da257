"""The multiple-instance assumption: nothing in a bag takes a positive answer back.

An aggregator that respects it by its form answers no lower for a bag with an instance more,
whatever the instance is (Raff & Holt 2023 test the same after training; those tests are
`benchmarks/mil_assumption.py`, with their table in docs/mil_assumption.md).
"""

import pytest
import torch

from napari_mil import create_aggregator
from napari_mil.aggregators.cards import AGGREGATORS

RESPECT = {"instance-max", "mi-net-instance", "deepmiml"}
"""Aggregators whose answer is that of their highest instance."""
DIM = 8
DRAWS = 12


def falls(name):
    """Return how much the logit falls at most when an instance joins a bag: untrained weights."""
    most = 0.0
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        network = create_aggregator(name, DIM, 1).eval()
        bag = torch.randn(6, DIM)
        joined = torch.cat([bag, 4 * torch.randn(1, DIM)])
        with torch.no_grad():
            before = network(bag).logits.item()
            after = network(joined).logits.item()
        most = max(most, before - after)
    return most


@pytest.mark.parametrize("name", [name for name in AGGREGATORS if name in RESPECT])
def test_methods_that_answer_by_their_highest_instance_never_take_an_answer_back(name):
    assert falls(name) <= 1e-5


@pytest.mark.parametrize("name", [name for name in AGGREGATORS if name not in RESPECT])
def test_nothing_holds_the_other_methods_to_the_assumption(name):
    assert falls(name) > 1e-3
