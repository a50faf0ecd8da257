"""An export is asked for, written in the background, and its end is said."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.errors import OutputError
from napari_mil.events import CancellationToken
from napari_mil.exports.cards import FORMATS
from napari_mil.exports.source import ExportSource
from napari_mil.gui.controllers import exporting as module
from napari_mil.gui.controllers.exporting import EXPORT_JOB, ExportController, export_work
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.model.session import Session
from napari_mil.gui.views.export_dialog import ExportDialog
from napari_mil.gui.views.export_line import ExportLine
from tests.exports.answers import answer_on
from tests.gui.model.builders import answer, answered, card, features_subject, state_of
from tests.gui.training import FakeJobs, emit


@pytest.fixture
def room(monkeypatch, tmp_path):
    subject = features_subject()
    last_used = MagicMock(spec=LastUsed)
    last_used.folder.return_value = str(tmp_path)
    made = SimpleNamespace(
        session=Session(answered(state_of(subject), answer(subject, card()))),
        lines=[MagicMock(spec=ExportLine), MagicMock(spec=ExportLine)],
        jobs=FakeJobs(),
        last_used=last_used,
        ask_for_file=MagicMock(return_value=None),
        dialog=MagicMock(spec=ExportDialog),
        folder=tmp_path,
    )
    monkeypatch.setattr(module, "ExportDialog", lambda parent: made.dialog)
    made.controller = ExportController(
        made.session, made.lines, made.jobs, last_used, made.ask_for_file
    )
    return made


def ask(room):
    emit(room.lines[0].export_requested)
    return room.dialog


def shown(room):
    """Return what the dialog shows."""
    return room.dialog.render.call_args.args[0]


def export(room):
    emit(room.dialog.export_requested)
    room.jobs.run()


def test_a_button_opens_the_dialog_about_the_shown_answer(room):
    ask(room).open.assert_called_once_with()
    assert shown(room).path == str(room.folder / "bag.geojson.gz")
    assert EXPORT_JOB not in [job.kind for job in room.jobs.waiting]


def test_without_an_answer_no_dialog_opens(room):
    controller = ExportController(
        Session(state_of(features_subject())), [], room.jobs, room.last_used, room.ask_for_file
    )
    controller.ask(None)
    assert controller.dialog is None


def test_what_is_chosen_is_written_and_said(room):
    dialog = ask(room)
    emit(dialog.format_chosen, "csv")
    emit(dialog.path_entered, room.folder / "mine.csv")
    export(room)
    assert (room.folder / "mine.csv").read_text().count("\n") > 6
    run = room.session.state.export
    assert run.words == f"Written to {room.folder / 'mine.csv'}."
    assert not run.is_running
    room.last_used.remember_folder.assert_called_with("export", room.folder)


def test_what_a_reader_should_know_is_said(room):
    # Features do not tell what part of their slide is stored.
    ask(room)
    export(room)
    (remark,) = room.session.state.export.remarks
    assert "corner of the whole canvas" in remark


def test_both_lines_show_what_becomes_of_it(room):
    dialog = ask(room)
    emit(dialog.format_chosen, "csv")
    emit(dialog.export_requested)
    room.controller.render()
    assert [line.render.call_args.args[0].words for line in room.lines] == ["Writing bag.csv…"] * 2
    room.jobs.run()
    room.controller.render()
    assert room.lines[1].render.call_args.args[0].words.startswith("Written to ")


def test_the_offered_name_follows_the_format_until_a_person_writes_another(room):
    dialog = ask(room)
    emit(dialog.path_entered, room.folder / "bag.geojson.gz")
    emit(dialog.format_chosen, "csv")
    assert shown(room).path == str(room.folder / "bag.csv")
    emit(dialog.path_entered, room.folder / "mine.csv")
    emit(dialog.format_chosen, "hdf5")
    assert shown(room).path == str(room.folder / "mine.h5")


def test_a_file_that_is_browsed_for_begins_with_the_one_that_is_shown(room):
    room.ask_for_file.return_value = room.folder / "else" / "b"
    dialog = ask(room)
    emit(dialog.format_chosen, "csv")
    emit(dialog.browse_requested)
    path, asked_card = room.ask_for_file.call_args.args
    assert (path, asked_card.name) == (room.folder / "bag.csv", "csv")
    assert shown(room).path == str(room.folder / "else" / "b.csv")
    room.ask_for_file.return_value = None
    emit(dialog.browse_requested)
    assert shown(room).path == str(room.folder / "else" / "b.csv")


def test_the_next_dialog_begins_with_the_format_of_the_last(room):
    emit(ask(room).format_chosen, "html")
    ask(room)
    assert shown(room).formats.current == "html"


def test_a_format_that_does_not_fit_the_next_answer_is_not_offered_first(room):
    emit(ask(room).format_chosen, "png")
    ask(room)
    assert shown(room).formats.current == "geojson"


def test_a_failure_is_a_notice_and_the_line_is_empty(room, monkeypatch):
    def fail(*_, **__):
        raise OutputError("The disk is full.")

    monkeypatch.setattr(module, "export_prediction", fail)
    ask(room)
    export(room)
    assert [notice.text for notice in room.session.state.notices] == ["The disk is full."]
    assert (room.session.state.export.words, room.session.state.export.is_running) == ("", False)


def test_a_cancelled_export_leaves_no_file(room):
    ask(room)
    emit(room.dialog.export_requested)
    emit(room.lines[1].cancel_requested)
    room.jobs.run()
    assert room.session.state.export.words == "The export was cancelled."
    assert not list(room.folder.iterdir())


def test_one_export_at_a_time(room):
    ask(room)
    emit(room.dialog.export_requested)
    emit(room.dialog.export_requested)
    assert len(room.jobs.waiting) == 1


def test_a_slide_that_is_closed_meanwhile_is_written_to_its_end(paint, tmp_path):
    slide = paint(np.full((128, 128, 3), 200, np.uint8))
    source = ExportSource(answer_on(slide), slide)
    work = export_work(source, FORMATS["png"], tmp_path / "a.png")
    slide.close()
    assert work(lambda _: None, CancellationToken()) == ()
    assert (tmp_path / "a.png").is_file()
