"""Convolutional backbones: image tiles -> vectors or feature maps (torch only)."""

from napari_mil.networks.lenet import LeNet5
from napari_mil.networks.nucleus import NucleusNet
from napari_mil.networks.resnet import ResNet18

__all__ = ["LeNet5", "NucleusNet", "ResNet18"]
