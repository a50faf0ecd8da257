"""Which device runs, and what happens when its memory is full."""

from __future__ import annotations

import numpy as np
import torch

from napari_mil.encoders import Encoder
from napari_mil.errors import UnknownNameError
from napari_mil.events import Fallback, OnEvent


def choose_device(wanted: str, on_event: OnEvent) -> torch.device:
    """Turn ``"auto"``, ``"cpu"`` or ``"cuda"`` into a device; a missing GPU becomes the CPU and is said."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        on_event(Fallback("No GPU is available here; the CPU is used instead."))
        return torch.device("cpu")
    try:
        return torch.device(wanted)
    except RuntimeError:
        raise UnknownNameError(
            f"There is no device named {wanted!r}; choose auto, cpu or cuda."
        ) from None


class ForgivingEncoder:
    """An encoder that halves its batch when the device's memory is full, then moves to the CPU; each is said once."""

    def __init__(self, encoder: Encoder, on_event: OnEvent) -> None:
        self.encoder = encoder
        self._on_event = on_event
        self._largest: int | None = None
        self.fallbacks: list[str] = []

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode uint8 (B, H, W, 3) to float32 (B, dim), in parts where it must be."""
        part = min(self._largest or len(tiles), len(tiles))
        try:
            return np.concatenate(
                [self.encoder.encode(tiles[k : k + part]) for k in range(0, len(tiles), part)]
            )
        except torch.OutOfMemoryError:
            if self.encoder.device.type == "cpu":
                raise
        # Outside the except block, so that the traceback no longer holds the failed batch's tensors.
        torch.cuda.empty_cache()
        if part > 1:
            self._say("The GPU's memory is full; smaller batches are used.", largest=part // 2)
        else:
            self.encoder = self.encoder.to(torch.device("cpu"))
            self._say(
                "The GPU's memory is full even for one tile; the CPU is used instead.", largest=None
            )
        return self.encode(tiles)

    def _say(self, message: str, largest: int | None) -> None:
        self._largest = largest
        if message not in self.fallbacks:
            self.fallbacks.append(message)
            self._on_event(Fallback(message))
