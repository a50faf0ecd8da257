"""Words about the instance under the mouse."""

from __future__ import annotations

import numpy as np

from napari_mil.gui.model.answers import (
    critical_classes,
)
from napari_mil.gui.model.compared import compared_map, compared_words
from napari_mil.gui.model.display import (
    Kind,
)
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.shown_groups import shown_groups


def hover_words(state: SessionState, world: tuple[float, ...]) -> str:
    """Describe the instance under a position on the canvas; empty beside the instances."""
    subject = state.current_subject
    layout = state.layout
    if subject is None or layout is None:
        return ""
    if compared_map(state) is not None:
        x, y = subject.placement.level0(np.asarray(world[-2:]))
        return compared_words(state, float(x), float(y))
    instance = subject.placement.instance_under(layout, world)
    if instance is None:
        return ""
    words = instance_words(state, instance)
    return f"{words} · {subject.noun} {instance}" if words else ""


def instance_words(state: SessionState, instance: int) -> str:
    """Describe an instance by what is coloured; empty where that says nothing of it."""
    watch = state.shown_watch
    if watch is not None:
        watched = watch.watched
        return "" if watched is None else f"{watched.what} {watched.values[instance]:.3g}"
    answer = state.shown_answer
    column = state.column
    if column is not None:
        values = state.values
        if values is None or np.isnan(values[instance]):
            return ""
        rank = int((values > values[instance]).sum()) + 1
        n = int((~np.isnan(values)).sum())
        return f"{column.title} {values[instance]:.3g} · rank {rank} of {n}"
    if answer is None:
        return ""
    if state.display.kind is Kind.CRITICAL:
        names = [name for other, name in critical_classes(answer) if other == instance]
        return f"critical: {', '.join(names)}" if names else ""
    groups, _ = shown_groups(state, answer)
    names = [group.name for group in groups if instance in group.instances]
    if not names:
        return ""
    if state.display.kind is Kind.CLUSTERS:
        size = next(len(group.instances) for group in groups if group.name == names[0])
        if state.merged is not None:
            return f"cluster {names[0]}: {size} {_noun(state)}s merged"
        return f"cluster {names[0]} of {len(groups)}: {size} {_noun(state)}s"
    return f"masked: {', '.join(names)}"


def _noun(state: SessionState) -> str:
    subject = state.current_subject
    return "instance" if subject is None else subject.noun
