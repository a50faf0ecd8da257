"""What is shown of exports."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_mil.exports.cards import FORMATS
from napari_mil.gui.model import actions
from napari_mil.gui.model.exporting import ExportForm, end_export, export_source, start_export
from napari_mil.gui.model.snapshots.export import (
    NO_ANSWER,
    ONLY_REPORTS,
    REPLACES,
    UNDER_WAY,
    export_form_snapshot,
    export_snapshot,
)
from tests.gui.model import builders as build


def answered(subject):
    return build.answered(build.state_of(subject), build.answer(subject, build.card()))


def form_of(subject, *, exists=False, **choices):
    """Return what the dialog shows about the answer of a subject."""
    form = ExportForm(**choices)
    return export_form_snapshot(form, export_source(answered(subject)), lambda _: exists)


def reasons_of(snapshot):
    return {entry.key: entry.reason for entry in snapshot.formats.entries}


def test_without_an_answer_the_button_says_why():
    assert export_snapshot(build.state_of(build.slide_subject())).reason == NO_ANSWER
    assert export_snapshot(answered(build.slide_subject())).reason == ""


def test_one_export_at_a_time():
    state = start_export(answered(build.slide_subject()), "Writing…")
    running = export_snapshot(state)
    assert (running.reason, running.words, running.is_running) == (UNDER_WAY, "Writing…", True)
    done = export_snapshot(end_export(state, state.export.number, "Written."))
    assert (done.reason, done.words, done.is_running) == ("", "Written.", False)


def test_another_subject_does_not_show_what_became_of_this_ones_export():
    state = start_export(answered(build.slide_subject()), "Writing…")
    state = end_export(state, state.export.number, "Written.")
    state = actions.add_subject(state, build.slide_subject(2, "b.svs"))
    assert export_snapshot(state).words == ""
    assert export_snapshot(actions.choose_subject(state, 1)).words == "Written."


def test_every_format_is_offered_and_a_slide_takes_all():
    snapshot = form_of(build.slide_subject())
    assert reasons_of(snapshot) == dict.fromkeys(FORMATS, "")
    assert snapshot.path.endswith(".geojson.gz")
    assert snapshot.title.startswith("Export the answer about ")


def test_features_without_their_slide_make_no_pictures():
    reasons = reasons_of(form_of(build.features_subject()))
    assert "give the slide" in reasons["png"]
    assert reasons["geojson"] == ""


def test_images_go_into_tables_and_reports():
    subject = build.images_subject()
    state = answered(subject)
    source = export_source(state)
    named = replace(source.prediction, coords=None, names=subject.images.names)
    snapshot = export_form_snapshot(
        ExportForm("csv"), replace(source, prediction=named), lambda _: False
    )
    assert {name for name, reason in reasons_of(snapshot).items() if not reason} == {
        "csv",
        "hdf5",
        "h5ad",
        "html",
        "pdf",
    }


@pytest.mark.parametrize(("name", "reason"), [("csv", ONLY_REPORTS), ("html", ""), ("pdf", "")])
def test_only_a_report_can_show_the_label(name, reason):
    snapshot = form_of(build.slide_subject(), format=name, with_label=True)
    assert snapshot.label_reason == reason
    assert snapshot.with_label is (not reason)


def test_a_file_that_would_be_lost_is_said():
    subject = build.slide_subject()
    assert form_of(subject, exists=True, folder=Path("x")).warning == REPLACES
    assert form_of(subject, folder=Path("x")).warning == ""
