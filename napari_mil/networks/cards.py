"""Cards of the networks, importable without torch.

Networks are trained together with an aggregator.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackboneCard:
    """Description of a network for choosing one."""

    name: str
    """Name in `create_backbone`."""
    title: str
    """Name in lists."""
    channels: int
    """Channels of an image: 3 for colour, 1 for grey."""
    tile_px: int
    """Side in pixels of the images it was published for."""
    has_maps: bool
    """Whether it can return feature maps instead of vectors."""
    source: str
    """Paper that defines it."""
    implementation: str
    """Dotted path of the function that makes it.

    Its arguments are the side of images in pixels and whether maps are wanted.
    """


BACKBONES: dict[str, BackboneCard] = {
    card.name: card
    for card in (
        BackboneCard(
            name="lenet5",
            title="LeNet-5",
            channels=1,
            tile_px=28,
            has_maps=False,
            source="Ilse et al. 2018, table 8 of the supplement",
            implementation="napari_mil.networks.registry:make_lenet5",
        ),
        BackboneCard(
            name="nucleus-net",
            title="nucleus network",
            channels=3,
            tile_px=27,
            has_maps=False,
            source="Sirinukunwattana et al. 2016",
            implementation="napari_mil.networks.registry:make_nucleus_net",
        ),
        BackboneCard(
            name="resnet18",
            title="ResNet-18",
            channels=3,
            tile_px=224,
            has_maps=True,
            source="He et al. 2016",
            implementation="napari_mil.networks.registry:make_resnet18",
        ),
    )
}
"""Cards by name.

Adding a network takes a class, a function that makes it, and a card.
"""
