"""The figures of a run, epoch by epoch, and the dock below the canvas that draws them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtCore import QTimer

DRAW_MS = 300
CURVES = "napari_mil.gui.views.curves"
"""Brings pyqtgraph, which loads once there is a cohort."""


class TrainingHistory:
    """Rows of one run; their curves are made while nothing runs, and wait hidden.

    Parameters
    ----------
    viewer
        Whose window gets the dock.
    on_epoch
        Told the epoch that is clicked.

    Attributes
    ----------
    rows
        Figures by name, an epoch each.
    epochs
        How many there will be at most.
    """

    def __init__(self, viewer: napari.viewer.Viewer, on_epoch: Callable[[int], None]) -> None:
        self._viewer, self._on_epoch = viewer, on_epoch
        self.rows: list[dict[str, float | None]] = []
        self.epochs = 0
        self._cursor: int | None = None
        self._curves: Any = None
        self._dock: Any = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self.draw)

    def begin(self) -> None:
        """Forget the last run and show the dock for the next."""
        self.forget()
        self._dock.show()

    def forget(self) -> None:
        """Forget the last run, and put its curves away."""
        self.rows, self._cursor, self.epochs = [], None, 0
        self.draw()
        self._dock.hide()

    def add(self, row: Mapping[str, float | None], cursor: int | None) -> None:
        """Append an epoch, and say which one the slide shows, if there is one."""
        self.rows.append(dict(row))
        self._cursor = cursor or self._cursor
        if not self._timer.isActive():
            self._timer.start()

    def read(self, folder: Path) -> None:
        """Take the figures of an earlier run; none where there are none."""
        self.rows, self._cursor, self.epochs = [], None, 0
        try:
            with (folder / "history.csv").open(newline="") as file:
                self.rows = [
                    {name: float(value) if value else None for name, value in row.items()}
                    for row in csv.DictReader(file)
                ]
        except (OSError, ValueError):
            self.rows = []
        self.epochs = len(self.rows)
        self.draw()

    def set_cursor(self, epoch: int | None) -> None:
        """Say which epoch the slide shows."""
        self._cursor = epoch
        if self._curves is not None:
            self._curves.set_epoch(epoch)

    def toggle(self) -> None:
        """Show or hide the curves."""
        self._make()
        self._dock.setVisible(not self._dock.isVisible())

    def draw(self) -> None:
        """Draw what there is, shown or not."""
        self._make()
        self._curves.show_history(self.rows, self.epochs)
        self._curves.set_epoch(self._cursor)

    def stop(self) -> None:
        """Draw nothing any more."""
        self._timer.stop()

    def close(self) -> None:
        """Take the dock away."""
        self.stop()
        if self._dock is not None:
            with suppress(RuntimeError, LookupError):  # its window has gone
                self._viewer.window.remove_dock_widget(self._dock)

    def _make(self) -> None:
        """Have the dock, not shown yet, if it is not there."""
        if self._curves is not None:
            return
        self._curves = import_module(CURVES).Curves()
        self._curves.epoch_chosen.connect(self._on_epoch)
        self._dock = self._viewer.window.add_dock_widget(
            self._curves, area="bottom", name="Training curves"
        )
        self._dock.destroyed.connect(self._on_gone)
        self._dock.hide()

    def _on_gone(self) -> None:
        self._curves = self._dock = None
