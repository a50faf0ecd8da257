"""Keys of the window; none of napari's own is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what it does."""

    keys: str
    words: str
    """What it does, for the docs."""
    name: str
    """Name of the act that it calls."""


KEYS = (
    Key("Alt+R", "classify what is shown", "classify"),
    Key("Alt+X", "cancel the run", "cancel"),
    Key("Alt+O", "overlay on or off", "toggle_overlay"),
    Key("Alt+N", "next class or head", "next_class"),
    Key("Alt+.", "next instance by rank", "next_instance"),
    Key("Alt+,", "previous instance by rank", "previous_instance"),
    Key("Alt+PgDown", "next slide or bag", "next_subject"),
    Key("Alt+PgUp", "previous slide or bag", "previous_subject"),
    Key("Alt+1", "Slide tab", "slide_tab"),
    Key("Alt+2", "Classify tab", "classify_tab"),
    Key("Alt+3", "Inspect tab", "inspect_tab"),
    Key("Alt+4", "Train tab", "train_tab"),
    Key("Alt+5", "Worklist tab", "worklist_tab"),
)
"""Keys that work anywhere in the window."""

CANVAS_KEYS = (
    Key("Right", "next instance by rank", "next_instance"),
    Key("Left", "previous instance by rank", "previous_instance"),
    Key("Escape", "clear the selection", "clear_selection"),
)
"""Keys of the layers of the scene: they work on the canvas while one of them is active."""

TRAIN_KEYS = (
    Key("Ctrl+Return", "start, pause, go on or resume", "press"),
    Key("Alt+Left", "epoch before on the watched slide", "previous_epoch"),
    Key("Alt+Right", "epoch after on the watched slide", "next_epoch"),
)
"""Keys of the Train tab, while the keyboard is in it."""


def bind_keys(widget: QWidget, acts: dict[str, Callable[[], None]]) -> list[QShortcut]:
    """Bind the keys of the window to acts by name."""
    shortcuts = []
    for key in KEYS:
        shortcut = QShortcut(QKeySequence(key.keys), widget)
        shortcut.activated.connect(acts[key.name])
        shortcuts.append(shortcut)
    return shortcuts
