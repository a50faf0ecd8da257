"""Creation of encoders by name."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import cast

import torch

from napari_mil.encoders.cards import ENCODERS
from napari_mil.encoders.encoder import Encoder
from napari_mil.errors import UnknownNameError


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
        File with the weights of a learned encoder that is not shipped; no encoder takes one yet.
    device
        ``"auto"`` (the GPU where there is one), ``"cpu"``, ``"cuda"``, or a torch device.
    threads
        Cores to use on the CPU; None takes all of them.

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
            f"The encoder {name!r} is computed, not learned; "
            f"leave out the weights {Path(weights).name}."
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    make = resolve_name(ENCODERS[name].implementation)
    return cast("Encoder", make(torch.device(device), threads))
