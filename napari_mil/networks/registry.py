"""Networks that are trained together with an aggregator, by name; adding one is a class and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.errors import UnknownNameError
from napari_mil.networks.lenet import LeNet5
from napari_mil.networks.nucleus import NucleusNet
from napari_mil.networks.resnet import ResNet18


@dataclass(frozen=True)
class BackboneSpec:
    """What a network takes and how it is made."""

    build: Callable[[int, bool], nn.Module]
    """(side of an image in px, whether maps are wanted) -> network with `out_dim`."""
    channels: int
    """Channels of an image: 3 for colour, 1 for grey."""
    tile_px: int
    """Side that it was published for."""
    has_maps: bool
    source: str


BACKBONES: dict[str, BackboneSpec] = {
    "lenet5": BackboneSpec(
        lambda side, maps: LeNet5(side=side),
        1,
        28,
        has_maps=False,
        source="Ilse et al. 2018, table 8 of the supplement",
    ),
    "nucleus-net": BackboneSpec(
        lambda side, maps: NucleusNet(side=side),
        3,
        27,
        has_maps=False,
        source="Sirinukunwattana et al. 2016",
    ),
    # Group norm: a bag of one image, or of images that shrink to one position, has no batch statistics.
    "resnet18": BackboneSpec(
        lambda side, maps: ResNet18(maps, norm=partial(nn.GroupNorm, 32)),
        3,
        224,
        has_maps=True,
        source="He et al. 2016",
    ),
}


def create_backbone(name: str, tile_px: int | None = None, maps: bool = False) -> nn.Module:
    """Make a network with fresh weights.

    Parameters
    ----------
    name
        One of `BACKBONES`.
    tile_px
        Side of its images; None is what it was published for.
    maps
        Return feature maps (N, C, H, W) instead of vectors, where it has them.

    Raises
    ------
    UnknownNameError
        If there is no such network, or it takes no images of that side.
    """
    if name not in BACKBONES:
        raise UnknownNameError(
            f"There is no network named {name!r}; choose one of {', '.join(BACKBONES)}."
        )
    spec = BACKBONES[name]
    try:
        return spec.build(tile_px or spec.tile_px, maps and spec.has_maps)
    except ValueError as error:
        raise UnknownNameError(
            f"The network {name} does not take these images: {error}."
        ) from error


def as_input(tiles: np.ndarray | Tensor, channels: int) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, channels, H, W) in [-1, 1]."""
    images = torch.as_tensor(tiles).permute(0, 3, 1, 2).float()
    if channels == 1:
        images = images.mean(1, keepdim=True)
    return images / 127.5 - 1
