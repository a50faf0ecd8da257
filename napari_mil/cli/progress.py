"""Progress on stderr: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

from napari_mil.cli.output import print_line
from napari_mil.events import Advanced, Event, Fallback, Finished, Started

PLAIN_LINE_EVERY = 5.0
"""Seconds between two plain lines."""


class ProgressPrinter:
    """Listener that prints the events of one job at a time.

    Parameters
    ----------
    name
        Beginning of each line.
    quiet
        Print fallbacks alone.
    """

    def __init__(self, name: str, quiet: bool = False) -> None:
        self._name = name
        self.quiet = quiet
        self._bar: tqdm[None] | None = None
        self._total = 0
        self._next_line = 0.0

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if isinstance(event, Fallback):
            self.print_line(f"{self._name}: {event.message}")
        elif self.quiet:
            return
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, Finished):
            self.close()

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _start(self, event: Started) -> None:
        self._total = event.total
        unit = event.what.rstrip("s")
        if sys.stderr.isatty():
            self._bar = tqdm(total=event.total, desc=self._name, unit=unit, leave=False)
        else:
            units = unit if event.total == 1 else event.what
            self.print_line(f"{self._name}: {event.total} {units}")
            self._next_line = time.monotonic() + PLAIN_LINE_EVERY

    def _advance(self, event: Advanced) -> None:
        if self._bar is not None:
            self._bar.update(event.done - self._bar.n)
        elif time.monotonic() >= self._next_line:
            left = "" if event.eta is None else f", {event.eta:.0f} s left"
            done = f"{event.done} of {self._total}"
            self.print_line(f"{self._name}: {done}, {event.rate:.0f}/s{left}")
            self._next_line = time.monotonic() + PLAIN_LINE_EVERY

    def print_line(self, line: str) -> None:
        """Print a line above the bar, if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print_line(line, sys.stderr)
