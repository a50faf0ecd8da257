"""ResNet-18 of He et al. 2016.

"Deep residual learning for image recognition", CVPR, table 1.
Names of modules and shapes are those of the usual releases, so that their weights load
(without ``fc.*``).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (section 3.3)."""

    def __init__(self, channels_in: int, channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = norm(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), norm(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)) + shortcut
        return y.relu()


class ResNet18(nn.Module):
    """Network from RGB tiles to feature maps or vectors.

    A map has 512 channels at 1/32 of the tile's side; a vector is the spatial mean of a map.

    Parameters
    ----------
    maps
        Return maps instead of vectors.
    norm
        Makes the normalisation of so many channels. The self-supervised embedders of dsmil-wsi
        have `torch.nn.InstanceNorm2d`.
    """

    out_dim = 512

    def __init__(self, maps: bool = False, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.maps = maps
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1, norm), BasicBlock(64, 64, 1, norm))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2, norm), BasicBlock(128, 128, 1, norm))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2, norm), BasicBlock(256, 256, 1, norm))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2, norm), BasicBlock(512, 512, 1, norm))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, tiles: Tensor) -> Tensor:
        """Map tiles (N, 3, H, W) to (N, 512, H / 32, W / 32), or (N, 512)."""
        x = self.maxpool(self.bn1(self.conv1(tiles)).relu())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x if self.maps else x.mean((2, 3))
