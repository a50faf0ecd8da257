"""What a running job tells, and how it is stopped (no Qt: `gui/jobs.py` alone turns these into signals)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mil.errors import CancelledError


@dataclass(frozen=True, slots=True)
class Started:
    """The plan is made; work begins. The grid lets a view lay out its overlay before any value is known."""

    total: int
    what: str = "tiles"
    grid: Any = None
    """`bags.TileGrid` of the tiles, where there is one."""
    tissue: Any = None
    """`bags.TissueMask` the grid lies on, where there is one."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """`done` of the total; `rate` per second over the last seconds; `eta` in seconds, None while unknown."""

    done: int
    rate: float
    eta: float | None


@dataclass(frozen=True, slots=True)
class Partial:
    """First values for some instances: `values` maps a column (``attention``, ``score_<class>``) to an array like `indices`."""

    indices: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Fallback:
    """Something less than asked for is used instead; the message says what and why."""

    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Watching:
    """Which tiles the bag has that somebody watches."""

    grid: Any
    """`bags.TileGrid`; None for a bag that is no slide."""
    part: str
    """``training``, ``validation`` or ``test`` bag, or ``not in the cohort``."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What a model in training says about the one bag that somebody watches."""

    values: np.ndarray
    """float32 (N,): relevance of each instance, in [0, 1]: probability of the positive class, or the rank of its attention."""
    what: str
    """``score``, ``attention`` or ``similarity``."""
    probabilities: np.ndarray
    """float32 (C,)."""
    masks: Mapping[str, np.ndarray]
    """bool (N,) by kind, where a mining strategy masks."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochEnded:
    """One epoch of training is over and safe on disk."""

    epoch: int
    """Counted from 1."""
    figures: Mapping[str, float | None]
    """The row of ``history.csv``."""
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The job is done; `result` is what its function also returns."""

    result: Any


Event = Started | Advanced | Partial | Fallback | Watching | EpochEnded | Finished
OnEvent = Callable[[Event], None]


class CancellationToken:
    """Set once by whoever wants the work to stop; asked by the work between units."""

    __slots__ = ("_event", "_go_on")

    def __init__(self) -> None:
        self._event, self._go_on = threading.Event(), threading.Event()
        self._go_on.set()

    def cancel(self) -> None:
        """Ask the work to stop; calling it again changes nothing."""
        self._event.set()
        self._go_on.set()

    def pause(self) -> None:
        """Let the work wait where it next asks."""
        if not self._event.is_set():
            self._go_on.clear()

    def resume(self) -> None:
        """Let work that waits go on."""
        self._go_on.set()

    @property
    def paused(self) -> bool:
        """Whether work waits where it next asks."""
        return not self._go_on.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the work to stop."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Leave the work by `CancelledError` if somebody asked for it; wait while it is paused."""
        self._go_on.wait()
        if self._event.is_set():
            raise CancelledError("Cancelled; nothing was written.")


def ignore(event: Event) -> None:
    """Listen to nothing: the `on_event` of a caller who only wants the result."""
