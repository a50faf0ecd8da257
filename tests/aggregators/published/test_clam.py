"""CLAM checkpoints."""

import pytest
import torch

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.clam import CLAMMultiBranch, CLAMSingleBranch
from tests.aggregators.published.states import clam


@pytest.mark.parametrize("attention_dim", [256, 384])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("multi_branch", [True, False])
@pytest.mark.parametrize("second", ["2", "3"])
def test_clam_of_every_size_is_rebuilt_from_its_shapes(attention_dim, gated, multi_branch, second):
    state = clam(3, attention_dim, gated, multi_branch, second=second)
    aggregator = load_published_state(state)
    assert type(aggregator) is (CLAMMultiBranch if multi_branch else CLAMSingleBranch)
    assert aggregator(torch.randn(20, 64)).attention.shape == (20, 3 if multi_branch else 1)
    assert torch.equal(
        aggregator.attention.V.weight,
        state[f"attention_net.{second}.{'attention_a' if gated else 'module'}.0.weight"],
    )


def test_dataparallel_left_inside_clam_is_taken_off():
    state = {
        name.replace("attention_net.", "attention_net.module."): tensor
        for name, tensor in clam().items()
    }
    state["instance_loss_fn.labels"] = torch.tensor([0, 1])
    assert isinstance(load_published_state(state), CLAMSingleBranch)
