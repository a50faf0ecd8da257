"""Events of a running job, and the token that stops it.

Qt is not used here: `gui/jobs.py` turns events into signals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mil.errors import CancelledError


@dataclass(frozen=True, slots=True)
class Started:
    """The plan is made and work begins.

    The grid lets a view lay out its overlay before any value is known.
    """

    total: int
    """Number of units of work."""
    what: str = "tiles"
    """Name of a unit, in the plural."""
    grid: Any = None
    """`bags.TileGrid` of the tiles, or None."""
    tissue: Any = None
    """`bags.TissueMask` the grid lies on, or None."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """Units of work were finished."""

    done: int
    """Units finished so far, out of `Started.total`."""
    rate: float
    """Units per second over the last seconds."""
    eta: float | None
    """Seconds left; None while unknown."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Values of some instances before the answer is complete."""

    indices: np.ndarray
    """int (n,): the instances."""
    values: Mapping[str, np.ndarray]
    """(n,) by column: ``attention``, ``score_<class>``."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Something less than asked for is used instead."""

    message: str
    """One sentence: what is used and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Watching:
    """Tiles of the bag that is watched during training."""

    grid: Any
    """`bags.TileGrid`; None for a bag that is no slide."""
    part: str
    """``training``, ``validation`` or ``test`` bag, or ``not in the cohort``."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Answer of a model in training for the watched bag."""

    values: np.ndarray
    """float32 (N,): relevance of each instance, in [0, 1].

    Probability of the positive class, or the rank of its attention.
    """
    what: str
    """``score``, ``attention`` or ``similarity``."""
    probabilities: np.ndarray
    """float32 (C,): one per class."""
    masks: Mapping[str, np.ndarray]
    """bool (N,) by kind, where a mining strategy masks."""


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of a training run begins."""

    name: str
    """What is trained in it, in a word."""
    number: int
    """Counted from 1."""
    stages: int
    """Number of stages of the run."""
    epochs: int
    """Epochs at most in it."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochEnded:
    """One epoch of training is over and safe on disk."""

    epoch: int
    """Counted from 1."""
    figures: Mapping[str, float | None]
    """Row of ``history.csv``."""
    watched: Watched | None = None
    """Answer for the watched bag, or None."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The job is done."""

    result: Any
    """What the function of the job also returns."""


Event = Started | Advanced | Partial | Fallback | Watching | StageStarted | EpochEnded | Finished
OnEvent = Callable[[Event], None]


class CancellationToken:
    """Cancels or pauses a job from another thread.

    The job asks the token between units of work.
    """

    __slots__ = ("_cancelled", "_running")

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()

    def cancel(self) -> None:
        """Ask the job to stop; calling it again changes nothing."""
        self._cancelled.set()
        # A paused job has to wake up to stop.
        self._running.set()

    def pause(self) -> None:
        """Let the job wait where it next asks."""
        if not self._cancelled.is_set():
            self._running.clear()

    def resume(self) -> None:
        """Let a paused job go on."""
        self._running.set()

    @property
    def paused(self) -> bool:
        """Whether the job waits where it next asks."""
        return not self._running.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """Wait while paused, then raise if cancelled.

        Raises
        ------
        CancelledError
            If `cancel` was called.
        """
        self._running.wait()
        if self._cancelled.is_set():
            raise CancelledError


def ignore(event: Event) -> None:
    """Do nothing: the `on_event` of callers without a listener."""
