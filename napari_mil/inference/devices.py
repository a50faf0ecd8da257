"""Choosing a device, and encoding when its memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from napari_mil.encoders import Encoder
from napari_mil.errors import UnknownNameError
from napari_mil.events import Fallback, OnEvent

FULL_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Words of errors of CUDA, cuBLAS and cuDNN where memory is full."""


def choose_device(wanted: str, on_event: OnEvent) -> torch.device:
    """Return the device of a name; without a GPU, the CPU.

    Parameters
    ----------
    wanted
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<k>"``.
    on_event
        Told by a `Fallback` that a GPU which was asked for is missing.

    Raises
    ------
    UnknownNameError
        If there is no device of that name.
    """
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


def is_memory_full(error: RuntimeError) -> bool:
    """Say whether a device had no memory left.

    torch has a type for its own allocations; CUDA's libraries report theirs in words alone.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in FULL_MEMORY)


@dataclass
class Memory:
    """Memory of a device around some work, in bytes; 0 on the CPU, whose work needs no measure."""

    free: int = 0
    """Free before the work."""
    taken: int = 0
    """Taken by the work at its peak."""


@contextmanager
def measured_memory(device: torch.device) -> Iterator[Memory]:
    """Measure the memory of a GPU that the work in the context takes."""
    memory = Memory()
    if device.type != "cuda" or not torch.cuda.is_available():
        yield memory
        return
    # What torch holds and does not use is free as well.
    before = torch.cuda.memory_allocated(device)
    memory.free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - before
    torch.cuda.reset_peak_memory_stats(device)
    yield memory
    memory.taken = max(0, torch.cuda.max_memory_allocated(device) - before)


class ForgivingEncoder:
    """Encoder that copes with a device whose memory is full.

    It halves its batch, and moves to the CPU where even one tile does not fit. Each is told once.

    Parameters
    ----------
    encoder
        Does the encoding.
    on_event
        Told by a `Fallback`.
    """

    def __init__(self, encoder: Encoder, on_event: OnEvent) -> None:
        self.encoder = encoder
        self._on_event = on_event
        self._largest_batch: int | None = None
        self.fallbacks: list[str] = []
        """Messages of the fallbacks so far."""

    @property
    def device(self) -> torch.device:
        """Device in use now."""
        return self.encoder.device

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode tiles, in smaller batches where memory is full.

        Parameters
        ----------
        tiles
            uint8 (B, H, W, 3).

        Returns
        -------
        np.ndarray
            float32 (B, dim), or (B, C, h, w) of an encoder that gives maps.
        """
        size = min(self._largest_batch or len(tiles), len(tiles))
        try:
            batches = [tiles[k : k + size] for k in range(0, len(tiles), size)]
            return np.concatenate([self.encoder.encode(batch) for batch in batches])
        except RuntimeError as error:
            if self.encoder.device.type == "cpu" or not is_memory_full(error):
                raise
        # Outside the except block, so that the traceback no longer holds the batch's tensors.
        torch.cuda.empty_cache()
        if size > 1:
            self._largest_batch = size // 2
            self._tell("The GPU's memory is full; smaller batches are used.")
        else:
            self._largest_batch = None
            self.encoder = self.encoder.to(torch.device("cpu"))
            self._tell("The GPU's memory is full even for one tile; the CPU is used instead.")
        return self.encode(tiles)

    def _tell(self, message: str) -> None:
        if message not in self.fallbacks:
            self.fallbacks.append(message)
            self._on_event(Fallback(message))
