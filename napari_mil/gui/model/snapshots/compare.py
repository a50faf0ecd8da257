"""What the Compare panel shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model.compared import (
    Compared,
    Figures,
    Side,
    chosen_reference,
    compared,
    difference_scale,
    has_regions,
    other_answers,
    question_of,
    reference_names,
)
from napari_mil.gui.model.comparing import EVERY_CLASS, CompareView
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.words import count
from napari_mil.inference.agreement import TOP_SHARE, Matching
from napari_mil.inference.prediction import Prediction
from napari_mil.training.evaluation.overlap import FALSE_POSITIVES, Overlap

NOTHING_YET = "Classify something first: two answers about the same bag are compared here."
ONE_ONLY = (
    "There is one answer, of {name}. Choose another classifier in the Classify tab and classify "
    "again: both are compared here."
)
NO_MAP = "It has no value for single instances: there is no map to compare."
NO_REGIONS = (
    "Drop annotations of this slide (GeoJSON, ImageScope, HALO, ASAP), or draw shapes and press "
    "Shapes, to see how each map overlaps with them."
)
VIEW_TEXTS = {
    CompareView.SHOWN: "shown answer",
    CompareView.DIFFERENCE: "difference",
    CompareView.CURTAIN: "curtain",
}
SCALE_TEXTS = {ScaleMode.RAW: "values", ScaleMode.RANK: "ranks"}
UNKNOWN = "–"


@dataclass(frozen=True)
class FigureRow:
    """One row of the table: what it is, both answers, first less second."""

    name: str
    first: str
    second: str
    difference: str = ""
    explained: str = ""
    """How it was obtained."""


@dataclass(frozen=True)
class CompareSnapshot:
    """What the Compare panel shows."""

    reason: str = NOTHING_YET
    """Why nothing can be compared; empty where something can."""
    first: str = ""
    """Classifier of the shown answer."""
    second: str = ""
    others: Choices = field(default_factory=Choices)
    first_columns: Choices = field(default_factory=Choices)
    """(kind, name) of the maps of the shown answer."""
    second_columns: Choices = field(default_factory=Choices)
    views: Choices = field(default_factory=Choices)
    scales: Choices = field(default_factory=Choices)
    shows_scale: bool = False
    shows_curtain: bool = False
    curtain: float = 0.5
    takes_regions: bool = False
    """Whether regions can lie over what is compared: over slides."""
    references: Choices = field(default_factory=Choices)
    """Classes of annotated regions; empty without any."""
    rows: tuple[FigureRow, ...] = ()
    sentences: tuple[str, ...] = ()
    is_measuring: bool = False
    picture_title: str = ""


def compare_snapshot(state: SessionState) -> CompareSnapshot:
    """Return what the Compare panel shows."""
    shown = state.shown_answer
    if shown is None:
        return CompareSnapshot()
    both = compared(state)
    if both is None:
        return CompareSnapshot(reason=ONE_ONLY.format(name=shown.classifier))
    figures = newest_figures(state)
    view = state.comparing.view if both.has_maps else CompareView.SHOWN
    others = tuple(Choice(a.classifier, a.classifier) for a in other_answers(state))
    return CompareSnapshot(
        reason="",
        first=both.first.name,
        second=both.second.name,
        others=Choices(others, both.second.name),
        first_columns=_column_choices(both.first),
        second_columns=_column_choices(both.second),
        views=_view_choices(both, view),
        scales=_scale_choices(state, both),
        shows_scale=view is CompareView.DIFFERENCE,
        shows_curtain=view is CompareView.CURTAIN,
        curtain=state.comparing.curtain,
        takes_regions=_takes_regions(state),
        references=_reference_choices(state),
        rows=(*_probability_rows(both), *_overlap_rows(figures)),
        sentences=_sentences(state, both, figures),
        is_measuring=figures is None and both.has_maps and state.mapped_run is None,
        picture_title=_picture_title(both.second),
    )


def newest_figures(state: SessionState) -> Figures | None:
    """Return the figures, if they are about what is compared now."""
    figures = state.comparing.figures
    question = question_of(state)
    if figures is None or question is None:
        return None
    return figures if question.is_same_as(figures.question) else None


def _column_choices(side: Side) -> Choices:
    entries = tuple(Choice(column.key, column.title) for column in side.columns)
    reason = "" if entries else NO_MAP
    return Choices(entries, None if side.column is None else side.column.key, reason)


def _view_choices(both: Compared, view: CompareView) -> Choices:
    reason = "" if both.has_maps else NO_MAP
    entries = tuple(
        Choice(each, text, "" if each is CompareView.SHOWN else reason)
        for each, text in VIEW_TEXTS.items()
    )
    return Choices(entries, view)


def _scale_choices(state: SessionState, both: Compared) -> Choices:
    reason = "" if both.is_of_one_kind else "Values of two kinds: only their ranks compare."
    entries = tuple(
        Choice(mode, text, reason if mode is ScaleMode.RAW else "")
        for mode, text in SCALE_TEXTS.items()
    )
    return Choices(entries, difference_scale(state, both))


def _takes_regions(state: SessionState) -> bool:
    subject = state.current_subject
    return subject is not None and subject.slide is not None


def _reference_choices(state: SessionState) -> Choices:
    if not has_regions(state):
        return Choices()
    names = reference_names(state)
    entries = (Choice(EVERY_CLASS, "all regions"), *(Choice(name, name) for name in names))
    return Choices(entries, chosen_reference(state))


def _probability_rows(both: Compared) -> list[FigureRow]:
    """Return a row for every class of either answer, and one for what each says."""
    one, other = both.first.answer.prediction, both.second.answer.prediction
    first, second = _probabilities(one), _probabilities(other)
    rows = [
        _row(f"p({name})", first.get(name, np.nan), second.get(name, np.nan))
        for name in dict.fromkeys((*first, *second))
    ]
    labels = _label(one), _label(other)
    verdict = "same" if labels[0] == labels[1] else "differ"
    return [*rows, FigureRow("answer", *labels, verdict)]


def _probabilities(prediction: Prediction) -> dict[str, float]:
    return dict(zip(prediction.classes, prediction.probabilities.tolist(), strict=True))


def _label(prediction: Prediction) -> str:
    return ", ".join(prediction.labels) or "none"


def _overlap_rows(figures: Figures | None) -> list[FigureRow]:
    """Return what each map has in common with the annotated regions."""
    if figures is None or figures.overlaps is None:
        return []
    one, other = figures.overlaps
    rows = [
        _row("AUC", one.auc, other.auc, "Instances inside the regions against those outside."),
        _row("Dice", one.dice, other.dice, f"{_called(one)} | {_called(other)}"),
        _row("FROC", one.froc, other.froc, "Mean of the sensitivities below (CAMELYON16)."),
    ]
    sensitivities = zip(FALSE_POSITIVES, one.sensitivities, other.sensitivities, strict=True)
    for allowed, first, second in sensitivities:
        words = f"Regions found with at most {allowed:g} false peaks on the slide."
        rows.append(_row(f"found, {allowed:g} false", first, second, words))
    return rows


def _called(overlap: Overlap) -> str:
    if overlap.threshold is None:
        return f"the highest {overlap.n_positive}, as many as are inside"
    return f"values from {overlap.threshold:.3g}, the classifier's threshold"


def _row(name: str, first: float, second: float, explained: str = "") -> FigureRow:
    return FigureRow(name, _number(first), _number(second), _signed(first - second), explained)


def _number(value: float) -> str:
    return UNKNOWN if np.isnan(value) else f"{value + 0.0:.2f}".replace("-", "−")


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value + 0.0:+.2f}".replace("-", "−")


def _sentences(state: SessionState, both: Compared, figures: Figures | None) -> tuple[str, ...]:
    if not both.has_maps:
        lacking = [s.name for s in (both.first, both.second) if s.column is None]
        return (f"{' and '.join(lacking)}: no map. {NO_MAP}",)
    if figures is None:
        return ()
    sentences = [_agreement_sentence(state, figures)]
    names = [side.column.name for side in (both.first, both.second) if side.column is not None]
    if both.is_of_one_kind and all(names) and names[0] != names[1]:
        sentences.append(f"The maps are of two classes or heads: {names[0]} | {names[1]}.")
    if figures.overlaps is None:
        return (*sentences, NO_REGIONS) if _takes_regions(state) else tuple(sentences)
    one, other = figures.overlaps
    regions = count(one.n_regions, "region")
    inside = f"{one.n_positive} of {one.n}"
    if (one.n_positive, one.n) != (other.n_positive, other.n):
        inside += f" | {other.n_positive} of {other.n}"
    sentences.append(f"{regions}; {inside} {_noun(state)}s have their centre inside.")
    sentences.append(f"Dice: {_dice_words(one, other)}.")
    return tuple(sentences)


def _agreement_sentence(state: SessionState, figures: Figures) -> str:
    found = figures.agreement
    where = {
        Matching.SAME: "",
        Matching.SHARED: " that both have",
        Matching.CENTRES: "; grids differ: at the centres of the finer one's",
    }[figures.matching]
    return (
        f"Rank correlation {_number(found.spearman)}, top {TOP_SHARE:.0%} in common "
        f"{_number(found.jaccard)} ({count(found.n, _noun(state))}{where})."
    )


def _dice_words(one: Overlap, other: Overlap) -> str:
    first, second = _called(one), _called(other)
    return first if first == second else f"{first} | {second}"


def _noun(state: SessionState) -> str:
    subject = state.current_subject
    return "instance" if subject is None else subject.noun


def _picture_title(side: Side) -> str:
    return side.name if side.column is None else f"{side.column.title} · {side.name}"
