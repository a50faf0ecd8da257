"""List of every encoder, embedded or not; importable without torch."""

from __future__ import annotations

from napari_mil.encoders.cards import ENCODERS, EncoderCard
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name, the embedded ones first.

    The field `needs` of a card is empty where the encoder can run now.
    """
    return {**ENCODERS, **{name: model.card for name, model in FOUNDATION_MODELS.items()}}
