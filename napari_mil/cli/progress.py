"""Progress on stderr: a bar with rate and remaining time on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from napari_mil.cli.output import say
from napari_mil.events import Advanced, Event, Fallback, Finished, Started

PLAIN_LINE_EVERY = 5.0
"""Seconds between two plain lines."""


class ProgressPrinter:
    """Listens to one job at a time."""

    def __init__(self, name: str, quiet: bool = False) -> None:
        self._name, self.quiet = name, quiet
        self._bar: tqdm[None] | None = None
        self._total = 0
        self._next_line = 0.0

    def __call__(self, event: Event) -> None:
        """Print what the event says."""
        if isinstance(event, Fallback):
            self.say(f"{self._name}: {event.message}")
        elif self.quiet:
            return
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, Finished):
            self.close()

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _start(self, event: Started) -> None:
        self._total = event.total
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=event.total, desc=self._name, unit=event.what.rstrip("s"), leave=False
            )
        else:
            self.say(
                f"{self._name}: {event.total} {event.what if event.total != 1 else event.what.rstrip('s')}"
            )
            self._next_line = time.monotonic() + PLAIN_LINE_EVERY

    def _advance(self, event: Advanced) -> None:
        if self._bar is not None:
            self._bar.update(event.done - self._bar.n)
        elif time.monotonic() >= self._next_line:
            left = "" if event.eta is None else f", {event.eta:.0f} s left"
            self.say(f"{self._name}: {event.done} of {self._total}, {event.rate:.0f}/s{left}")
            self._next_line = time.monotonic() + PLAIN_LINE_EVERY

    def say(self, line: str) -> None:
        """Print a line above the bar, if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            say(line, sys.stderr)
