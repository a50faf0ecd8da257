"""What stands around the tabs: start page, notices, what is being opened."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import Notice


@dataclass(frozen=True)
class WindowSnapshot:
    """What the workbench shows besides its tabs."""

    shows_tabs: bool
    """Whether the tabs are there instead of the start page."""
    title: str
    """Name of the subject; empty with nothing open."""
    busy: str
    """What is being opened; empty for nothing."""
    notices: tuple[Notice, ...]


def window_snapshot(state: SessionState) -> WindowSnapshot:
    """Return what the workbench shows besides its tabs."""
    subject = state.current_subject
    busy = ""
    if state.opening:
        busy = f"Opening {state.opening[0]}…"
        if len(state.opening) > 1:
            busy = f"Opening {state.opening[0]} and {len(state.opening) - 1} more…"
    return WindowSnapshot(
        shows_tabs=bool(state.subjects) or state.training.wanted or state.listing.wanted,
        title="" if subject is None else subject.name,
        busy=busy,
        notices=state.notices,
    )
