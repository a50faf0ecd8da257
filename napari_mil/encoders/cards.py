"""Cards of the encoders, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass


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
)

ENCODERS: dict[str, EncoderCard] = {card.name: card for card in (TEXTURE,)}
"""Cards by name; adding an encoder takes a class and a card."""


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name.

    The field `needs` of a card is empty where the encoder can run now.
    """
    return dict(ENCODERS)
