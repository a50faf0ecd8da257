"""Checkpoints of other projects: recognised, rebuilt and loaded whole, or refused in a sentence."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_mil.aggregators import (
    create_aggregator,
    load_published_checkpoint,
    load_published_state,
)
from napari_mil.aggregators.abmil import ABMIL, GatedABMIL
from napari_mil.aggregators.clam import CLAMMultiBranch, CLAMSingleBranch
from napari_mil.aggregators.dsmil import DSMILReleased
from napari_mil.aggregators.dtfd import DTFD
from napari_mil.aggregators.mining import Miner
from napari_mil.aggregators.transmil import TransMIL
from napari_mil.errors import CheckpointError


def linear(stem, rows, columns, bias=True):
    generator = torch.Generator().manual_seed(len(stem) + rows)
    state = {f"{stem}.weight": torch.randn(rows, columns, generator=generator)}
    return {**state, f"{stem}.bias": torch.randn(rows, generator=generator)} if bias else state


def clam(
    n_classes=2, attention_dim=256, gated=True, multi_branch=False, first="0", second="3", in_dim=64
):
    heads = n_classes if multi_branch else 1
    network = f"attention_net.{second}"
    attention = (
        {
            **linear(f"{network}.attention_a.0", attention_dim, 512),
            **linear(f"{network}.attention_b.0", attention_dim, 512),
            **linear(f"{network}.attention_c", heads, attention_dim),
        }
        if gated
        else {
            **linear(f"{network}.module.0", attention_dim, 512),
            **linear(f"{network}.module.{3 if second == '3' else 2}", heads, attention_dim),
        }
    )
    classifiers = (
        [linear(f"classifiers.{c}", 1, 512) for c in range(n_classes)]
        if multi_branch
        else [linear("classifiers", n_classes, 512)]
    )
    instances = [linear(f"instance_classifiers.{c}", 2, 512) for c in range(n_classes)]
    state = linear(f"attention_net.{first}", 512, in_dim) | attention
    for part in (*classifiers, *instances):
        state |= part
    return state


def attention_mil():
    return (
        linear("feature.0", 32, 24)
        | linear("attention.0", 16, 32)
        | linear("attention.2", 1, 16)
        | linear("classifier.0", 2, 32)
    )


def dsmil(classes=2, width=24, head=".0"):
    return {
        **linear(f"i_classifier.fc{head}", classes, width),
        **linear("b_classifier.q.0", 128, width),
        **linear("b_classifier.q.2", 128, 128),
        "b_classifier.fcc.weight": torch.randn(classes, classes, width),
        "b_classifier.fcc.bias": torch.randn(classes),
    }


def dtfd(prefix="", blocks=0):
    def attention(stem):
        return (
            linear(f"{stem}attention_V.0", 16, 32)
            | linear(f"{stem}attention_U.0", 16, 32)
            | linear(f"{stem}attention_weights", 1, 16)
        )

    groups = {
        "dim_reduction": linear("fc1", 32, 24, bias=False),
        "attention": attention(""),
        "classifier": linear("fc", 2, 32),
        "att_classifier": attention("attention.") | linear("classifier.fc", 2, 32),
    }
    for k in range(blocks):
        groups["dim_reduction"] |= linear(f"resBlocks.{k}.block.0", 32, 32, bias=False) | linear(
            f"resBlocks.{k}.block.2", 32, 32, bias=False
        )
    return {
        group: {prefix + name: tensor for name, tensor in state.items()}
        for group, state in groups.items()
    }


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


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "model.", "module.model."])
@pytest.mark.parametrize("container", ["state_dict", "model_state_dict", None])
def test_what_wrappers_and_training_loops_put_around_is_taken_off(wrap, container):
    state = {wrap + name: tensor for name, tensor in attention_mil().items()}
    aggregator = load_published_state(
        {"epoch": 3, container: state, "optimizer": {"lr": 1}} if container else state
    )
    assert isinstance(aggregator, ABMIL)
    assert aggregator.in_dim == 24


def test_dataparallel_left_inside_clam_is_taken_off():
    state = {
        name.replace("attention_net.", "attention_net.module."): tensor
        for name, tensor in clam().items()
    }
    state["instance_loss_fn.labels"] = torch.tensor([0, 1])
    assert isinstance(load_published_state(state), CLAMSingleBranch)


@pytest.mark.parametrize("head", ["", ".0"])
@pytest.mark.parametrize("classes", [1, 2])
def test_dsmil_is_rebuilt_and_its_outputs_are_labels_of_their_own(head, classes):
    aggregator = load_published_state(dsmil(classes, head=head))
    assert isinstance(aggregator, DSMILReleased)
    assert aggregator.sigmoids
    assert aggregator(torch.randn(9, 24)).logits.shape == (classes,)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("blocks", [0, 2])
def test_dtfd_is_four_groups(prefix, blocks):
    aggregator = load_published_state(dtfd(prefix, blocks))
    assert isinstance(aggregator, DTFD)
    assert aggregator.shuffle
    assert aggregator(torch.randn(9, 24)).logits.shape == (2,)


@pytest.mark.parametrize("heads", [2, 8])
def test_transmil_is_rebuilt_with_its_heads(heads):
    original = create_aggregator("transmil", 24, 3, hidden=64, heads=heads)
    names = {"projection.": "_fc1.", "classifier.": "_fc2."}
    state = {}
    for name, tensor in original.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs) if name.startswith(ours) else name
        state["model." + name] = tensor
    aggregator, bag = load_published_state({"state_dict": state}), torch.randn(30, 24)
    assert isinstance(aggregator, TransMIL)
    assert torch.equal(aggregator(bag).logits, original.eval()(bag).logits)


def mhim(gated=False):
    stem = "online_encoder.attention."
    attention = (
        linear(stem + "attention_a.0", 16, 32, bias=False)
        | linear(stem + "attention_b.0", 16, 32, bias=False)
        | linear(stem + "attention_c", 1, 16, bias=False)
        if gated
        else linear(stem + "attention.0", 16, 32, bias=False)
        | linear(stem + "attention.2", 1, 16, bias=False)
    )
    return linear("patch_to_emb.0", 32, 24) | attention | linear("predictor", 2, 32)


def test_mhim_opens_as_its_student_and_with_ratios_as_the_miner():
    assert isinstance(load_published_state(mhim(gated=True)), ABMIL)
    pair = {"model": mhim(), "teacher": mhim()}
    assert isinstance(load_published_state(pair), ABMIL)
    assert load_published_state(pair).attention.V.bias is None
    assert isinstance(load_published_state(pair, {"aggregator": "mhim", "ratio_high": 0.03}), Miner)


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


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_a_file_opens_as_its_state_dict_does(tmp_path, kind):
    path = tmp_path / f"checkpoint.{kind}"
    (save_file if kind == "safetensors" else torch.save)(attention_mil(), path)
    bag = torch.randn(7, 24)
    assert torch.equal(
        load_published_checkpoint(path)(bag).logits,
        load_published_state(attention_mil())(bag).logits,
    )


def test_numbers_of_numpy_in_a_training_dump_are_allowed(tmp_path):
    dump = {"auc": np.float64(0.9), "curve": np.arange(3.0), "model_state_dict": attention_mil()}
    torch.save(dump, tmp_path / "best.pt")
    assert isinstance(load_published_checkpoint(tmp_path / "best.pt"), ABMIL)


class Hostile:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "writer", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
def test_a_pickle_that_runs_code_is_refused_by_name_and_does_not_run(tmp_path, writer):
    writer(
        {"state_dict": attention_mil(), "extra": Hostile(tmp_path / "owned")}, tmp_path / "bad.pth"
    )
    with pytest.raises(CheckpointError, match=r"bad\.pth was not opened: it holds"):
        load_published_checkpoint(tmp_path / "bad.pth")
    assert not (tmp_path / "owned").exists()


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(CheckpointError, match="save it again as a state dict"):
        load_published_checkpoint(tmp_path / "whole.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_damaged_file_is_named(tmp_path, content, suffix):
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_published_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(CheckpointError, match=path.name):
            load_published_checkpoint(path)


def test_what_is_not_recognised_is_said_with_what_there_is_and_what_would_be():
    with pytest.raises(CheckpointError, match=r"encoder\.weight.*none of the projects.*CLAM"):
        load_published_state(linear("encoder", 3, 4))
    with pytest.raises(CheckpointError, match="no tensors by name"):
        load_published_state({"epoch": 3})
    with pytest.raises(CheckpointError, match="whole list"):
        load_published_state([torch.zeros(1)])


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


def test_a_kernel_that_tensors_cannot_tell_is_asked_for():
    state = (
        {"self_att.query_conv.weight": torch.zeros(2, 16, 1)}
        | linear("attention.0", 4, 16)
        | linear("attention.2", 1, 4)
        | linear("classifier.0", 1, 16)
    )
    with pytest.raises(CheckpointError, match="which kernel"):
        load_published_state(state)


def test_an_embedder_inside_dsmil_is_refused_plainly():
    with pytest.raises(CheckpointError, match="embedder"):
        load_published_state(dsmil() | {"i_classifier.feature_extractor.0.weight": torch.zeros(1)})
