"""Cards of the networks that are trained together with an aggregator, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackboneCard:
    """What a user needs to know before choosing a network."""

    name: str
    title: str
    """What it is called in lists."""
    channels: int
    """Channels of an image: 3 for colour, 1 for grey."""
    tile_px: int
    """Side of an image that it was published for, in pixels."""
    has_maps: bool
    """Whether it can return feature maps instead of vectors."""
    source: str
    """Paper that defines it."""
    implementation: str
    """Dotted path of the function that makes it from (side in px, whether maps are wanted)."""


BACKBONES: dict[str, BackboneCard] = {
    card.name: card
    for card in (
        BackboneCard(
            "lenet5",
            "LeNet-5",
            1,
            28,
            has_maps=False,
            source="Ilse et al. 2018, table 8 of the supplement",
            implementation="napari_mil.networks.registry:make_lenet5",
        ),
        BackboneCard(
            "nucleus-net",
            "nucleus network",
            3,
            27,
            has_maps=False,
            source="Sirinukunwattana et al. 2016",
            implementation="napari_mil.networks.registry:make_nucleus_net",
        ),
        BackboneCard(
            "resnet18",
            "ResNet-18",
            3,
            224,
            has_maps=True,
            source="He et al. 2016",
            implementation="napari_mil.networks.registry:make_resnet18",
        ),
    )
}
"""Cards by name; adding a network is a class, a function that makes it, and a card."""
