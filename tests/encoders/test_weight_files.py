import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from napari_mil.encoders import weight_files
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS
from napari_mil.encoders.weight_files import fill, find_weights, read_weights
from napari_mil.errors import CheckpointError

MODEL = FOUNDATION_MODELS["uni"]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Return a function that sets what a download does, in place of Hugging Face's client."""
    monkeypatch.setattr(weight_files, "own_encoders_folder", lambda: tmp_path / "own")

    class GatedRepoError(Exception):
        """Error of the client."""

    def set_download(download):
        client = types.ModuleType("huggingface_hub")
        errors = types.ModuleType("huggingface_hub.errors")
        client.hf_hub_download = download
        errors.GatedRepoError = GatedRepoError
        monkeypatch.setitem(sys.modules, "huggingface_hub", client)
        monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)

    set_download.gated = GatedRepoError
    return set_download


@pytest.fixture
def network():
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def weights():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()


def test_the_file_that_is_given_is_taken(tmp_path):
    file = tmp_path / "any name.bin"
    file.touch()
    assert find_weights(MODEL, file) == file
    assert find_weights(MODEL, tmp_path) == file
    (tmp_path / "other.pth").touch()
    with pytest.raises(CheckpointError, match="2 files of weights"):
        find_weights(MODEL, tmp_path)
    with pytest.raises(CheckpointError, match=r"no weights at .*gone\.pt"):
        find_weights(MODEL, tmp_path / "gone.pt")


def test_a_file_in_the_users_folder_comes_before_a_download(hub, tmp_path):
    hub(lambda *source, **options: pytest.fail("nothing is downloaded"))
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "uni.safetensors"
    file.touch()
    assert find_weights(MODEL, None) == file


def test_weights_are_downloaded_from_the_card(hub):
    asked = []
    hub(lambda *source, **options: asked.append((source, options)) or "/kept/file")
    assert find_weights(MODEL, None) == Path("/kept/file")
    assert asked == [(("MahmoodLab/UNI", "pytorch_model.bin"), {"revision": "main"})]


def test_gated_weights_say_what_to_do(hub):
    def refuse(*source, **options):
        raise hub.gated("403 Client Error")

    hub(refuse)
    with pytest.raises(CheckpointError) as caught:
        find_weights(MODEL, None)
    message = str(caught.value)
    assert "gated" in message
    assert "accept their terms at https://huggingface.co/MahmoodLab/UNI" in message
    assert "uni.bin" in message


def test_a_failed_download_says_why_and_what_to_do(hub):
    def fail(*source, **options):
        raise OSError("no route to host")

    hub(fail)
    with pytest.raises(CheckpointError, match=r"no route to host.*try again, or download"):
        find_weights(MODEL, None)


def test_without_the_client_the_extra_is_named(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"extra `encoders`.*or download"):
        find_weights(MODEL, None)


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "teacher"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_wrappers_and_common_beginnings_are_taken_off(tmp_path, wrap, prefix):
    state = {prefix + name: tensor for name, tensor in weights().items()}
    torch.save(state if wrap is None else {wrap: state, "epoch": 3}, tmp_path / "weights.pth")
    assert read_weights(tmp_path / "weights.pth").keys() == weights().keys()


def test_what_holds_no_tensors_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match=r"list\.pt holds no tensors by name"):
        read_weights(tmp_path / "list.pt")
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(CheckpointError, match=r"broken\.safetensors cannot be read"):
        read_weights(tmp_path / "broken.safetensors")


def test_a_network_gets_every_value_of_the_file(tmp_path, network):
    state = weights()
    save_file(state, tmp_path / "weights.safetensors")
    fill(network, MODEL, tmp_path / "weights.safetensors")
    filled = network.state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), r"1 missing \(0\.bias\)"),
        (lambda state: state.update(head=torch.zeros(2)), r"1 not known \(head\)"),
        (
            lambda state: state.update({"0.weight": torch.zeros(3, 9)}),
            r"1 of another shape \(0\.weight\)",
        ),
        (lambda state: state.clear(), r"7 missing \(0\.bias, 0\.weight, 1\.bias, …\)"),
    ],
    ids=["missing", "unknown", "shape", "empty"],
)
def test_a_file_whose_tensors_do_not_all_match_is_refused(tmp_path, network, change, message):
    state = weights()
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=message):
        fill(network, MODEL, tmp_path / "weights.pth")
    assert all(value.device.type == "meta" for value in network.state_dict().values())


def test_a_buffer_that_no_file_fills_never_passes_for_a_weight(tmp_path, network):
    with torch.device("meta"):
        network.register_buffer("angles", torch.zeros(2), persistent=False)
    torch.save(weights(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="angles"):
        fill(network, MODEL, tmp_path / "weights.pth")
