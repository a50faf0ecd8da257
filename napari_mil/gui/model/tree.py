"""Choices of the tree panel, and the replay of its merges."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mil.gui.model.answers import Linkage


@dataclass(frozen=True)
class Replay:
    """How far the merges of one tree are replayed."""

    subject: int
    """Key of the subject."""
    classifier: str
    linkage: Linkage
    merged: int
    """Merges that are done."""


@dataclass(frozen=True)
class TreePanel:
    """Choices of the tree panel; the cut is the display's, so that every view has the same."""

    collapsed: bool = True
    """Whether the clusters of the cut are the leaves that are drawn."""
    replay: Replay | None = None
    """None shows the cut."""
    playing: bool = False
    """Whether the replay goes on by itself."""


def collapse(panel: TreePanel, collapsed: bool) -> TreePanel:
    """Draw the clusters of the cut as leaves, or all instances."""
    return replace(panel, collapsed=collapsed)


def show_merges(panel: TreePanel, replay: Replay) -> TreePanel:
    """Show how far the merges have come; the replay stands still there."""
    return replace(panel, replay=replay, playing=False)


def play(panel: TreePanel, replay: Replay) -> TreePanel:
    """Replay merges from where they are."""
    return replace(panel, replay=replay, playing=True)


def pause(panel: TreePanel) -> TreePanel:
    """Let the replay stand still."""
    return replace(panel, playing=False)


def end_replay(panel: TreePanel) -> TreePanel:
    """Show the cut again."""
    return replace(panel, replay=None, playing=False)
