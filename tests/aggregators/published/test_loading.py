"""Checkpoints of other projects: opened whole, or refused in a sentence."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_mil.aggregators import load_published_checkpoint, load_published_state
from napari_mil.aggregators.abmil import ABMIL
from napari_mil.errors import CheckpointError
from tests.aggregators.published.states import attention_mil, linear


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "model.", "module.model."])
@pytest.mark.parametrize("container", ["state_dict", "model_state_dict", None])
def test_what_wrappers_and_training_loops_put_around_is_taken_off(wrap, container):
    state = {wrap + name: tensor for name, tensor in attention_mil().items()}
    aggregator = load_published_state(
        {"epoch": 3, container: state, "optimizer": {"lr": 1}} if container else state
    )
    assert isinstance(aggregator, ABMIL)
    assert aggregator.in_dim == 24


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


def opened(path):
    """The length of features, or the file that a refusal names."""
    try:
        return load_published_checkpoint(path).in_dim
    except CheckpointError as error:
        return path.name if path.name in str(error) else str(error)


def circular():
    content = {"epoch": 1}
    content["state_dict"] = content
    return content


@pytest.mark.parametrize(
    "content",
    [
        circular(),
        {**attention_mil(), "attention.2.weight": torch.tensor(1.0)},
        {**attention_mil(), "feature.0.weight": torch.zeros(1).expand(20_000, 20_000)},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24).to_sparse()},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24, dtype=torch.complex64)},
        {**attention_mil(), "feature.0.weight": torch.zeros(32, 24, dtype=torch.int64)},
        {
            **attention_mil(),
            "attention.3.weight": torch.zeros(1, 16),
            "attention.3.bias": torch.zeros(1),
        },
        {"dim_reduction": None, "attention": {}, "classifier": {}, "att_classifier": {}},
        {
            "dim_reduction": {3: torch.zeros(1)},
            "attention": {},
            "classifier": {},
            "att_classifier": {},
        },
        {
            "model": attention_mil(),
            "teacher": torch.zeros(1),
            "patch_to_emb.0.weight": 3,
            "feature.0.weight": None,
            "student": 5,
        },
    ],
    ids=[
        "circular",
        "0-d",
        "stretched",
        "sparse",
        "complex",
        "whole numbers",
        "two releases",
        "no group",
        "numbers as names",
        "odd teacher",
    ],
)
def test_odd_checkpoints_open_or_are_refused_in_a_sentence(content, tmp_path):
    torch.save(content, tmp_path / "odd.pth")
    assert opened(tmp_path / "odd.pth") in (24, "odd.pth")


def test_a_training_dump_without_a_teacher_or_with_foreign_tensors_opens():
    assert load_published_state({"model": attention_mil(), "teacher": None}).in_dim == 24
    assert load_published_state({"model": attention_mil(), "teacher": attention_mil()}).in_dim == 24
    lightning = {f"model.{name}": tensor for name, tensor in attention_mil().items()} | {
        "loss.weight": torch.ones(2)
    }
    assert load_published_state({"state_dict": lightning}).in_dim == 24


def test_flipped_bits_are_named(tmp_path):
    torch.save(attention_mil(), tmp_path / "whole.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "whole.pth").read_bytes()
    for seed in range(40):
        bits = bytearray(whole)
        for place in np.random.default_rng(seed).integers(0, len(bits), 30):
            bits[place] ^= 1 << seed % 8
        (tmp_path / "flipped.pth").write_bytes(bits)
        assert opened(tmp_path / "flipped.pth") in (24, "flipped.pth")
