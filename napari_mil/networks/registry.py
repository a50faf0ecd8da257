"""Creation of networks by name, and conversion of their input."""

from __future__ import annotations

from functools import partial
from pkgutil import resolve_name
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.errors import UnknownNameError
from napari_mil.networks.cards import BACKBONES
from napari_mil.networks.lenet import LeNet5
from napari_mil.networks.nucleus import NucleusNet
from napari_mil.networks.resnet import ResNet18

GROUPS_OF_NORM = 32
"""Groups of channels in group norms."""


def make_lenet5(side: int, maps: bool) -> nn.Module:
    """Make LeNet-5 for grey images of a side."""
    return LeNet5(side=side)


def make_nucleus_net(side: int, maps: bool) -> nn.Module:
    """Make the nucleus network for tiles of a side."""
    return NucleusNet(side=side)


def make_resnet18(side: int, maps: bool) -> nn.Module:
    """Make ResNet-18 with group norm.

    A bag of one image, or of images that shrink to one position, has no batch statistics.
    """
    return ResNet18(maps, norm=partial(nn.GroupNorm, GROUPS_OF_NORM))


def create_backbone(name: str, tile_px: int | None = None, maps: bool = False) -> nn.Module:
    """Make a network with fresh weights.

    Parameters
    ----------
    name
        One of `BACKBONES`.
    tile_px
        Side of its images in pixels; None takes the side it was published for.
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
    card = BACKBONES[name]
    make = resolve_name(card.implementation)
    try:
        return cast("nn.Module", make(tile_px or card.tile_px, maps and card.has_maps))
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
