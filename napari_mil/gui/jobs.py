"""Jobs in threads: the one place that turns events into Qt signals."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import FunctionWorker, create_worker

from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import Advanced, CancellationToken, Event, OnEvent, Partial, Started

DRAIN_EVERY_MS = 50
"""Events reach the window at most twenty times a second."""
CLOSING_WAIT_S = 2.0
LAYERS_WAIT_S = 1.0
"""Longest time a thread waits for the window to make layers of what it told."""

Work = Callable[[OnEvent, CancellationToken], Any]


class Job(QObject):
    """One running piece of work. `ended` comes exactly once, after `succeeded`, `failed` or `cancelled`."""

    event_happened = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str, str)
    """(one sentence, details; details are empty where an input is at fault)."""
    cancelled = Signal()
    ended = Signal()

    def __init__(self, work: Work, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.token = CancellationToken()
        self._work = work
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._layers_made: set[type[Event]] = set()
        self._drained, self._over, self._begun = threading.Event(), threading.Event(), False
        self._timer = QTimer(self)
        self._timer.setInterval(DRAIN_EVERY_MS)
        self._timer.timeout.connect(self._drain)
        self._worker: FunctionWorker = create_worker(self._run, _start_thread=False)
        self._worker.returned.connect(self._on_returned)

    def start(self) -> None:
        """Begin in a thread of Qt's pool."""
        if self.token.cancelled:  # before its turn came
            self._over.set()
            self._on_returned(("cancelled", None, ""))
            return
        self._begun = True
        self._timer.start()
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to stop at its next batch."""
        self.token.cancel()
        self._drained.set()

    def wait(self, seconds: float) -> bool:
        """Block until the thread has ended its work, or for so long; say whether it has."""
        return not self._begun or self._over.wait(max(0.0, seconds))

    def _run(self) -> tuple[str, Any, str]:
        """Do the work in the thread; what it came to is returned, never raised."""
        try:
            return self._outcome()
        finally:
            self._over.set()

    def _outcome(self) -> tuple[str, Any, str]:
        try:
            return "succeeded", self._work(self._tell, self.token), ""
        except CancelledError:
            return "cancelled", None, ""
        except NapariMilError as error:
            # What goes wrong after the cancel is its consequence: a slide that was closed, say.
            return ("cancelled", None, "") if self.token.cancelled else ("failed", str(error), "")
        except Exception as error:
            return (
                "failed",
                f"This is a defect of ours: {type(error).__name__}: {error}",
                traceback.format_exc(),
            )

    def _tell(self, event: Event) -> None:
        """Queue an event of the thread; wait for the window where it makes layers of it.

        Making a layer is 0.1 s of Python on the event loop, several times that beside a thread that takes turns with it.
        """
        makes_layers = (
            isinstance(event, (Started, Partial)) and type(event) not in self._layers_made
        )
        if makes_layers:
            self._layers_made.add(type(event))
            self._drained.clear()
        self._events.put(event)
        until = time.monotonic() + LAYERS_WAIT_S
        while (
            makes_layers
            and not self._drained.wait(0.02)
            and not self.token.cancelled
            and time.monotonic() < until
        ):
            continue

    def _drain(self) -> None:
        """Pass events on; of progress and partial answers only the newest."""
        events: list[Event] = []
        while not self._events.empty():
            events.append(self._events.get())
        newest: dict[type, Event] = {
            type(event): event for event in events if isinstance(event, (Advanced, Partial))
        }
        for event in events:
            if newest.get(type(event), event) is event:
                self.event_happened.emit(event)
        if events:
            self._drained.set()

    def _on_returned(self, outcome: tuple[str, Any, str]) -> None:
        self._timer.stop()
        self._drain()
        kind, value, details = outcome
        if kind == "succeeded":
            self.succeeded.emit(value)
        elif kind == "failed":
            self.failed.emit(value, details)
        else:
            self.cancelled.emit()
        self.ended.emit()


class JobRunner(QObject):
    """Owns the jobs of one window: one of a kind at a time."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._running: dict[str, Job] = {}

    def start(self, kind: str, work: Work) -> Job:
        """Make a job of a kind, cancelling the one that runs; connect to its signals, it starts with the next turn of the event loop."""
        self.cancel(kind)
        job = Job(work, self)
        self._running[kind] = job
        job.ended.connect(lambda: self._forget(kind, job))
        QTimer.singleShot(0, job.start)
        return job

    def is_running(self, kind: str) -> bool:
        """Say whether a job of that kind has not ended."""
        return kind in self._running

    def cancel(self, kind: str) -> None:
        """Ask the job of that kind, if any, to stop."""
        if kind in self._running:
            self._running[kind].cancel()

    def close(self) -> None:
        """Cancel everything, silence it, and wait for at most two seconds."""
        jobs, self._running = list(self._running.values()), {}
        for job in jobs:
            job.blockSignals(True)
            job.cancel()
        until = time.monotonic() + CLOSING_WAIT_S
        for job in jobs:
            job.wait(until - time.monotonic())  # a batch longer than that ends by itself, unheard

    def _forget(self, kind: str, job: Job) -> None:
        if self._running.get(kind) is job:
            del self._running[kind]
        job.deleteLater()
