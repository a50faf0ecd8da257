"""Folders and tables that are dropped onto a tab."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtGui import QDropEvent

from napari_mil.gui.model.recognition import TABLE_ENDINGS


def dropped_source(event: QDropEvent | None) -> str:
    """Return the folder or table that is dropped, or nothing."""
    data = None if event is None else event.mimeData()
    paths = [url.toLocalFile() for url in data.urls()] if data is not None else []
    if len(paths) != 1:
        return ""
    usable = Path(paths[0]).is_dir() or paths[0].lower().endswith(TABLE_ENDINGS)
    return paths[0] if usable else ""
