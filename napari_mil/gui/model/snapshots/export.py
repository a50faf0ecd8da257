"""What is shown of exports: a line on tabs, and the dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from napari_mil.exports.cards import FORMATS
from napari_mil.exports.exporting import reason_against
from napari_mil.exports.source import ExportSource
from napari_mil.gui.model.exporting import ExportForm, target_of
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices

NO_ANSWER = "Classify something first."
UNDER_WAY = "An export is under way."
REPLACES = "A file of this name is there and will be replaced."
ONLY_REPORTS = "Only a report of a slide shows it."
REPORTS = ("html", "pdf")


@dataclass(frozen=True)
class ExportSnapshot:
    """The button *Export…* and the line below it."""

    reason: str = NO_ANSWER
    """Why nothing can be exported; empty where something can."""
    words: str = ""
    """What is being written, or what became of the last export; empty for nothing."""
    remarks: str = ""
    """What a reader of the file should know."""
    is_running: bool = False


@dataclass(frozen=True)
class ExportFormSnapshot:
    """The dialog of exports."""

    title: str = ""
    formats: Choices = field(default_factory=Choices)
    holds: str = ""
    """What the chosen format holds."""
    path: str = ""
    anonymous: bool = False
    with_label: bool = False
    label_reason: str = ""
    """Why no label can be shown; empty where one can."""
    warning: str = ""
    """What will be lost; empty for nothing."""


def export_snapshot(state: SessionState) -> ExportSnapshot:
    """Return what the tabs show of exports."""
    run = state.export
    if run is not None and run.is_running:
        return ExportSnapshot(UNDER_WAY, run.words, is_running=True)
    reason = NO_ANSWER if state.shown_answer is None else ""
    if run is None or run.subject != state.current:
        return ExportSnapshot(reason)
    return ExportSnapshot(reason, run.words, " ".join(run.remarks))


def export_form_snapshot(
    form: ExportForm, source: ExportSource, exists: Callable[[Path], bool]
) -> ExportFormSnapshot:
    """Return what the dialog shows.

    Parameters
    ----------
    form
        What was chosen.
    source
        What is exported.
    exists
        Says whether there is a file at a path.
    """
    entries = tuple(
        Choice(card.name, card.title, reason_against(card, source)) for card in FORMATS.values()
    )
    path = target_of(form, source)
    holds = form.card.holds
    shows_label = form.format in REPORTS and source.slide is not None
    return ExportFormSnapshot(
        title=f"Export the answer about {source.title}",
        formats=Choices(entries, form.format),
        holds=f"{holds[:1].upper()}{holds[1:]}.",
        path=str(path),
        anonymous=form.anonymous,
        with_label=form.with_label and shows_label,
        label_reason="" if shows_label else ONLY_REPORTS,
        warning=REPLACES if exists(path) else "",
    )
