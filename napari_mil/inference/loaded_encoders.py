"""Encoders that stay loaded between runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import partial

import torch

from napari_mil.encoders import Encoder, create_encoder
from napari_mil.encoders.adapted import AdaptedEncoder
from napari_mil.encoders.cards import EncoderCard
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk

_lock = threading.Lock()
_loaded: dict[torch.device, tuple[Hashable, Encoder]] = {}
"""What the last encoder of each device was asked for by, and the encoder."""


def loaded_encoder(name: str, device: torch.device, threads: int | None = None) -> Encoder:
    """Return an encoder, the one of the last run where that was the same.

    One is kept for each device; another takes its place. Encoders may be used by several threads.

    Parameters
    ----------
    name, device, threads
        See `create_encoder`.

    Raises
    ------
    NapariMilError
        See `create_encoder`.
    """
    make = partial(create_encoder, name, device=device, threads=threads)
    return _kept((name, threads), device, make)


def loaded_adapted_encoder(
    card: EncoderCard,
    trunk: EfficientNetLite0Trunk,
    fingerprint: str,
    device: torch.device,
    threads: int | None = None,
) -> Encoder:
    """Return an adapted encoder, the one of the last run where that was the same.

    Parameters
    ----------
    card, trunk
        The encoder; see `AdaptedEncoder`.
    fingerprint
        Its fingerprint, by which it is known again.
    device, threads
        See `create_encoder`.
    """
    make = partial(AdaptedEncoder, card, trunk, device, threads)
    return _kept((card.name, fingerprint, threads), device, make)


def _kept(wanted: Hashable, device: torch.device, make: Callable[[], Encoder]) -> Encoder:
    """Return the encoder of a device where it is the wanted one, or make that."""
    with _lock:
        kept = _loaded.get(device)
        # An encoder may have moved to the CPU where a GPU was full.
        if kept is not None and kept[0] == wanted and kept[1].device == device:
            return kept[1]
        # Forgotten first: two may not fit into the memory of a GPU.
        _loaded.pop(device, None)
        encoder = make()
        _loaded[device] = (wanted, encoder)
        return encoder
