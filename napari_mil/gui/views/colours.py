"""Colours of the window in napari's two themes; contrast of text at least 4.5 : 1."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QWidget


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours of one theme, as #RRGGBB."""

    accent: str
    """Text of the winning class, links."""
    bar: str
    """Filled part of the winning class's bar."""
    secondary: str
    """Text of secondary facts."""
    caution: str
    """Text of what is less certain than it looks."""


DARK = Colours(accent="#4cc4b4", bar="#2a9d8f", secondary="#a4abb8", caution="#e8a04c")
LIGHT = Colours(accent="#0b625a", bar="#2a9d8f", secondary="#55534f", caution="#8a4700")
BUTTON = "#1c7a6f"
"""Ground of the one primary button, under white text."""
BUTTON_PRESSED = "#155d55"


def colours_of(widget: QWidget) -> Colours:
    """Return the colours of the theme that a widget is shown in."""
    text = widget.palette().color(QPalette.ColorRole.WindowText)
    return DARK if text.lightnessF() > 0.5 else LIGHT
