"""Actions on classifiers and runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from napari_mil.bags import TissueMask
from napari_mil.gui.model.actions.answers import add_answer
from napari_mil.gui.model.actions.subjects import set_tissue, update_subject
from napari_mil.gui.model.answers import Answer, Run
from napari_mil.gui.model.display import Display, Kind
from napari_mil.gui.model.session import SessionState
from napari_mil.inference.card import ClassifierCard


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


def end_run(state: SessionState, number: int, message: str = "") -> SessionState:
    """End a run without an answer; the answer before it holds still."""
    if state.run is None or state.run.number != number:
        return state
    return replace(state, run=None, message=message)
