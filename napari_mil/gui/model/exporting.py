"""Exports of the shown answer: what is written, what was asked for, what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mil.exports.cards import FORMATS, FormatCard
from napari_mil.exports.colours import MARK_COLOUR
from napari_mil.exports.glyphs import Glyph, Group
from napari_mil.exports.source import ExportChoices, ExportSource, Grouping, GroupKind
from napari_mil.gui.model.answers import Answer, ExportRun, critical_classes
from napari_mil.gui.model.display import Kind, scale_of
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.shown_groups import shown_groups

FIRST_FORMAT = next(iter(FORMATS))


@dataclass(frozen=True)
class ExportForm:
    """What a person chose in the dialog of exports."""

    format: str = FIRST_FORMAT
    folder: Path = Path()
    name: str = ""
    """Name of the file; empty takes that of the slide."""
    anonymous: bool = False
    with_label: bool = False

    @property
    def card(self) -> FormatCard:
        """Card of the format."""
        return FORMATS[self.format]


def export_source(state: SessionState, form: ExportForm | None = None) -> ExportSource | None:
    """Return the shown answer as it is shown, or None where there is none.

    Parameters
    ----------
    state
        Its display chooses column and scale; masks are those of the shown mining.
    form
        What else was chosen.
    """
    answer = state.shown_answer
    subject = state.current_subject
    if answer is None or subject is None:
        return None
    column = state.column
    form = form or ExportForm()
    choices = ExportChoices(
        column=None if column is None else column.key,
        scale=None if column is None else scale_of(state.display, column.kind),
        anonymous=form.anonymous,
        with_label=form.with_label,
    )
    masks = answer.masks.get(state.display.mining, answer.prediction.masks)
    prediction = replace(answer.prediction, masks=masks)
    if column is not None and column.kind is Kind.LIKENESS:
        # It is no column of the prediction, and is written because it is shown.
        shown = {column.key: answer.columns[column.key]}
        prediction = replace(prediction, evidence={**prediction.evidence, **shown})
    return ExportSource(
        prediction, subject.slide, subject.images, choices, _grouping(state, answer)
    )


def _grouping(state: SessionState, answer: Answer) -> Grouping | None:
    """Return the groups that the canvas shows, if any."""
    if state.column is not None:
        return None
    if state.display.kind is Kind.CRITICAL:
        glyph = Glyph(MARK_COLOUR, "frame")
        marks = tuple(
            Group(name, glyph, np.array([instance])) for instance, name in critical_classes(answer)
        )
        return Grouping(GroupKind.CRITICAL, str(GroupKind.CRITICAL), marks)
    groups, title = shown_groups(state, answer)
    if not groups:
        return None
    is_tree = state.display.kind is Kind.CLUSTERS
    return Grouping(GroupKind.CLUSTER if is_tree else GroupKind.MASKED, title, groups)


def choose_format(form: ExportForm, name: str) -> ExportForm:
    """Take another format; the name of the file gets its ending."""
    bare = form.name
    for suffix in form.card.suffixes:
        if bare.endswith(suffix):
            bare = bare.removesuffix(suffix)
            break
    form = replace(form, format=name)
    return replace(form, name=f"{bare}{form.card.suffixes[0]}" if bare else "")


def choose_path(form: ExportForm, path: Path) -> ExportForm:
    """Take another file, in the folder unless it names its own; a missing ending is added."""
    path = form.folder / path.expanduser()
    name = path.name
    if not name.endswith(form.card.suffixes):
        name += form.card.suffixes[0]
    return replace(form, folder=path.parent, name=name)


def target_of(form: ExportForm, source: ExportSource) -> Path:
    """Return the file that is written.

    Where none was named it is called after the slide, or after its fingerprint where names are
    left out.
    """
    if form.name:
        return form.folder / form.name
    facts = source.prediction.slide
    name = source.title
    if form.anonymous:
        bare = {key: value for key, value in facts.items() if key != "name"}
        name = replace(source, prediction=replace(source.prediction, slide=bare)).title
    return form.folder / f"{name}{form.card.suffixes[0]}"


def start_export(state: SessionState, words: str) -> SessionState:
    """Note that an export of the shown answer is under way."""
    assert state.current is not None
    run = ExportRun(state.next_key, state.current, words)
    return replace(state, export=run, next_key=state.next_key + 1)


def end_export(
    state: SessionState, number: int, words: str, remarks: tuple[str, ...] = ()
) -> SessionState:
    """Note what became of an export; another one's end changes nothing."""
    if state.export is None or state.export.number != number:
        return state
    ended = replace(state.export, words=words, remarks=remarks, is_running=False)
    return replace(state, export=ended)
