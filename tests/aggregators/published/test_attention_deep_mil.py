"""Checkpoints of AttentionDeepMIL and related projects."""

import pytest
import torch

from napari_mil.aggregators import load_published_state
from napari_mil.aggregators.abmil import GatedABMIL
from napari_mil.errors import CheckpointError
from tests.aggregators.published.states import linear, mhim


def test_attention_without_biases_has_the_relu_of_mhim_unless_the_hint_says_otherwise():
    state = {
        name.replace("online_encoder.attention.", "")
        .replace("patch_to_emb", "feature")
        .replace("predictor", "classifier.0"): tensor
        for name, tensor in mhim(True).items()
    }
    assert isinstance(load_published_state(state), GatedABMIL)
    assert isinstance(load_published_state(state).attention.activation, torch.nn.ReLU)
    assert isinstance(
        load_published_state(state, {"act": "tanh"}).attention.activation, torch.nn.Tanh
    )


def test_a_kernel_that_tensors_cannot_tell_is_asked_for():
    state = (
        {"self_att.query_conv.weight": torch.zeros(2, 16, 1)}
        | linear("attention.0", 4, 16)
        | linear("attention.2", 1, 4)
        | linear("classifier.0", 1, 16)
    )
    with pytest.raises(CheckpointError, match="which kernel"):
        load_published_state(state)
