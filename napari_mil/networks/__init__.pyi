from .cards import BACKBONES, BackboneCard
from .efficientnet_lite import EfficientNetLite0, EfficientNetLite0Trunk
from .lenet import LeNet5
from .nucleus import NucleusNet
from .registry import as_input, create_backbone
from .resnet import ResNet18

__all__ = [
    "BACKBONES",
    "BackboneCard",
    "EfficientNetLite0",
    "EfficientNetLite0Trunk",
    "LeNet5",
    "NucleusNet",
    "ResNet18",
    "as_input",
    "create_backbone",
]
