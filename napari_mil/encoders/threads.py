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
    pool = ThreadPoolExecutor(threads, name, torch.set_num_threads, (1,))
    # The barrier lets all threads begin, and so set their number, before the setting is restored:
    # torch gives the last setting to threads that begin later.
    barrier = threading.Barrier(threads)
    list(pool.map(lambda _: barrier.wait(), range(threads)))
    torch.set_num_threads(setting)
    return pool
