"""Cards of the encoders, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and scale by which pixels in 0 ... 1 become the input of a network."""

    mean: tuple[float, float, float]
    """Of R, G and B."""
    scale: tuple[float, float, float]
    """Divisor of R, G and B."""


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """Description of an encoder for choosing one."""

    name: str
    """Name in `create_encoder`."""
    title: str
    """What it computes, in words."""
    dim: int
    """Length of a feature vector."""
    tile_px: int
    """Side in pixels of the tiles it was made for."""
    mpp: float
    """Micrometres per pixel that it was made for."""
    source: str
    """Paper or model card it comes from."""
    licence: str
    """Licence of its code and weights."""
    implementation: str
    """Dotted path of its class, ``module:class``."""
    smallest_tile: int = 1
    """Least side of a tile in pixels."""
    needs: str = ""
    """What is missing before it can run, or an empty string.

    It may be a download, a licence or an extra of the package.
    """
    normalisation: Normalisation | None = None
    """How pixels enter the network; None where they are not normalised."""
    embedding: str = ""
    """What a vector is made of, in words."""
    tolerance: float = 0.0
    """Largest root-mean-square deviation of a feature in bfloat16 from float32.

    In standard deviations of the feature over tissue tiles; 0 where there is float32 alone.
    """
    base: str = ""
    """Embedded encoder that it was adapted from, or an empty string."""
    folder: Path | None = None
    """Folder with the weights of an adapted encoder; None of every other."""


EFFICIENTNET_LITE0 = EncoderCard(
    name="efficientnet-lite0",
    title="EfficientNet-Lite0, cut after block 10",
    dim=304,
    tile_px=224,
    mpp=0.5,
    source="Tan & Le 2019; weights trained on ImageNet, docs/encoders.md",
    licence="BSD-3-Clause; weights Apache-2.0",
    implementation="napari_mil.encoders.efficientnet_lite:EfficientNetLite0Encoder",
    smallest_tile=32,
    normalisation=Normalisation((127 / 255,) * 3, (128 / 255,) * 3),
    embedding="means of the maps of blocks 4 and 10, over the tile and over its middle half",
    tolerance=0.3,
)
TEXTURE = EncoderCard(
    name="texture",
    title="texture statistics",
    dim=78,
    tile_px=224,
    mpp=0.5,
    source="computed, not learned: Ruifrok & Johnston 2001; Ojala et al. 2002",
    licence="BSD-3-Clause",
    implementation="napari_mil.encoders.texture:TextureEncoder",
    smallest_tile=8,
    embedding="78 statistics of colour, stain and texture, docs/texture.md",
)

ENCODERS: dict[str, EncoderCard] = {card.name: card for card in (EFFICIENTNET_LITE0, TEXTURE)}
"""Cards of the embedded encoders by name, the default first.

Adding an encoder takes a class and a card.
"""
DEFAULT_ENCODER = EFFICIENTNET_LITE0.name
"""Encoder of a new classifier unless another one is wanted."""
