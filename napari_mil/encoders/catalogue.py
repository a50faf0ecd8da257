"""List of every encoder, embedded or not; importable without torch."""

from __future__ import annotations

from napari_mil.encoders.cards import ENCODERS, EncoderCard
from napari_mil.encoders.foundation_cards import ALIASES, FOUNDATION_MODELS
from napari_mil.errors import UnknownNameError


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name, the embedded ones first.

    The field `needs` of a card is empty where the encoder can run now.
    """
    return {**ENCODERS, **{name: model.card for name, model in FOUNDATION_MODELS.items()}}


def find_encoder_card(name: str) -> EncoderCard:
    """Return the card of an encoder by its name or an alias.

    Raises
    ------
    UnknownNameError
        If there is no such encoder.
    """
    cards = list_encoders()
    card = cards.get(ALIASES.get(name, name))
    if card is None:
        raise UnknownNameError(
            f"There is no encoder named {name!r}; choose one of {', '.join(cards)}."
        )
    return card
