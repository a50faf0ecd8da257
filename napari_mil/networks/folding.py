"""EfficientNet-Lite0 with its batch norms folded in, for inference.

Convolutions can run in bfloat16, which has 8 bits of mantissa. Two things keep its maps near those
of float32 at no cost: the first layers stay in float32, and rounding keeps the sum of every
depthwise kernel. Many of those kernels are differences of neighbours, whose weights add up to
almost nothing; rounded one by one they would answer to the brightness of a tile.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.networks.efficientnet_lite import (
    EfficientNetLite0Trunk,
    InvertedResidual,
    SameConv,
    same_padding,
)

BLOCKS_IN_FLOAT32 = 1
"""First blocks that stay in float32, after the stem, which does too.

They hold most of the error of bfloat16 and a tenth of the work.
"""


class FoldedConv(nn.Module):
    """Convolution with its batch norm folded in, and ReLU6 where the network has it.

    Parameters
    ----------
    conv, norm
        The convolution and the norm behind it, in evaluation mode.
    clip
        Whether ReLU6 follows.
    dtype
        float32 or bfloat16.
    """

    def __init__(
        self, conv: SameConv, norm: nn.BatchNorm2d, clip: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        weight, bias = folded(conv, norm)
        if dtype == torch.bfloat16 and conv.groups > 1:
            weight = rounded_with_sums(weight)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        self.stride = conv.stride[0]
        self.groups = conv.groups
        self.clip = clip
        self.fuses = has_fused_convolutions()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        x = x.to(self.weight.dtype)
        kernel = self.weight.shape[2]
        padding = kernel // 2
        if self.stride > 1:
            rows = same_padding(x.shape[2], kernel, self.stride)
            columns = same_padding(x.shape[3], kernel, self.stride)
            x = functional.pad(x, (*columns, *rows))
            padding = 0
        if self.fuses and x.device.type == "cpu":
            return self._convolve_by_onednn(x, padding)
        y = functional.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return y.clamp_(0, 6) if self.clip else y

    def _convolve_by_onednn(self, x: Tensor, padding: int) -> Tensor:
        """Convolve and clip in one pass over memory.

        torch itself chooses among libraries by the number of images, and a tile's features would
        differ in the last bits from batch to batch.
        """
        after: tuple[str, list[float]] = ("hardtanh", [0.0, 6.0]) if self.clip else ("none", [])
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x,
            self.weight,
            self.bias,
            [padding, padding],
            [self.stride, self.stride],
            [1, 1],
            self.groups,
            *after,
            "",
        )
        return y


class FoldedResidual(nn.Module):
    """Inverted residual of folded convolutions."""

    def __init__(self, block: InvertedResidual, dtype: torch.dtype) -> None:
        super().__init__()
        self.is_residual = block.is_residual
        steps = [
            FoldedConv(block.depthwise_conv, block.bn1, True, dtype),
            FoldedConv(block.project_conv, block.bn2, False, dtype),
        ]
        if block.expands:
            steps.insert(0, FoldedConv(block.expand_conv, block.bn0, True, dtype))
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride)."""
        y: Tensor = self.steps(x)
        return y.add_(x) if self.is_residual else y


class FoldedTrunk(nn.Module):
    """Trunk for inference: the maps of `EfficientNetLite0Trunk`.

    Parameters
    ----------
    trunk
        Network with its weights.
    dtype
        float32 or bfloat16.
    """

    def __init__(self, trunk: EfficientNetLite0Trunk, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.taps = trunk.taps
        self.stem = FoldedConv(trunk.conv_stem, trunk.bn0, True, torch.float32)
        self.blocks = nn.ModuleList(
            FoldedResidual(block, torch.float32 if k < BLOCKS_IN_FLOAT32 else dtype)  # type: ignore[arg-type]
            for k, block in enumerate(trunk.blocks)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, 3, H, W) to the maps (N, C, h, w) of every tap."""
        x = self.stem(images)
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return tuple(maps)


def folded(conv: SameConv, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution that includes the norm behind it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias.detach() - norm.running_mean * scale
    return conv.weight.detach() * scale[:, None, None, None], bias


def has_fused_convolutions() -> bool:
    """Say whether this torch has oneDNN's convolutions, which apply ReLU6 themselves."""
    return bool(
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def rounded_with_sums(weight: Tensor) -> Tensor:
    """Round kernels to bfloat16 so that each keeps its sum.

    The error of a value is passed on to the next smaller one, whose steps are finer.

    Parameters
    ----------
    weight
        float32 (C, 1, k, k), one kernel per channel.
    """
    kernels = weight.flatten(1).double()
    order = kernels.abs().argsort(1, descending=True)
    rounded = torch.zeros_like(kernels)
    error = torch.zeros(len(kernels), 1, dtype=torch.float64)
    for position in order.split(1, dim=1):
        wanted = kernels.gather(1, position) + error
        value = wanted.to(torch.bfloat16).double()
        rounded.scatter_(1, position, value)
        error = wanted - value
    return rounded.view_as(weight).to(weight.dtype)
