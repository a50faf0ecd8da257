"""Actions on notices."""

from __future__ import annotations

from dataclasses import replace

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import (
    Notice,
)


def add_notice(state: SessionState, text: str, details: str = "") -> SessionState:
    """Show a sentence until it is closed; the same sentence is shown once."""
    others = tuple(notice for notice in state.notices if notice.text != text)
    notice = Notice(state.next_key, text, details)
    return replace(state, notices=(*others, notice), next_key=state.next_key + 1)


def close_notice(state: SessionState, key: int) -> SessionState:
    """Close a notice."""
    rest = tuple(notice for notice in state.notices if notice.key != key)
    return replace(state, notices=rest)
