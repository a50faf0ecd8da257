"""Threads that each run torch on one core."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch


def single_threaded_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Make a pool of threads that each run torch on one core.

    torch's own threads wait for each other after every small operation, which is several times
    slower on a machine that is also busy otherwise (with a window that draws, for example). The
    setting of every other thread stays as it is.

    Parameters
    ----------
    threads
        Number of threads.
    name
        Beginning of their names.
    """
    setting = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, name, _use_one_core)
    # The barrier lets all threads set their number before the setting is restored.
    barrier = threading.Barrier(threads)
    list(pool.map(lambda _: barrier.wait(), range(threads)))
    torch.set_num_threads(setting)
    return pool


def _use_one_core() -> None:
    """Run torch on one core in this thread."""
    torch.set_num_threads(1)
    # A thread takes over the last setting of any thread when it first computes, or asks; asking
    # now keeps it from taking the one that is restored for the others.
    torch.get_num_threads()
