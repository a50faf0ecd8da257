"""Cards of the encoders: what a user can choose, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What a user needs to know before choosing an encoder."""

    name: str
    title: str
    """What it computes, in a few words."""
    dim: int
    """Length of a feature vector."""
    tile_px: int
    """Side of a tile that it was made for, in pixels."""
    mpp: float
    """Micrometres per pixel that it was made for."""
    source: str
    """Paper or model card it comes from."""
    licence: str
    implementation: str
    """Dotted path of its class, ``module:class``."""
    smallest_tile: int = 1
    """Least side of a tile in pixels."""
    needs: str = ""
    """What is missing before it can run: a download, a licence, an extra; empty if embedded."""


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
"""Cards by name; adding an encoder is a class and a card."""


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name; `card.needs` is empty where it can run now."""
    return dict(ENCODERS)
