"""Connects the button *Export…* with its dialog and the job that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtWidgets import QWidget

from napari_mil.events import CancellationToken
from napari_mil.exports.cards import FORMATS, FormatCard
from napari_mil.exports.exporting import export_prediction, reason_against
from napari_mil.exports.source import ExportSource
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.model import actions, exporting
from napari_mil.gui.model.exporting import ExportForm, export_source, target_of
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.snapshots.export import export_form_snapshot, export_snapshot
from napari_mil.gui.views.export_dialog import ExportDialog
from napari_mil.gui.views.export_line import ExportLine

EXPORT_JOB = "export"
FOLDER = "export"
"""Name of the dialog whose folder is remembered."""

AskForFile = Callable[[Path, FormatCard], Path | None]


class ExportController:
    """Asks what to write and where, and writes it in the background.

    Parameters
    ----------
    session
        Has the answer that is shown.
    lines
        Buttons that ask for an export.
    jobs
        Runs the work in a thread.
    last_used
        Remembers the folder.
    ask_for_file
        Asks for a file, beginning at a path.
    """

    def __init__(
        self,
        session: Session,
        lines: Sequence[ExportLine],
        jobs: JobRunner,
        last_used: LastUsed,
        ask_for_file: AskForFile,
    ) -> None:
        self._session = session
        self._lines = lines
        self._jobs = jobs
        self._last_used = last_used
        self._ask_for_file = ask_for_file
        self._form = ExportForm()
        self.dialog: ExportDialog | None = None
        for line in lines:
            line.export_requested.connect(lambda line=line: self.ask(line))
            line.cancel_requested.connect(self.cancel)

    def render(self) -> None:
        """Show what becomes of exports on every tab that has the button."""
        snapshot = export_snapshot(self._session.state)
        for line in self._lines:
            line.render(snapshot)

    def ask(self, parent: QWidget) -> None:
        """Show the dialog about the shown answer."""
        source = export_source(self._session.state)
        subject = self._session.state.current_subject
        if source is None or subject is None:
            return
        folder = Path(self._last_used.folder(FOLDER) or subject.path.parent)
        form = ExportForm(self._form.format, folder, anonymous=self._form.anonymous)
        if reason_against(form.card, source):
            fitting = (card for card in FORMATS.values() if not reason_against(card, source))
            form = replace(form, format=next(fitting).name)
        self._form = form
        dialog = ExportDialog(parent)
        self.dialog = dialog
        dialog.format_chosen.connect(
            lambda name: self._change(lambda form: exporting.choose_format(form, name))
        )
        dialog.path_entered.connect(self._on_path)
        dialog.browse_requested.connect(self._browse)
        dialog.anonymous_chosen.connect(
            lambda checked: self._change(lambda form: replace(form, anonymous=checked))
        )
        dialog.label_chosen.connect(
            lambda checked: self._change(lambda form: replace(form, with_label=checked))
        )
        dialog.export_requested.connect(self.export)
        self._render_dialog()
        # The answer that it is about stays the shown one.
        dialog.open()

    def cancel(self) -> None:
        """Stop the export that is under way."""
        self._jobs.cancel(EXPORT_JOB)

    def export(self) -> None:
        """Write the shown answer as the form says."""
        state = self._session.state
        source = export_source(state, self._form)
        if source is None or self._jobs.is_running(EXPORT_JOB):
            return
        card = self._form.card
        target = target_of(self._form, source)
        self._last_used.remember_folder(FOLDER, target.parent)
        self._session.apply(exporting.start_export, f"Writing {target.name}…")
        run = self._session.state.export
        assert run is not None
        job = self._jobs.start(EXPORT_JOB, export_work(source, card, target), patient=True)
        job.succeeded.connect(lambda remarks: self._on_written(run.number, target, remarks))
        job.failed.connect(lambda text, details: self._on_failed(run.number, text, details))
        job.cancelled.connect(lambda: self._end(run.number, "The export was cancelled."))

    def _on_written(self, number: int, target: Path, remarks: tuple[str, ...]) -> None:
        self._end(number, f"Written to {target}.", remarks)

    def _on_failed(self, number: int, text: str, details: str) -> None:
        self._end(number, "")
        self._session.apply(actions.add_notice, text, details)

    def _end(self, number: int, words: str, remarks: tuple[str, ...] = ()) -> None:
        self._session.apply(exporting.end_export, number, words, remarks)

    def _change(self, change: Callable[[ExportForm], ExportForm]) -> None:
        self._form = change(self._form)
        self._render_dialog()

    def _on_path(self, path: Path) -> None:
        source = export_source(self._session.state, self._form)
        # The name that was offered follows the other choices until a person writes another.
        if source is not None and path != target_of(self._form, source):
            self._change(lambda form: exporting.choose_path(form, path))

    def _browse(self) -> None:
        source = export_source(self._session.state, self._form)
        if source is None:
            return
        path = self._ask_for_file(target_of(self._form, source), self._form.card)
        if path is not None:
            self._on_path(path)

    def _render_dialog(self) -> None:
        source = export_source(self._session.state, self._form)
        if source is not None and self.dialog is not None:
            self.dialog.render(export_form_snapshot(self._form, source, Path.exists))


def export_work(
    source: ExportSource, card: FormatCard, target: Path
) -> Callable[[Tell, CancellationToken], tuple[str, ...]]:
    """Return what a thread does to write a file.

    The slide is held open until then, also where its subject is closed meanwhile.
    """
    slide = source.slide
    held = None if slide is None else slide.with_scale(slide.scale)

    def work(tell: Tell, cancel: CancellationToken) -> tuple[str, ...]:
        try:
            return export_prediction(
                source.prediction,
                card.name,
                target,
                pixels=held or source.images,
                choices=source.choices,
                grouping=source.grouping,
                cancel=cancel,
            )
        finally:
            if held is not None:
                held.close()

    return work
