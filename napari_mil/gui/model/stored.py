"""Answers that were read from disk, as the window shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mil.bags import TissueMethod
from napari_mil.bags.layout import Layout
from napari_mil.errors import OutputError
from napari_mil.exports.source import ExportSource
from napari_mil.gui.model.answers import Answer, Inputs
from napari_mil.gui.model.inputs import UNDETECTED, inputs_now
from napari_mil.gui.model.subjects import Subject, SubjectKind
from napari_mil.gui.model.what_if import WhatIf
from napari_mil.inference.card import FEATURES, IMAGES, TILES, ClassifierCard
from napari_mil.inference.facts import AggregatorRef, EncoderRef
from napari_mil.inference.prediction import Prediction

if TYPE_CHECKING:
    from napari_mil.inference.what_if_file import SavedWhatIf

OTHER_TISSUE = -2
"""Version of a tissue that a person drew at another time."""


@dataclass(frozen=True, eq=False)
class StoredAnswer:
    """A prediction from disk with the classifier that made it."""

    prediction: Prediction
    card: ClassifierCard
    folder: Path
    """Where it was read."""
    removed: SavedWhatIf | None = None
    """What was taken out of it."""
    outdated: tuple[str, ...] = ()
    """What is other than when it was made, as clauses."""


def answer_of(subject: Subject, stored: StoredAnswer) -> Answer:
    """Return a stored answer about a subject that is open.

    Raises
    ------
    OutputError
        If its instances are not those of the subject.
    """
    prediction = stored.prediction
    layout = _layout_of(subject, prediction)
    if subject.bag is not None:
        prediction = replace(prediction, features=subject.bag)
    return Answer(
        subject=subject.key,
        inputs=_inputs_of(subject, stored),
        layout=layout,
        prediction=prediction,
        columns=prediction.columns(),
        remarks=tuple(prediction.provenance.get("fallbacks", ())),
        what_if=WhatIf() if stored.removed is None else restored(stored.removed),
        folder=stored.folder,
        outdated=stored.outdated,
    )


def restored(saved: SavedWhatIf) -> WhatIf:
    """Return what was taken out as one step, which can be undone."""
    return WhatIf(((), saved.removed), 1, saved.probabilities)


def _layout_of(subject: Subject, prediction: Prediction) -> Layout:
    own = subject.layout
    if own is None:
        if prediction.coords is not None and prediction.tile_size0 is not None:
            return ExportSource(prediction).layout
    elif len(own) == prediction.n_instances:
        images = subject.images
        if images is None or images.names == prediction.names:
            return own
    raise OutputError(
        f"{subject.name} has other instances now than when it was classified; classify it again."
    )


def _inputs_of(subject: Subject, stored: StoredAnswer) -> Inputs:
    now = inputs_now(subject, stored.card)
    if subject.kind is not SubjectKind.SLIDE:
        return now
    mpp = stored.prediction.slide.get("mpp")
    method = stored.prediction.provenance.get("tissue_method")
    tissue = None
    if method == TissueMethod.DRAWN:
        tissue = OTHER_TISSUE
    elif method is not None:
        # Detecting finds the same tissue whenever it is done.
        is_detected = subject.tissue is not None and not subject.tissue.painted
        tissue = now.tissue if is_detected and now.tissue is not None else UNDETECTED
    return replace(now, mpp=None if mpp is None else float(mpp), tissue=tissue)


def card_of(prediction: Prediction) -> ClassifierCard:
    """Return what an answer tells of a classifier that is not at hand: enough to show it."""
    facts = prediction.classifier
    name = str(facts.get("name") or "an unknown classifier")
    grid: Mapping[str, Any] = prediction.provenance.get("grid") or {}
    is_sigmoid = len(prediction.logits) == 1
    link = "sigmoid" if is_sigmoid else "softmax"
    features = prediction.features
    instances = IMAGES if prediction.coords is None else FEATURES
    if grid.get("mpp"):
        instances = TILES
    return ClassifierCard(
        name=name,
        title=f"{name}, which is not at hand",
        classes=prediction.classes,
        link="multi-label" if prediction.label is None else link,
        encoder=_encoder_of(facts.get("encoder")),
        in_dim=0 if features is None else features.features.shape[1],
        tile_px=grid.get("tile_px"),
        mpp=grid.get("mpp"),
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef(str(facts.get("aggregator") or "")),
        temperature=float(facts.get("temperature") or 1.0),
        threshold=float(facts.get("threshold") or 0.5),
        licence="",
        intended_use="",
        instances=instances,
    )


def _encoder_of(facts: Mapping[str, Any] | None) -> EncoderRef | None:
    if not facts or "name" not in facts or "fingerprint" not in facts:
        return None
    known = {field.name for field in fields(EncoderRef)}
    return EncoderRef(**{name: value for name, value in facts.items() if name in known})
