"""napari's list of layers: what is put away is not listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QListView, QWidget

LIST_CLASS = "QtLayerList"
"""Class of napari's list, a `QListView`."""


def list_all_but(window: QWidget, layers: Any, put_away: Sequence[Any]) -> None:
    """List every layer but those that are put away, and choose none of these.

    Parameters
    ----------
    window
        The main window, or any widget that holds the list; one without it lists nothing.
    layers
        Layers of the viewer.
    put_away
        Those that are kept for later.
    """
    active = layers.selection.active
    listed = [layer for layer in layers if layer not in put_away]
    if active is not None and active not in listed:
        layers.selection.active = listed[-1] if listed else None
    for view in window.findChildren(QListView):
        if type(view).__name__ == LIST_CLASS:
            _hide_rows(view, [layer in put_away for layer in layers])


def _hide_rows(view: QListView, hidden: list[bool]) -> None:
    """Hide rows; the list runs from the top layer down."""
    for row, hides in enumerate(reversed(hidden)):
        if view.isRowHidden(row) != hides:
            view.setRowHidden(row, hides)
