"""Heartbeat of an event loop: how long it is held up while something happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

BEAT_MS = 5
LEAD_S = 0.1
"""Time that the heart beats before an act."""
TRAIL_S = 0.6
"""Time that the heart beats after an act, for what follows from it: drawing, thumbnails."""


@dataclass(frozen=True)
class Stalls:
    """Gaps between the beats of a heart."""

    beats: int
    p95: float
    p99: float
    longest: float
    over100: int
    """Gaps over 100 ms."""
    seconds: float = 0.0
    """From the act until it was done."""

    def as_dict(self) -> dict[str, float]:
        """Return the fields, for JSON."""
        return asdict(self)


class Heart:
    """A timer of the event loop that notes when it came.

    Parameters
    ----------
    driver
        Turns the event loop.
    """

    def __init__(self, driver: Any) -> None:
        from qtpy.QtCore import QTimer

        self._driver = driver
        self._beats: list[float] = []
        self._timer = QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(lambda: self._beats.append(time.perf_counter()))

    def start(self) -> None:
        """Begin to beat."""
        self._beats[:] = [time.perf_counter()]
        self._timer.start()

    def stop(self, seconds: float = 0.0) -> Stalls:
        """Stop, and return the gaps between the beats."""
        self._timer.stop()
        gaps = np.diff([*self._beats, time.perf_counter()]) * 1000
        return Stalls(
            len(gaps),
            float(np.percentile(gaps, 95)),
            float(np.percentile(gaps, 99)),
            float(gaps.max()),
            int((gaps > 100).sum()),
            seconds,
        )

    def during(
        self, act: Callable[[], object], is_done: Callable[[], bool], lead: float = LEAD_S
    ) -> Stalls:
        """Beat while something is done and shown; the event loop calls the act."""
        from qtpy.QtCore import QTimer

        began: list[float] = []

        def begin() -> None:
            began.append(time.perf_counter())
            act()

        self.start()
        self._driver.spin(lead)
        QTimer.singleShot(0, begin)
        self._driver.wait_until(lambda: bool(began), "the beginning")
        self._driver.wait_until(is_done, "the end")
        seconds = time.perf_counter() - began[0]
        self._driver.spin(TRAIL_S)
        return self.stop(seconds)

    def at_rest(self, seconds: float) -> Stalls:
        """Beat while nothing is done."""
        self.start()
        self._driver.spin(seconds)
        return self.stop(seconds)


class Settled:
    """Whether something has been true for a while.

    Parameters
    ----------
    condition
        What has to be true.
    seconds
        For how long.
    """

    def __init__(self, condition: Callable[[], bool], seconds: float) -> None:
        self._condition = condition
        self._seconds = seconds
        self._since: float | None = None

    def __call__(self) -> bool:
        """Ask once more."""
        if not self._condition():
            self._since = None
            return False
        if self._since is None:
            self._since = time.perf_counter()
        return time.perf_counter() - self._since >= self._seconds
