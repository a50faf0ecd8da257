"""Actions on open subjects: what is open, which one is shown, its slide, tissue and regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_mil.bags import TissueMask
from napari_mil.gui.model.answers import inquiry_without
from napari_mil.gui.model.comparing import forget_subject
from napari_mil.gui.model.inputs import reason_not_to_fit
from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import AnnotationLayer, Subject, TissueChoice
from napari_mil.slides import Slide
from napari_mil.slides.rendition import Rendition


def add_subject(state: SessionState, subject: Subject) -> SessionState:
    """Open a subject and show it; an open one of the same key is replaced."""
    others = tuple(other for other in state.subjects if other.key != subject.key)
    subject = replace(subject, name=_free_name(subject, {other.name for other in others}))
    state = replace(
        state,
        subjects=(*others, subject),
        next_key=max(state.next_key, subject.key + 1),
    )
    return choose_subject(state, subject.key)


def _free_name(subject: Subject, taken: set[str]) -> str:
    """Return the name of a subject, told apart by its folder or a number where it is taken."""
    if subject.name not in taken:
        return subject.name
    with_folder = f"{subject.name} ({subject.path.parent.name})"
    candidates = (with_folder, *(f"{subject.name} ({k})" for k in range(2, len(taken) + 3)))
    return next(name for name in candidates if name not in taken)


def choose_subject(state: SessionState, key: int) -> SessionState:
    """Show another open subject; its answer comes back with it."""
    subject = state.subject(key)
    if subject is None or key == state.current:
        return state
    state = replace(state, current=key, message="")
    return _choose_fitting_classifier(state)


def _choose_fitting_classifier(state: SessionState) -> SessionState:
    """Choose a classifier that fits the shown subject: the one that answered, or the first."""
    subject = state.current_subject
    if subject is None:
        return state
    fitting = [card.name for card in state.cards if not reason_not_to_fit(card, subject)]
    if subject.shown_classifier in fitting:
        return replace(state, classifier=subject.shown_classifier or "")
    if state.classifier in fitting or not fitting:
        return state
    return replace(state, classifier=fitting[0])


def step_subject(state: SessionState, step: int) -> SessionState:
    """Show the next or the previous open subject."""
    keys = [subject.key for subject in state.subjects]
    if state.current not in keys:
        return state
    return choose_subject(state, keys[(keys.index(state.current) + step) % len(keys)])


def close_subject(state: SessionState, key: int) -> SessionState:
    """Close a subject with everything that spoke of it."""
    if state.subject(key) is None:
        return state
    keys = [subject.key for subject in state.subjects]
    place = keys.index(key)
    rest = tuple(subject for subject in state.subjects if subject.key != key)
    current = state.current
    if current == key:
        current = rest[min(place, len(rest) - 1)].key if rest else None
    concerns_run = state.run is not None and state.run.subject == key
    concerns_selection = state.selection is not None and state.selection.subject == key
    state = replace(
        state,
        subjects=rest,
        current=current,
        answers=tuple(answer for answer in state.answers if answer.subject != key),
        run=None if concerns_run else state.run,
        inquiry=inquiry_without(state.inquiry, key),
        selection=None if concerns_selection else state.selection,
        closeup=None if concerns_selection else state.closeup,
        detecting=None if state.detecting == key else state.detecting,
        comparing=forget_subject(state.comparing, key),
        message="",
    )
    return _choose_fitting_classifier(state)


def update_subject(state: SessionState, key: int, /, **fields: Any) -> SessionState:
    """Change fields of an open subject."""
    subjects = tuple(
        replace(subject, **fields) if subject.key == key else subject for subject in state.subjects
    )
    return replace(state, subjects=subjects)


def rename_subject(state: SessionState, key: int, name: str) -> SessionState:
    """Call a subject otherwise."""
    subject = state.subject(key)
    if subject is None or subject.name == name:
        return state
    return update_subject(state, key, name=name)


def set_slide(
    state: SessionState, key: int, slide: Slide, entered: ScaleScope | None = None
) -> SessionState:
    """Give a subject the same slide at another scale; tissue and answers stay."""
    return update_subject(state, key, slide=slide, entered=entered)


def set_pixels(state: SessionState, key: int, pixels: Any) -> SessionState:
    """Show other pixels of a subject."""
    return state if state.subject(key) is None else update_subject(state, key, pixels=pixels)


def set_rendition(state: SessionState, key: int, rendition: Rendition | None) -> SessionState:
    """Choose how a slide is shown; its pixels follow."""
    if state.subject(key) is None:
        return state
    return update_subject(state, key, rendition=rendition)


def set_tissue(state: SessionState, key: int, mask: TissueMask, *, painted: bool) -> SessionState:
    """Keep the tissue of a slide, as detected or as painted."""
    subject = state.subject(key)
    if subject is None:
        return state
    changed = subject.with_tissue(mask, painted=painted)
    subjects = tuple(changed if other.key == key else other for other in state.subjects)
    return replace(state, subjects=subjects)


def remove_tissue(state: SessionState, key: int) -> SessionState:
    """Forget the tissue of a slide; the next run detects it."""
    subject = state.subject(key)
    if subject is None or subject.tissue is None:
        return state
    choice = subject.tissue_choice
    if choice is TissueChoice.LAYER:
        choice = TissueChoice.DETECT
    return update_subject(state, key, tissue=None, tissue_choice=choice)


def set_tissue_choice(state: SessionState, choice: TissueChoice) -> SessionState:
    """Say how the tissue of the shown slide is found for the next run."""
    if state.current is None:
        return state
    return update_subject(state, state.current, tissue_choice=choice)


def set_level(state: SessionState, level: int | None) -> SessionState:
    """Say of which level the tiles of the shown slide are taken; None goes by scale."""
    if state.current is None:
        return state
    return update_subject(state, state.current, level=level)


def start_detecting(state: SessionState, key: int) -> SessionState:
    """Say that the tissue of a slide is being detected."""
    return replace(state, detecting=key)


def end_detecting(state: SessionState, key: int) -> SessionState:
    """Say that the tissue of a slide is not being detected any more."""
    return replace(state, detecting=None) if state.detecting == key else state


def add_annotations(state: SessionState, key: int, layer: AnnotationLayer) -> SessionState:
    """Lay the regions of a file over a slide; those of the same file are replaced."""
    subject = state.subject(key)
    if subject is None:
        return state
    others = tuple(other for other in subject.annotations if other.name != layer.name)
    return update_subject(state, key, annotations=(*others, layer))


def remove_annotations(state: SessionState, key: int, name: str) -> SessionState:
    """Take the regions of a file away."""
    subject = state.subject(key)
    if subject is None:
        return state
    rest = tuple(layer for layer in subject.annotations if layer.name != name)
    return update_subject(state, key, annotations=rest)


def start_opening(state: SessionState, name: str) -> SessionState:
    """Say that something is being opened."""
    return replace(state, opening=(*state.opening, name))


def end_opening(state: SessionState, name: str) -> SessionState:
    """Say that something is not being opened any more."""
    opening = list(state.opening)
    if name in opening:
        opening.remove(name)
    return replace(state, opening=tuple(opening))
