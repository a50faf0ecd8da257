"""What an answer is made from: what fits, and what changed since."""

from __future__ import annotations

from napari_mil.gui.model.answers import Answer, Inputs
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import (
    Subject,
    SubjectKind,
    TissueChoice,
)
from napari_mil.inference.card import FEATURES, IMAGES, TILES, ClassifierCard

UNDETECTED = -1
"""Version of a tissue that is still to be detected."""


def reason_not_to_fit(card: ClassifierCard, subject: Subject) -> str:
    """Return why a classifier cannot classify a subject, or nothing."""
    if subject.kind is SubjectKind.FEATURES:
        return _reason_for_features(card, subject)
    if card.instances == FEATURES:
        return f"It takes {card.takes}."
    if subject.kind is SubjectKind.SLIDE and card.instances != TILES:
        return f"It takes {card.takes}, not slides."
    if subject.kind is SubjectKind.IMAGES and card.instances != IMAGES:
        return f"It takes slides ({card.takes}), not folders of images."
    if subject.is_fluorescence:
        return "It was trained on brightfield images; this slide is fluorescence."
    return ""


def _reason_for_features(card: ClassifierCard, subject: Subject) -> str:
    assert subject.bag is not None
    width = subject.bag.features.shape[1]
    if card.in_dim != width:
        return f"It takes {card.in_dim} values an instance; these have {width}."
    made_by = subject.bag.provenance.get("encoder")
    if made_by and card.encoder is not None and made_by != card.encoder.fingerprint:
        return "These features were made by another encoder."
    return ""


def inputs_now(subject: Subject, card: ClassifierCard) -> Inputs:
    """Return what an answer about a subject would be made from now."""
    tissue = None
    if subject.kind is SubjectKind.SLIDE and subject.tissue_choice is not TissueChoice.WHOLE:
        tissue = UNDETECTED
        known = subject.tissue
        if known is not None and (subject.tissue_choice is TissueChoice.LAYER or not known.painted):
            tissue = known.version
    mpp = None if subject.slide is None else subject.slide.mpp
    return Inputs(mpp, tissue, subject.level, card)


def stale_reasons(state: SessionState, answer: Answer) -> tuple[str, ...]:
    """Return what changed since an answer was made, in the words of the card."""
    subject = state.subject(answer.subject)
    card = state.card
    if subject is None or card is None:
        return ()
    now = inputs_now(subject, card)
    before = answer.inputs
    reasons = []
    if now.classifier.name != before.classifier.name:
        reasons.append(f"{now.classifier.name} is chosen now")
    elif now.classifier != before.classifier:
        reasons.append("the classifier was replaced")
    if now.mpp != before.mpp:
        reasons.append("the scale is another")
    if now.tissue != before.tissue:
        reasons.append("the tissue is another")
    if now.level != before.level:
        reasons.append("the tiles are others")
    return tuple(dict.fromkeys((*reasons, *answer.outdated)))
