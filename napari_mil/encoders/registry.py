"""Creation of encoders by name."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast, get_args

import torch

from napari_mil.encoders.cards import ENCODERS, EncoderCard
from napari_mil.encoders.catalogue import find_encoder_card
from napari_mil.encoders.encoder import Encoder, Precision
from napari_mil.encoders.foundation_cards import FOUNDATION_MODELS
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
        One of `list_encoders()`, an alias of one, or the folder of an adapted one.
    weights
        File with the weights of an encoder that is not embedded, or folder with one. By default
        the user's folder is searched for ``<name>.safetensors`` (or .pth, .pt, .bin), and the
        weights are downloaded where it has none.
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
        If weights are missing, damaged, or those of another network.
    """
    card = find_encoder_card(name)
    name = card.name
    options = _precision_option(card, precision)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    make = resolve_name(card.implementation)
    has_weights = name in ENCODERS or card.folder is not None
    if not has_weights:
        given = None if weights is None else Path(weights)
        return cast("Encoder", make(FOUNDATION_MODELS[name], given, device, threads))
    if weights is not None:
        how = "embedded" if card.folder is None else "adapted"
        raise UnknownNameError(
            f"The encoder {name!r} is {how} and takes no weights; leave out {Path(weights).name}."
        )
    if card.folder is not None:
        return cast("Encoder", make.open(card.folder, device, threads, **options))
    return cast("Encoder", make(device, threads, **options))


def _precision_option(card: EncoderCard, precision: Precision) -> dict[str, Any]:
    """Return the option of an encoder that has two precisions; refuse what it has not."""
    if precision not in get_args(Precision):
        raise OptionError(
            f"There is no precision {precision!r}; choose one of {', '.join(get_args(Precision))}."
        )
    if card.tolerance:
        return {"precision": precision}
    if precision == "bfloat16":
        raise OptionError(f"The encoder {card.name} has float32 alone; leave out the precision.")
    return {}
