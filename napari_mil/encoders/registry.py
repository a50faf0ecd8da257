"""Creation of encoders by name."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast, get_args

import torch

from napari_mil.encoders.cards import ENCODERS
from napari_mil.encoders.encoder import Encoder, Precision
from napari_mil.errors import OptionError, UnknownNameError


def create_encoder(
    name: str,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
    *,
    precision: Precision = "auto",
) -> Encoder:
    """Make an encoder ready to run.

    Parameters
    ----------
    name
        One of `list_encoders()`.
    weights
        File with the weights of a learned encoder that is not embedded; no encoder takes one yet.
    device
        ``"auto"`` (the GPU where there is one), ``"cpu"``, ``"cuda"``, or a torch device.
    threads
        Cores to use on the CPU; None takes all of them.
    precision
        ``"auto"`` (bfloat16 where the device has units for it and the card states a tolerance),
        ``"float32"`` or ``"bfloat16"``.

    Raises
    ------
    UnknownNameError
        If there is no such encoder, or it takes no weights.
    OptionError
        If the encoder does not have that precision.
    CheckpointError
        If weights are missing or damaged.
    """
    if name not in ENCODERS:
        raise UnknownNameError(
            f"There is no encoder named {name!r}; choose one of {', '.join(ENCODERS)}."
        )
    card = ENCODERS[name]
    if weights is not None:
        raise UnknownNameError(
            f"The encoder {name!r} is embedded, with its own weights or none; "
            f"leave out the weights {Path(weights).name}."
        )
    if precision not in get_args(Precision):
        raise OptionError(
            f"There is no precision {precision!r}; choose one of {', '.join(get_args(Precision))}."
        )
    options: dict[str, Any] = {}
    if card.tolerance:
        options["precision"] = precision
    elif precision == "bfloat16":
        raise OptionError(f"The encoder {name} has float32 alone; leave out the precision.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    make = resolve_name(card.implementation)
    return cast("Encoder", make(torch.device(device), threads, **options))
