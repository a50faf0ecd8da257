"""Pure actions on the state of a window: each takes a state and returns the next one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mil.bags import TissueMask
from napari_mil.exports.maps import LIKENESS, ScaleMode, split_key
from napari_mil.gui.model.answers import Answer, Inquiry, Linkage, Run, order_by
from napari_mil.gui.model.comparing import forget_subject
from napari_mil.gui.model.display import Display, Kind, Look, Role, Window, scale_of
from napari_mil.gui.model.gallery import Gallery, Which
from napari_mil.gui.model.inputs import reason_not_to_fit
from napari_mil.gui.model.mining import Masks, Mining, with_masks_of
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.session import Closeup, Selection, SessionState
from napari_mil.gui.model.subjects import (
    AnnotationLayer,
    Notice,
    Subject,
    TissueChoice,
)
from napari_mil.gui.model.tree import TreePanel
from napari_mil.gui.model.what_if import Removed, WhatIf
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.projections import Projection
from napari_mil.slides import Slide
from napari_mil.slides.rendition import Rendition

OVERLAYS = (Role.OVERLAY, Role.GROUPS, Role.MARKS)
"""Roles of what is coloured; one of them is shown at a time."""


# Actions: subjects


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
        inquiry=_inquiry_without(state.inquiry, key),
        selection=None if concerns_selection else state.selection,
        closeup=None if concerns_selection else state.closeup,
        detecting=None if state.detecting == key else state.detecting,
        comparing=forget_subject(state.comparing, key),
        message="",
    )
    return _choose_fitting_classifier(state)


def _inquiry_without(inquiry: Inquiry | None, key: int) -> Inquiry | None:
    return None if inquiry is not None and inquiry.subject == key else inquiry


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


# Actions: classifiers and answers


def set_cards(
    state: SessionState,
    cards: Sequence[ClassifierCard],
    preferred: str = "",
    gone: Collection[str] = (),
) -> SessionState:
    """Offer classifiers; the chosen one stays if it is still there.

    Parameters
    ----------
    state
        The state before.
    cards
        The shipped classifiers and the user's own.
    preferred
        Name to choose where none is chosen.
    gone
        Names of classifiers whose files are no longer there.
    """
    listed = {card.name for card in cards}
    opened = [card for card in state.cards if card.name not in listed and card.name not in gone]
    offered = (*cards, *opened)
    names = [card.name for card in offered]
    wanted = (state.classifier, preferred, *names)
    chosen = next((name for name in wanted if name in names), "")
    return replace(state, cards=offered, classifier=chosen)


def add_card(state: SessionState, card: ClassifierCard) -> SessionState:
    """Offer one more classifier and choose it; one of the same name is replaced."""
    others = tuple(other for other in state.cards if other.name != card.name)
    return choose_classifier(replace(state, cards=(*others, card)), card.name)


def choose_classifier(state: SessionState, name: str) -> SessionState:
    """Choose a classifier; if it has answered about the shown subject, that answer is shown."""
    if all(card.name != name for card in state.cards):
        return state
    state = replace(state, classifier=name, message="")
    subject = state.current_subject
    if subject is None or state.answer(subject.key, name) is None:
        return state
    return update_subject(state, subject.key, shown_classifier=name)


def choose_device(state: SessionState, device: str) -> SessionState:
    """Choose where to compute."""
    return replace(state, device=device)


def start_run(state: SessionState, run: Run) -> SessionState:
    """Begin a run; the answer that is there stays until it is replaced."""
    return replace(
        state,
        run=run,
        message="",
        next_key=max(state.next_key, run.number + 1),
        display=_without_training(state.display),
    )


def _without_training(display: Display) -> Display:
    return replace(display, kind=None) if display.kind is Kind.TRAINING else display


def update_run(state: SessionState, number: int, /, **fields: Any) -> SessionState:
    """Change what is known of the run under way; a late word of another one changes nothing."""
    if state.run is None or state.run.number != number:
        return state
    return replace(state, run=replace(state.run, **fields))


def add_run_remark(state: SessionState, number: int, remark: str) -> SessionState:
    """Add a sentence about what is less certain than it looks."""
    if state.run is None or state.run.number != number:
        return state
    return update_run(state, number, remarks=(*state.run.remarks, remark))


def keep_detected_tissue(state: SessionState, number: int, mask: TissueMask) -> SessionState:
    """Keep the tissue that the run detected; its answer will be made from it."""
    run = state.run
    if run is None or run.number != number:
        return state
    state = set_tissue(state, run.subject, mask, painted=False)
    subject = state.subject(run.subject)
    if subject is None or subject.tissue is None:
        return state
    return update_run(state, number, inputs=replace(run.inputs, tissue=subject.tissue.version))


def finish_run(state: SessionState, number: int, answer: Answer) -> SessionState:
    """Put the answer of the run in the place of an earlier one, and show it."""
    if state.run is None or state.run.number != number:
        return state
    return add_answer(replace(state, run=None), answer)


def add_answer(state: SessionState, answer: Answer) -> SessionState:
    """Put an answer in the place of an earlier one about its subject, and show it."""
    if state.subject(answer.subject) is None:
        return state
    others = tuple(
        other
        for other in state.answers
        if (other.subject, other.classifier) != (answer.subject, answer.classifier)
    )
    state = replace(
        state,
        answers=(*others, answer),
        inquiry=_inquiry_without(state.inquiry, answer.subject),
    )
    return update_subject(state, answer.subject, shown_classifier=answer.classifier)


def end_run(state: SessionState, number: int, message: str = "") -> SessionState:
    """End a run without an answer; the answer before it holds still."""
    if state.run is None or state.run.number != number:
        return state
    return replace(state, run=None, message=message)


def start_inquiry(state: SessionState, inquiry: Inquiry) -> SessionState:
    """Say that a question about an answer is being worked on."""
    return replace(state, inquiry=inquiry)


def end_inquiry(state: SessionState, *, failed: bool = False) -> SessionState:
    """Say that no question is being worked on.

    After a failure the first map is shown if the display waited for it, and the tree panel does
    not ask for the same tree again by itself.
    """
    inquiry = state.inquiry
    display = state.display
    if failed and inquiry is not None and inquiry.linkage is not None:
        state = _update_answer(
            state,
            inquiry.subject,
            inquiry.classifier,
            lambda answer: {"ungrown": answer.ungrown | {inquiry.linkage}},
        )
        failed = display.kind is Kind.CLUSTERS
    if failed:
        display = replace(display, kind=None)
    return replace(state, inquiry=None, display=display)


def ask_for_tree(state: SessionState) -> SessionState:
    """Let the tree that is shown be grown, though that came to nothing before."""
    answer = state.shown_answer
    if answer is None:
        return state
    linkage = state.linkage
    return _update_answer(
        state,
        answer.subject,
        answer.classifier,
        lambda answer: {"ungrown": answer.ungrown - {linkage}},
    )


def add_tree(
    state: SessionState, subject: int, classifier: str, linkage: Linkage, tree: Any
) -> SessionState:
    """Keep a tree that was grown for an answer."""
    return _update_answer(
        state, subject, classifier, lambda answer: {"trees": {**answer.trees, linkage: tree}}
    )


def add_evidence(state: SessionState, subject: int, classifier: str, evidence: Any) -> SessionState:
    """Keep what the instances count for in an answer; its columns can be mapped then."""
    return _update_answer(
        state,
        subject,
        classifier,
        lambda answer: {
            "evidence": evidence,
            "prediction": replace(answer.prediction, evidence=evidence.columns),
            "columns": {**answer.columns, **evidence.columns},
        },
    )


def change_what_if(state: SessionState, change: Callable[[WhatIf], WhatIf]) -> SessionState:
    """Take instances of the shown answer out, or put them back."""
    answer = state.shown_answer
    if answer is None:
        return state
    what_if = change(answer.what_if)
    if what_if is answer.what_if:
        return state
    return _update_answer(state, answer.subject, answer.classifier, lambda _: {"what_if": what_if})


def set_what_if_answer(
    state: SessionState, subject: int, classifier: str, removed: Removed, answered: np.ndarray
) -> SessionState:
    """Keep the probabilities (C,) without what is out, if that is out still."""

    def fields(answer: Answer) -> dict[str, Any]:
        if answer.what_if.removed != removed:
            return {}
        return {"what_if": replace(answer.what_if, probabilities=answered)}

    return _update_answer(state, subject, classifier, fields)


def add_masks(
    state: SessionState,
    subject: int,
    classifier: str,
    mining: Mining,
    masks: Masks,
) -> SessionState:
    """Keep the masks of a mining strategy and its shares for an answer."""
    return _update_answer(
        state,
        subject,
        classifier,
        lambda answer: {"masks": with_masks_of(answer.masks, mining, masks)},
    )


def add_projection(
    state: SessionState, subject: int, classifier: str, features: Any, projection: Projection
) -> SessionState:
    """Keep a layout in two dimensions for the answer whose features it was made from."""

    def fields(answer: Answer) -> dict[str, Any]:
        if answer.prediction.features is not features:
            return {}
        return {"projections": {**answer.projections, projection.method: projection}}

    return _update_answer(state, subject, classifier, fields)


def _update_answer(
    state: SessionState,
    subject: int,
    classifier: str,
    fields: Callable[[Answer], dict[str, Any]],
) -> SessionState:
    answers = tuple(
        replace(answer, **fields(answer))
        if (answer.subject, answer.classifier) == (subject, classifier)
        else answer
        for answer in state.answers
    )
    return replace(state, answers=answers)


# Actions: display and selection


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

    return _update_answer(state, closeup.subject, closeup.classifier, fields)


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


# Actions: notices


def add_notice(state: SessionState, text: str, details: str = "") -> SessionState:
    """Show a sentence until it is closed; the same sentence is shown once."""
    others = tuple(notice for notice in state.notices if notice.text != text)
    notice = Notice(state.next_key, text, details)
    return replace(state, notices=(*others, notice), next_key=state.next_key + 1)


def close_notice(state: SessionState, key: int) -> SessionState:
    """Close a notice."""
    rest = tuple(notice for notice in state.notices if notice.key != key)
    return replace(state, notices=rest)
