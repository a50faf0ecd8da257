"""Foundation encoders with random weights of the right architecture, by the product's own path."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_mil.encoders import create_encoder
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS
from napari_mil.errors import CheckpointError

timm = pytest.importorskip("timm", reason="the extra `encoders` is not installed (no timm)")

from napari_mil.encoders.foundation import build_network  # noqa: E402

SMALL = ("kaiko-vits16", "lunit-vits8", "resnet18-imagenet", "resnet50-imagenet", "h0-mini")
"""Models that are quickly filled with random values, one of each kind."""


def random_state(name):
    """Return random values for every tensor of a model, the same for a name in every run."""
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.rand(tensor.shape, generator=generator) * 0.04 + ("running_var" in key)
        if tensor.is_floating_point()
        else torch.zeros(tensor.shape, dtype=tensor.dtype)
        for key, tensor in build_network(FOUNDATION_MODELS[name]).state_dict().items()
    }


@pytest.fixture(scope="module", params=SMALL)
def saved(request, tmp_path_factory):
    """Return name, state and file of a model with random weights."""
    state = random_state(request.param)
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(state, file)
    return request.param, state, file


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


def test_vectors_are_those_of_the_network_by_the_rule_of_the_card(saved, tiles):
    name, state, file = saved
    encoder = create_encoder(name, weights=file, device="cpu")
    vectors = encoder.encode(tiles)
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, encoder.dim)

    model = FOUNDATION_MODELS[name]
    network = build_network(model).to_empty(device="cpu").eval()
    network.load_state_dict(state)
    images = torch.tensor(tiles).permute(0, 3, 1, 2) / 255
    mean, scale = (
        torch.tensor(each)[:, None, None]
        for each in (model.card.normalisation.mean, model.card.normalisation.scale)
    )
    with torch.inference_mode():
        if name.startswith("resnet50"):
            expected = network((images - mean) / scale)[-1].mean((2, 3))
        elif name.startswith("resnet"):
            expected = network((images - mean) / scale)
        else:
            tokens = network.forward_features((images - mean) / scale)
            expected = tokens[:, 0]
            if model.card.dim == 2 * expected.shape[1]:
                expected = torch.cat([expected, tokens[:, 5:].mean(1)], 1)
    assert vectors == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4)


def test_a_file_without_one_tensor_is_refused(saved, tmp_path):
    name, state, _ = saved
    first = next(iter(state))
    torch.save({key: value for key, value in state.items() if key != first}, tmp_path / "short.pth")
    with pytest.raises(CheckpointError, match=r"short\.pth does not hold the weights"):
        create_encoder(name, weights=tmp_path / "short.pth", device="cpu")


def test_the_fingerprint_follows_weights_and_model(tmp_path):
    state = random_state("kaiko-vits16")
    for file in ("a.safetensors", "b.safetensors"):
        save_file(state, tmp_path / file)
        state = {**state, "norm.bias": state["norm.bias"] + 1}
    prints = [
        create_encoder(name, weights=tmp_path / file, device="cpu").fingerprint
        for name, file in (
            ("kaiko-vits16", "a.safetensors"),
            ("kaiko-vits16", "b.safetensors"),
            ("lunit-vits16", "a.safetensors"),
        )
    ]
    assert len(set(prints)) == 3


def test_a_classifier_of_photographs_gives_its_vectors_without_its_classes(tmp_path, tiles):
    state = random_state("resnet18-imagenet")
    save_file(state, tmp_path / "bare.safetensors")
    whole = {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    save_file(whole, tmp_path / "whole.safetensors")
    bare, with_classes = (
        create_encoder("resnet18-imagenet", weights=tmp_path / file, device="cpu").encode(tiles)
        for file in ("bare.safetensors", "whole.safetensors")
    )
    assert np.array_equal(bare, with_classes)


@pytest.mark.parametrize("name", FOUNDATION_MODELS)
def test_timm_builds_what_the_card_says(name):
    model = FOUNDATION_MODELS[name]
    network = build_network(model)
    assert all(tensor.device.type == "meta" for tensor in network.state_dict().values())
    if hasattr(network, "num_prefix_tokens"):
        widths = {"class token": 1, "class token, then mean of the patch tokens": 2}
        assert model.card.dim == widths[model.card.embedding] * network.num_features
