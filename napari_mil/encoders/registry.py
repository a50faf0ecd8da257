"""Encoders by name; adding one is a class and a line here."""

from __future__ import annotations

from pathlib import Path

import torch

from napari_mil.encoders.encoder import Encoder, EncoderCard
from napari_mil.encoders.texture import TextureEncoder
from napari_mil.errors import UnknownNameError

ENCODERS: dict[str, type[TextureEncoder]] = {TextureEncoder.card.name: TextureEncoder}


def list_encoders() -> dict[str, EncoderCard]:
    """Return the card of every encoder by name; `card.needs` is empty where it can run now."""
    return {name: encoder.card for name, encoder in ENCODERS.items()}


def create_encoder(
    name: str,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
) -> Encoder:
    """Make an encoder ready to run.

    Parameters
    ----------
    name
        One of `list_encoders()`.
    weights
        File with the weights of a learned encoder that does not ship them; none of the embedded ones takes any.
    device
        ``"auto"`` (the GPU where there is one), ``"cpu"``, ``"cuda"``, or a torch device.
    threads
        Cores to use on the CPU; None is all of them.

    Raises
    ------
    UnknownNameError
        If there is no such encoder, or it takes no weights.
    """
    if name not in ENCODERS:
        raise UnknownNameError(
            f"There is no encoder named {name!r}; choose one of {', '.join(ENCODERS)}."
        )
    if weights is not None:
        raise UnknownNameError(
            f"The encoder {name!r} is computed, not learned; leave out the weights {Path(weights).name}."
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return ENCODERS[name](torch.device(device), threads)
