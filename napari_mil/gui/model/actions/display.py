"""Actions on what is coloured and how, and on the panels below the canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Display, Kind, Look, Role, Window, scale_of
from napari_mil.gui.model.gallery import Gallery, Which
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.tree import TreePanel

OVERLAYS = (Role.OVERLAY, Role.GROUPS, Role.MARKS)
"""Roles of what is coloured; one of them is shown at a time."""


def choose_kind(state: SessionState, kind: Kind) -> SessionState:
    """Choose what is coloured; it becomes visible."""
    return replace(state, display=_seen(replace(state.display, kind=kind, name="")))


def show_first_map(state: SessionState) -> SessionState:
    """Colour what an answer has to show first."""
    return replace(state, display=replace(state.display, kind=None, name=""))


def _seen(display: Display, *, visible: bool = True) -> Display:
    """Show or hide whatever is coloured."""
    for role in OVERLAYS:
        display = display.with_look(role, Look(visible=visible))
    return display


def show_training(state: SessionState) -> SessionState:
    """Show the overlay of the watched bag in training, whatever was hidden."""
    display = replace(state.display, kind=Kind.TRAINING)
    return replace(state, display=_seen(display))


def choose_name(state: SessionState, name: str) -> SessionState:
    """Choose the class or head that is coloured."""
    column = state.column
    kind = state.display.kind if column is None else column.kind
    return replace(state, display=replace(state.display, kind=kind, name=name))


def step_name(state: SessionState, step: int) -> SessionState:
    """Choose the next or the previous class or head."""
    column = state.column
    if column is None:
        return state
    names = [other.name for other in state.columns if other.kind is column.kind]
    return choose_name(state, names[(names.index(column.name) + step) % len(names)])


def choose_scale(state: SessionState, scale: ScaleMode) -> SessionState:
    """Choose how values become colours."""
    return replace(state, display=replace(state.display, scale=scale))


def set_window(state: SessionState, low: float, high: float) -> SessionState:
    """Let the colours of the shown map run from one value to another, on its scale."""
    column = state.column
    if column is None or not low < high:
        return state
    window = Window(column.key, scale_of(state.display, column.kind), low, high)
    return replace(state, display=replace(state.display, window=window))


def reset_window(state: SessionState) -> SessionState:
    """Let the colours run over the whole scale."""
    return replace(state, display=replace(state.display, window=None))


def show_as_in_papers(state: SessionState, shown: bool) -> SessionState:
    """Draw maps as the figures of the papers, or in colours."""
    return replace(state, display=replace(state.display, as_in_papers=shown))


def switch_group(state: SessionState, name: str) -> SessionState:
    """Hide a cluster or the masks of a kind, or show them again."""
    hidden = state.display.hidden_groups ^ {name}
    return replace(state, display=replace(state.display, hidden_groups=hidden))


def choose_clusters(
    state: SessionState, n_clusters: int | None = None, linkage: Linkage | None = None
) -> SessionState:
    """Choose how many clusters of which tree are shown."""
    display = state.display
    if n_clusters is not None:
        display = replace(display, n_clusters=n_clusters)
    if linkage is not None:
        display = replace(display, linkage=linkage)
    return replace(state, display=display)


def change_tree(state: SessionState, change: Callable[[TreePanel], TreePanel]) -> SessionState:
    """Change a choice of the tree panel."""
    panel = change(state.tree)
    return state if panel == state.tree else replace(state, tree=panel)


def choose_strategy(state: SessionState, strategy: str) -> SessionState:
    """Choose the mining strategy whose masks are shown, with its published shares."""
    return replace(state, display=replace(state.display, mining=Mining(strategy)))


def choose_share(state: SessionState, kind: str, share: float) -> SessionState:
    """Choose the share of a kind that mining masks of the shown bag."""
    answer = state.shown_answer
    if answer is None or kind not in state.display.mining.kinds:
        return state
    mining = state.display.mining.with_share(kind, share, answer.card)
    return replace(state, display=replace(state.display, mining=mining))


def set_look(state: SessionState, role: Role, look: Look) -> SessionState:
    """Keep what a person changed on layers of a role; one eye counts for all that is coloured."""
    # Values and groups share one opacity, which Inspect shows.
    display = state.display.with_look(Role.OVERLAY if role is Role.GROUPS else role, look)
    if role in OVERLAYS and look.visible is not None:
        display = _seen(display, visible=look.visible)
    return replace(state, display=display)


def hide_overlay(state: SessionState) -> SessionState:
    """Hide what is coloured."""
    return replace(state, display=_seen(state.display, visible=False))


def toggle_overlay(state: SessionState) -> SessionState:
    """Hide what is coloured, or show it again; with nothing coloured nothing is done."""
    if state.shown_answer is None and state.shown_watch is None and state.mapped_run is None:
        return state
    if state.display.look(Role.OVERLAY).visible is False:
        return replace(state, display=_seen(state.display))
    return hide_overlay(state)


def choose_gallery(
    state: SessionState, *, which: Which | None = None, n: int | None = None
) -> SessionState:
    """Choose which instances the gallery shows, and how many."""
    before = state.gallery
    gallery = Gallery(which or before.which, n or before.n)
    return state if gallery == before else replace(state, gallery=gallery)


def set_panel_shown(state: SessionState, panel: Panel, *, shown: bool) -> SessionState:
    """Note whether a panel is seen."""
    if (panel in state.panels) == shown:
        return state
    return replace(state, panels=state.panels ^ {panel})
