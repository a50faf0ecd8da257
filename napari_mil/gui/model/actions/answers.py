"""Actions on answers and on what is asked about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mil.gui.model.actions.subjects import update_subject
from napari_mil.gui.model.answers import Answer, Inquiry, Linkage, inquiry_without
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.mining import Masks, Mining, with_masks_of
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.what_if import Removed, WhatIf
from napari_mil.inference.projections import Projection


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
        inquiry=inquiry_without(state.inquiry, answer.subject),
    )
    return update_subject(state, answer.subject, shown_classifier=answer.classifier)


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
        state = update_answer(
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
    return update_answer(
        state,
        answer.subject,
        answer.classifier,
        lambda answer: {"ungrown": answer.ungrown - {linkage}},
    )


def add_tree(
    state: SessionState, subject: int, classifier: str, linkage: Linkage, tree: Any
) -> SessionState:
    """Keep a tree that was grown for an answer."""
    return update_answer(
        state, subject, classifier, lambda answer: {"trees": {**answer.trees, linkage: tree}}
    )


def add_evidence(state: SessionState, subject: int, classifier: str, evidence: Any) -> SessionState:
    """Keep what the instances count for in an answer; its columns can be mapped then."""
    return update_answer(
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
    return update_answer(state, answer.subject, answer.classifier, lambda _: {"what_if": what_if})


def set_what_if_answer(
    state: SessionState, subject: int, classifier: str, removed: Removed, answered: np.ndarray
) -> SessionState:
    """Keep the probabilities (C,) without what is out, if that is out still."""

    def fields(answer: Answer) -> dict[str, Any]:
        if answer.what_if.removed != removed:
            return {}
        return {"what_if": replace(answer.what_if, probabilities=answered)}

    return update_answer(state, subject, classifier, fields)


def add_masks(
    state: SessionState,
    subject: int,
    classifier: str,
    mining: Mining,
    masks: Masks,
) -> SessionState:
    """Keep the masks of a mining strategy and its shares for an answer."""
    return update_answer(
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

    return update_answer(state, subject, classifier, fields)


def update_answer(
    state: SessionState,
    subject: int,
    classifier: str,
    fields: Callable[[Answer], dict[str, Any]],
) -> SessionState:
    """Change fields of a classifier's answer about a subject."""
    answers = tuple(
        replace(answer, **fields(answer))
        if (answer.subject, answer.classifier) == (subject, classifier)
        else answer
        for answer in state.answers
    )
    return replace(state, answers=answers)
