"""Reads what lies around the view before it is looked at."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_mil.errors import NapariMilError
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.reader import GuardedLevel
from napari_mil.slides.levels import Level, Window

AFTER_MOVE_MS = 60
"""The layer has drawn by then, and knows which level it shows."""
PATIENCE_MS = 30
"""Pause after which it is asked again whether the view itself has been read."""


class RingReader:
    """A thread that reads the ring around the newest window; what it reads stays in the cache."""

    def __init__(self) -> None:
        self._wanted: tuple[Level, Window] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._idle = True
        self._thread = threading.Thread(target=self._run, daemon=True, name="read-ahead")
        self._thread.start()

    def want(self, level: Level, window: Window) -> None:
        """Read around this window from now on, instead of around an earlier one."""
        with self._changed:
            self._wanted = (level, window)
            self._idle = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Read no more until another window is wanted."""
        with self._changed:
            self._wanted = None

    def wait(self, seconds: float) -> bool:
        """Block until everything wanted was read, or for so long; say whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, seconds)

    def close(self, seconds: float = 1.0) -> None:
        """End the thread after the chunk that it reads."""
        with self._changed:
            self._closed = True
            self._wanted = None
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._wanted is None:
                    self._idle = True
                    self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._wanted is not None)
                if self._closed:
                    return
                wanted = self._wanted
            assert wanted is not None
            self._read_around(wanted)

    def _read_around(self, wanted: tuple[Level, Window]) -> None:
        level, window = wanted
        for chunk in level.ring(*window):
            if self._wanted is not wanted:
                return
            try:
                level.window(*chunk)
            except NapariMilError:
                # It is told when it is looked at.
                break
        with self._changed:
            if self._wanted is wanted:
                self._wanted = None


class ReadAhead:
    """Reads around the view of the shown subject once the view itself is there.

    Parameters
    ----------
    book
        Knows the layers and the camera.
    parent
        What its timer ends with.
    """

    def __init__(self, book: LayerBook, parent: QObject | None = None) -> None:
        self._book = book
        self._reader = RingReader()
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        book.camera.moved.connect(self._on_move)

    def close(self) -> None:
        """Read no more."""
        self._timer.stop()
        self._book.camera.moved.disconnect(self._on_move)
        self._reader.close()

    def _on_move(self) -> None:
        if not self._timer.isActive():
            self._timer.start(AFTER_MOVE_MS)

    def _look(self) -> None:
        layer = self._book.layer("subject", str(self._book.camera.subject))
        if layer is None or not layer.multiscale or not layer.visible:
            return
        if not layer.loaded:
            # The view itself comes first.
            self._reader.stop()
            self._timer.start(PATIENCE_MS)
            return
        shown = shown_window(layer)
        if shown is not None:
            self._reader.want(*shown)


def shown_window(layer: Any) -> tuple[Level, Window] | None:
    """Return the level that a multiscale layer shows, and the window of it; None if in memory."""
    level = layer.data[layer.data_level]
    if not isinstance(level, GuardedLevel):
        return None
    corners = np.asarray(layer.corner_pixels)
    (top, left), (bottom, right) = (corner[:2].tolist() for corner in corners)
    return level.level, (int(top), int(bottom) + 1, int(left), int(right) + 1)
