"""Convolutional backbones: image tiles -> vectors or feature maps (torch only)."""

from napari_mil.networks.lenet import LeNet5
from napari_mil.networks.nucleus import NucleusNet
from napari_mil.networks.registry import BACKBONES, BackboneSpec, as_input, create_backbone
from napari_mil.networks.resnet import ResNet18

__all__ = [
    "BACKBONES",
    "BackboneSpec",
    "LeNet5",
    "NucleusNet",
    "ResNet18",
    "as_input",
    "create_backbone",
]
