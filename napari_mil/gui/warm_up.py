"""Imports that would stall the event loop later, done in a thread beside it."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module

FIRST_LAYER = ("scipy.ndimage", "napari_mil.gui.units")
"""napari needs them for its first layer: thumbnail (0.1 to 0.4 s), units (0.16 s)."""
FIRST_CLASSIFICATION = ("pandas", "napari_mil.gui.work")
"""napari imports pandas for its first labels layer (0.4 s); the pipeline brings torch (2 s)."""


def import_beside(modules: tuple[str, ...]) -> threading.Thread:
    """Import modules one after the other in a thread.

    One that is missing is left to the code that needs it, which says so.
    """

    def run() -> None:
        for name in modules:
            # Whoever needs it will see why; a window closed at once ends imports in any way.
            with suppress(Exception):
                import_module(name)

    thread = threading.Thread(target=run, daemon=True, name="warm-up")
    thread.start()
    return thread
