"""Jobs in threads: the one place that turns events into Qt signals."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import Advanced, CancellationToken, Partial
from napari_mil.gui.model.words import REMEDIES

DRAIN_EVERY_MS = 50
"""Events reach the window at most twenty times a second."""
CLOSING_WAIT_S = 1.5
"""Longest time that closing a window waits for its jobs."""
ABANDONED_AFTER_MS = 400
"""Time that cancelled work has to stop; then it is left to itself, unheard."""

Tell = Callable[[Any], None]
Work = Callable[[Tell, CancellationToken], Any]
Together = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class _Outcome:
    """How a job ended."""

    kind: str
    """``succeeded``, ``failed`` or ``cancelled``."""
    value: Any = None
    details: str = ""


class Job(QObject):
    """One running piece of work.

    `ended` comes exactly once, after `succeeded`, `failed` or `cancelled`.
    """

    event_happened = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str, str)
    """(one sentence, details; details are empty where an input is at fault)."""
    cancelled = Signal()
    ended = Signal()

    def __init__(
        self,
        kind: str,
        work: Work,
        parent: QObject | None = None,
        *,
        patient: bool = False,
        together: Together = nullcontext,
    ) -> None:
        super().__init__(parent)
        self.kind = kind
        self._patient = patient
        self._together = together
        self._ended = False
        self.token = CancellationToken()
        self._work = work
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._timer = QTimer(self)
        self._timer.setInterval(DRAIN_EVERY_MS)
        self._timer.timeout.connect(self._drain)
        # A daemon: work that does not end does not keep the program from ending.
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"job-{kind}")

    def start(self) -> None:
        """Begin in a thread of its own."""
        if self.token.cancelled:
            self._end(_Outcome("cancelled"))
            return
        self._timer.start()
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to stop at its next batch; what does not is left to itself."""
        self.token.cancel()
        if not self._patient:
            QTimer.singleShot(ABANDONED_AFTER_MS, self._abandon)

    def _abandon(self) -> None:
        if not self._ended:
            self._end(_Outcome("cancelled"))

    def wait(self, seconds: float) -> bool:
        """Block until the thread has ended, or for so long; say whether it has."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _run(self) -> None:
        """Do the work in the thread; what it came to is told, never raised."""
        self._heard.put(self._outcome())

    def _outcome(self) -> _Outcome:
        try:
            return _Outcome("succeeded", self._work(self._heard.put, self.token))
        except CancelledError:
            return _Outcome("cancelled")
        except NapariMilError as error:
            if self.token.cancelled:
                # A consequence of the cancel: a slide that was closed, say.
                return _Outcome("cancelled")
            return _Outcome("failed", error.worded(REMEDIES))
        except Exception as error:
            sentence = f"This is a defect of napari-mil: {type(error).__name__}: {error}"
            return _Outcome("failed", sentence, traceback.format_exc())

    def _drain(self) -> None:
        """Pass events on together; of progress and partial answers only the newest."""
        events: list[Any] = []
        while not self._heard.empty():
            events.append(self._heard.get())
        newest = {type(event): event for event in events if isinstance(event, (Advanced, Partial))}
        with self._together():
            for event in events:
                if isinstance(event, _Outcome):
                    self._end(event)
                elif newest.get(type(event), event) is event:
                    self.event_happened.emit(event)

    def _end(self, outcome: _Outcome) -> None:
        if self._ended:
            return
        self._ended = True
        self._timer.stop()
        if outcome.kind == "succeeded":
            self.succeeded.emit(outcome.value)
        elif outcome.kind == "failed":
            self.failed.emit(outcome.value, outcome.details)
        else:
            self.cancelled.emit()
        self.ended.emit()


class JobRunner(QObject):
    """Owns the jobs of one window: one of a kind at a time.

    Parameters
    ----------
    parent
        What they end with.
    together
        Context in which the events of one turn are passed on, so that what they change is shown
        once.
    """

    def __init__(self, parent: QObject | None = None, together: Together = nullcontext) -> None:
        super().__init__(parent)
        self._together = together
        self._running: dict[str, Job] = {}
        self._abandoned: list[Job] = []
        self.left_behind = False
        """Whether work was still under way when the window closed."""

    def start(self, kind: str, work: Work, *, patient: bool = False) -> Job:
        """Make a job of a kind, cancelling the one that runs.

        Connect to its signals: it starts with the next turn of the event loop. A patient job that
        is cancelled is waited for.
        """
        self.cancel(kind)
        job = Job(kind, work, self, patient=patient, together=self._together)
        self._running[kind] = job
        job.ended.connect(lambda: self._forget(kind, job))
        QTimer.singleShot(0, job.start)
        return job

    def is_running(self, kind: str) -> bool:
        """Say whether a job of that kind has not ended."""
        return kind in self._running

    def current(self, kind: str) -> Job | None:
        """Return the job of that kind that has not ended."""
        return self._running.get(kind)

    @property
    def busy(self) -> bool:
        """Whether any job has not ended."""
        return bool(self._running)

    def cancel(self, kind: str) -> None:
        """Ask the job of that kind, if any, to stop."""
        if kind in self._running:
            self._running[kind].cancel()

    def close(self) -> bool:
        """Cancel everything, silence it, and wait for a moment; say whether all has ended.

        Cancelled work that was left to itself is waited for too: a thread that still works while
        the interpreter ends can bring it down.
        """
        jobs = [*self._running.values(), *self._abandoned]
        self._running = {}
        self._abandoned = []
        for job in jobs:
            job.blockSignals(True)
            job.cancel()
        until = time.monotonic() + CLOSING_WAIT_S
        ended = [job.wait(until - time.monotonic()) for job in jobs]
        self.left_behind |= not all(ended)
        return all(ended)

    def _forget(self, kind: str, job: Job) -> None:
        if self._running.get(kind) is job:
            del self._running[kind]
        self._abandoned.append(job)
        finished = [other for other in self._abandoned if other.wait(0)]
        self._abandoned = [other for other in self._abandoned if other not in finished]
        for other in finished:
            other.deleteLater()
