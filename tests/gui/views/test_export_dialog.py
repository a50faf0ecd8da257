"""The dialog that asks for a format and a file."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.snapshots.export import ONLY_REPORTS, REPLACES, ExportFormSnapshot
from napari_mil.gui.views.export_dialog import LABEL_TIP, ExportDialog

SHOWN = ExportFormSnapshot(
    title="Export the answer about a",
    formats=Choices(
        (Choice("csv", "CSV table"), Choice("png", "Picture", "give the slide")), "csv"
    ),
    holds="A row for each instance.",
    path="exports/a.csv",
    label_reason=ONLY_REPORTS,
)


@pytest.fixture
def dialog(qtbot):
    made = ExportDialog(None)
    qtbot.addWidget(made)
    made.render(SHOWN)
    made.show()
    return made


def heard(signal):
    listener = MagicMock()
    signal.connect(lambda *arguments: listener(*arguments))
    return listener


def test_it_shows_format_file_and_what_is_held(dialog):
    assert dialog.windowTitle() == SHOWN.title
    assert dialog.format_box.key == "csv"
    assert dialog.format_box.keys() == ["csv"]
    assert dialog.holds.text() == SHOWN.holds
    assert dialog.path.text() == SHOWN.path
    assert not dialog.warning.isVisible()


def test_showing_a_snapshot_tells_nothing(dialog):
    signals = (dialog.anonymous_chosen, dialog.label_chosen, dialog.path_entered)
    listeners = [heard(signal) for signal in signals]
    dialog.render(replace(SHOWN, anonymous=True, with_label=True, path="else.csv", label_reason=""))
    assert not any(listener.called for listener in listeners)
    assert dialog.anonymous_box.isChecked()
    assert dialog.label_box.isChecked()


def test_a_label_that_cannot_be_shown_says_why_and_one_that_can_warns(dialog):
    assert not dialog.label_box.isEnabled()
    assert dialog.label_box.toolTip() == ONLY_REPORTS
    dialog.render(replace(SHOWN, label_reason=""))
    assert dialog.label_box.isEnabled()
    assert dialog.label_box.toolTip() == LABEL_TIP


def test_a_file_that_will_be_replaced_is_said(dialog):
    dialog.render(replace(SHOWN, warning=REPLACES))
    assert dialog.warning.text() == REPLACES


def test_what_a_person_chooses_is_told(dialog):
    listeners = {
        name: heard(getattr(dialog, name))
        for name in ("anonymous_chosen", "path_entered", "browse_requested")
    }
    dialog.anonymous_box.click()
    dialog.path.setText(" mine.csv ")
    dialog.path.editingFinished.emit()
    dialog.browse_button.click()
    listeners["anonymous_chosen"].assert_called_once_with(True)
    listeners["path_entered"].assert_called_once_with(Path("mine.csv"))
    listeners["browse_requested"].assert_called_once_with()


def test_exporting_takes_a_name_that_is_still_being_typed_and_closes(dialog):
    order = MagicMock()
    dialog.path_entered.connect(lambda path: order("path", path))
    dialog.export_requested.connect(lambda: order("export"))
    dialog.path.setText("typed.csv")
    dialog.export_button.click()
    assert [call.args[0] for call in order.call_args_list] == ["path", "export"]
    assert not dialog.isVisible()


def test_cancelling_exports_nothing(dialog):
    listener = heard(dialog.export_requested)
    dialog.close_button.click()
    assert not listener.called
    assert not dialog.isVisible()
