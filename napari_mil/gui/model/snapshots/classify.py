"""What the Classify tab shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from napari_mil.gui.model.answers import Answer, Run
from napari_mil.gui.model.inputs import reason_not_to_fit, stale_reasons
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.slide import subject_choices
from napari_mil.gui.model.subjects import Subject, SubjectKind, TissueChoice
from napari_mil.gui.model.words import count
from napari_mil.inference.card import FEATURES, IMAGES, ClassifierCard

BY_SCALE = "scale"
"""Key of tiles that go by scale; levels have their numbers."""
NOTHING_OPEN = "Open a slide, a folder of images or a feature file first."


@dataclass(frozen=True)
class CardSnapshot:
    """One answer in words, numbers and bars."""

    title: str
    """Predicted class in words."""
    about: str
    """Subject and classifier it is about."""
    classifier: str
    """Name of the classifier that answered."""
    probabilities: tuple[tuple[str, float, bool], ...]
    """(class, probability, whether it is predicted), in the order of the classes."""
    facts: str
    """Calibration, instances, seconds and how good the classifier is, in one line."""
    remarks: tuple[str, ...]
    """What is less certain than it looks, one sentence each."""
    stale: str
    """What changed since, in one sentence; empty while it holds."""


@dataclass(frozen=True)
class ClassifySnapshot:
    """What the Classify tab shows."""

    subjects: Choices
    classifiers: Choices
    classifier_line: str
    """One line about the chosen classifier."""
    tissue: Choices
    tiles: Choices
    devices: Choices
    running: bool = False
    cancelling: bool = False
    done: int = 0
    total: int = 0
    """0 while nothing is counted yet."""
    progress: str = ""
    reason: str = ""
    """Why nothing can be classified; empty where it can."""
    message: str = ""
    """Why the last run came to nothing."""
    card: CardSnapshot | None = None


def classify_snapshot(state: SessionState) -> ClassifySnapshot:
    """Return what the Classify tab shows."""
    subject = state.current_subject
    run = state.run
    return ClassifySnapshot(
        subjects=subject_choices(state),
        classifiers=_classifier_choices(state, subject),
        classifier_line="" if state.card is None else classifier_line(state.card),
        tissue=_tissue_choices(subject),
        tiles=_tile_choices(state.card, subject),
        devices=Choices(
            (
                Choice("auto", "Auto (GPU if there is one)"),
                Choice("cpu", f"CPU, {os.cpu_count()} cores"),
                Choice("cuda", "GPU"),
            ),
            state.device,
        ),
        running=run is not None,
        cancelling=run is not None and run.cancelling,
        done=0 if run is None else run.done,
        total=0 if run is None else run.total,
        progress="" if run is None else _progress(state, run),
        reason="" if run is not None else _reason(state, subject),
        message=state.message,
        card=None if state.shown_run is not None else _card(state),
    )


def _reason(state: SessionState, subject: Subject | None) -> str:
    if subject is None:
        return NOTHING_OPEN
    if state.card is None:
        return "Choose a classifier first."
    return reason_not_to_fit(state.card, subject)


def _classifier_choices(state: SessionState, subject: Subject | None) -> Choices:
    entries = []
    for card in state.cards:
        reason = "" if subject is None else reason_not_to_fit(card, subject)
        entries.append(Choice(card.name, _name_with_group(card), reason))
    # What fits comes first.
    entries.sort(key=lambda entry: bool(entry.reason))
    return Choices(tuple(entries), state.classifier)


def _name_with_group(card: ClassifierCard) -> str:
    if card.checkpoint is not None:
        return f"{card.name} · checkpoint"
    return card.name if card.shipped else f"{card.name} · mine"


def classifier_line(card: ClassifierCard) -> str:
    """Return one line about a classifier."""
    return f"{card.title}. {card.takes[:1].upper()}{card.takes[1:]}."


def _tissue_choices(subject: Subject | None) -> Choices:
    if subject is None or subject.kind is not SubjectKind.SLIDE:
        reason = "" if subject is None else "Every instance of a bag counts."
        return Choices((Choice(TissueChoice.WHOLE, "Everything"),), TissueChoice.WHOLE, reason)
    entries = [Choice(TissueChoice.DETECT, "Detect")]
    if subject.tissue is not None:
        entries.append(Choice(TissueChoice.LAYER, "As in the tissue layer"))
    entries.append(Choice(TissueChoice.WHOLE, "Whole image"))
    return Choices(tuple(entries), subject.tissue_choice)


def _tile_choices(card: ClassifierCard | None, subject: Subject | None) -> Choices:
    by_scale = Choice(BY_SCALE, "" if card is None else card.takes)
    if card is None or subject is None or subject.kind is not SubjectKind.SLIDE:
        return Choices((by_scale,), BY_SCALE)
    if card.instances in (IMAGES, FEATURES) or subject.slide is None:
        return Choices((by_scale,), BY_SCALE)
    levels = range(subject.slide.level_count)
    entries = (by_scale, *(Choice(k, f"{card.tile_px} px of level {k}") for k in levels))
    current: Any = BY_SCALE if subject.level is None else subject.level
    return Choices(entries, current)


def _progress(state: SessionState, run: Run) -> str:
    subject = state.subject(run.subject)
    noun = "tile" if subject is None else subject.noun
    elsewhere = ""
    if subject is not None and run.subject != state.current:
        elsewhere = f"{subject.name}: "
    if run.total == 0:
        return f"{elsewhere}{run.phase}"
    words = f"{elsewhere}{run.done} of {count(run.total, noun)}"
    if run.rate > 0:
        words += f" · {run.rate:.0f} {noun}s/s"
    if run.eta is not None:
        words += f" · {run.eta:.0f} s left"
    return words


def _card(state: SessionState) -> CardSnapshot | None:
    answer = state.shown_answer
    subject = state.current_subject
    if answer is None or subject is None:
        return None
    prediction = answer.prediction
    predicted = set(prediction.labels)
    reasons = stale_reasons(state, answer)
    stale = ""
    if reasons:
        stale = f"Out of date: {', '.join(reasons)}."
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return CardSnapshot(
        title=", ".join(prediction.labels) or "none of the classes",
        about=f"{subject.name} · {answer.classifier}",
        classifier=answer.classifier,
        probabilities=tuple((name, float(p), name in predicted) for name, p in pairs),
        facts=_facts(answer, subject),
        remarks=answer.remarks,
        stale=stale,
    )


def _facts(answer: Answer, subject: Subject) -> str:
    card = answer.card
    prediction = answer.prediction
    facts = [
        "calibrated" if card.calibrated else "not calibrated",
        count(prediction.n_instances, subject.noun),
        f"{prediction.provenance['seconds']:.1f} s on {prediction.provenance['device']}",
    ]
    headline = card.evaluation.get("headline")
    if headline:
        facts.append(str(headline))
    return " · ".join(facts)
