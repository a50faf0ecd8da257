"""Deterministic computing, and the seeds of epochs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch


class HasThreads(Protocol):
    """Configuration that says how many cores may be used."""

    @property
    def threads(self) -> int | None:
        """Cores on the CPU, or None."""


@contextmanager
def deterministic(config: HasThreads, device: torch.device) -> Iterator[None]:
    """Compute deterministically inside the context.

    The number of threads is fixed on the CPU, and deterministic kernels are used on a GPU. The
    earlier settings are restored afterwards.
    """
    threads = torch.get_num_threads()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    filling: Any = torch.utils.deterministic  # a module of properties
    filled = filling.fill_uninitialized_memory
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(config.threads or threads)
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Uninitialised memory is never read, so that filling it would only cost time.
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        filling.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(was_deterministic)
        torch.set_num_threads(threads)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of torch at the start of an epoch."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
