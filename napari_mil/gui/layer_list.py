"""napari's list of layers: what is put away is not listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QListView, QWidget

LIST_CLASS = "QtLayerList"
"""Class of napari's list, a `QListView`."""


class LayerList:
    """napari's list of layers, in the window of one of its widgets.

    Parameters
    ----------
    inside
        A widget of the window; where the window has no list, nothing is listed.
    layers
        Layers of the viewer.
    """

    def __init__(self, inside: QWidget, layers: Any) -> None:
        self._inside = inside
        self._layers = layers
        self._window: QWidget | None = None
        self._views: list[QListView] = []

    def list_all_but(self, put_away: Sequence[Any]) -> None:
        """List every layer but those that are put away, and choose none of these."""
        layers = self._layers
        active = layers.selection.active
        if active is not None and active in put_away:
            listed = [layer for layer in layers if layer not in put_away]
            layers.selection.active = listed[-1] if listed else None
        hidden = [layer in put_away for layer in layers]
        for view in self._views_of_window():
            _hide_rows(view, hidden)

    def _views_of_window(self) -> list[QListView]:
        """Find the lists once for each window: a search goes through thousands of widgets."""
        window = self._inside.window()
        if window is not self._window:
            self._window = window
            views = window.findChildren(QListView)
            self._views = [view for view in views if type(view).__name__ == LIST_CLASS]
        return self._views


def _hide_rows(view: QListView, hidden: list[bool]) -> None:
    """Hide rows; the list runs from the top layer down."""
    for row, hides in enumerate(reversed(hidden)):
        if view.isRowHidden(row) != hides:
            view.setRowHidden(row, hides)
