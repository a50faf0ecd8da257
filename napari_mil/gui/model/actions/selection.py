"""Actions on selected instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mil.exports.maps import LIKENESS, split_key
from napari_mil.gui.model.actions.answers import update_answer
from napari_mil.gui.model.answers import Answer, order_by
from napari_mil.gui.model.session import Closeup, Selection, SessionState


def select(state: SessionState, instances: Sequence[int]) -> SessionState:
    """Select instances of the shown subject."""
    layout = state.layout
    n = 0 if layout is None else len(layout)
    within = tuple(instance for instance in instances if 0 <= instance < n)
    if state.current is None or not within:
        return clear_selection(state)
    selection = Selection(state.current, within)
    if selection == state.selection:
        return state
    return replace(state, selection=selection)


def toggle_selected(state: SessionState, instance: int) -> SessionState:
    """Let an instance of the shown subject join the selection, or leave it."""
    selection = state.selection
    if selection is None or selection.subject != state.current:
        return select(state, (instance,))
    if instance in selection.instances:
        return select(state, [other for other in selection.instances if other != instance])
    return select(state, (*selection.instances, instance))


def clear_selection(state: SessionState) -> SessionState:
    """Select nothing."""
    if state.selection is None:
        return state
    return replace(state, selection=None, closeup=None)


def step_selection(state: SessionState, step: int) -> SessionState:
    """Select the next instance by rank of the values that are shown."""
    values = state.values
    if values is None or state.current is None:
        return state
    order = order_by(values)
    if not len(order):
        return state
    selection = state.selection
    if selection is None or selection.subject != state.current:
        return select(state, (int(order[0]),))
    places = np.flatnonzero(order == selection.instance)
    place = int(places[0]) if len(places) else -step
    return select(state, (int(order[np.clip(place + step, 0, len(order) - 1)]),))


def set_closeup(state: SessionState, closeup: Closeup) -> SessionState:
    """Keep what was read of the selected instance, unless another one is selected by now.

    How alike the others are to it can be mapped then.
    """
    selection = state.selection
    wanted = None if selection is None else (selection.subject, selection.instance)
    if wanted != (closeup.subject, closeup.instance):
        return state
    state = replace(state, closeup=closeup)
    likeness = closeup.likeness
    if likeness is None:
        return state

    def fields(answer: Answer) -> dict[str, Any]:
        if len(likeness) != len(answer.layout):
            return {}
        others = {
            key: values for key, values in answer.columns.items() if split_key(key)[0] != LIKENESS
        }
        return {"columns": {**others, f"{LIKENESS}_{closeup.instance}": likeness}}

    return update_answer(state, closeup.subject, closeup.classifier, fields)
