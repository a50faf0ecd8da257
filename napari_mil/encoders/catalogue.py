"""List of every encoder, embedded or not; importable without torch."""

from __future__ import annotations

from pathlib import Path

from napari_mil.encoders.adapted_cards import (
    adapted_encoder_at,
    own_encoders,
    read_adapted_card,
)
from napari_mil.encoders.cards import ENCODERS, EncoderCard
from napari_mil.encoders.foundation_cards import ALIASES, FOUNDATION_MODELS
from napari_mil.errors import UnknownNameError


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name.

    Embedded ones come first, then the user's own adapted ones, then foundation models. The field
    `needs` of a card is empty where the encoder can run now.
    """
    known = {**ENCODERS, **{name: model.card for name, model in FOUNDATION_MODELS.items()}}
    own = {name: each.card for name, each in own_encoders().items() if name not in known}
    return {**ENCODERS, **own, **known}


def find_encoder_card(name: str) -> EncoderCard:
    """Return the card of an encoder by its name, an alias, or the folder of an adapted one.

    Raises
    ------
    UnknownNameError
        If there is no such encoder.
    CheckpointError
        If the folder holds a damaged one.
    """
    cards = list_encoders()
    card = cards.get(ALIASES.get(name, name))
    if card is not None:
        return card
    folder = adapted_encoder_at(Path(name).expanduser())
    if folder is not None:
        return read_adapted_card(folder).card
    raise UnknownNameError(
        f"There is no encoder named {name!r}; choose one of {', '.join(cards)}, "
        "or give the folder of an adapted one."
    )
