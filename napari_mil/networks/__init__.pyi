from .cards import BACKBONES, BackboneCard
from .lenet import LeNet5
from .nucleus import NucleusNet
from .registry import as_input, create_backbone
from .resnet import ResNet18

__all__ = [
    "BACKBONES",
    "BackboneCard",
    "LeNet5",
    "NucleusNet",
    "ResNet18",
    "as_input",
    "create_backbone",
]
