"""Encoders that stay loaded between runs."""

from __future__ import annotations

import threading

import torch

from napari_mil.encoders import Encoder, create_encoder

_lock = threading.Lock()
_loaded: dict[torch.device, tuple[tuple[str, int | None], Encoder]] = {}
"""Name and threads of the last encoder of each device, and the encoder."""


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
    wanted = (name, threads)
    with _lock:
        kept = _loaded.get(device)
        # An encoder may have moved to the CPU where a GPU was full.
        if kept is not None and kept[0] == wanted and kept[1].device == device:
            return kept[1]
        # Forgotten first: two may not fit into the memory of a GPU.
        _loaded.pop(device, None)
        encoder = create_encoder(name, device=device, threads=threads)
        _loaded[device] = (wanted, encoder)
        return encoder
