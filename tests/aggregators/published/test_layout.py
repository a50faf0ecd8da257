"""Loading by renaming rules: tensors that do not fit are named."""

import pytest
import torch
from torch import nn

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.published.layout import fill, listed
from napari_mil.errors import CheckpointError
from tests.aggregators.published.states import attention_mil, clam


def test_tensors_too_many_too_few_or_of_another_shape_are_named():
    with pytest.raises(CheckpointError, match=r"it has head\.weight"):
        load_published_state(attention_mil() | {"head.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"it lacks attention\.V\.bias|incomplete"):
        load_published_state(
            {
                name: tensor
                for name, tensor in (clam() | {}).items()
                if name != "attention_net.3.attention_a.0.bias"
            }
        )
    with pytest.raises(CheckpointError, match="shape"):
        load_published_state(attention_mil() | {"attention.2.weight": torch.zeros(1, 9)})


def test_rules_rename_tensors_and_ignored_names_are_left_out():
    state = {"fc.weight": torch.ones(1, 2), "fc.bias": torch.ones(1), "step": torch.ones(1)}
    module = fill(nn.Sequential(nn.Linear(2, 1)), state, [(r"fc\.", "0.")], ignored=("step",))
    assert module[0].weight.tolist() == [[1, 1]]
    assert not module.training


def test_two_tensors_of_one_name_are_refused():
    state = {"a.weight": torch.ones(1, 2), "b.weight": torch.ones(1, 2)}
    with pytest.raises(CheckpointError, match="mixes two releases"):
        fill(nn.Linear(2, 1), state, [(r"[ab]\.", "")])


def test_long_lists_of_names_are_cut_and_counted():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdef")) == "a, b, c, d and 2 more"
