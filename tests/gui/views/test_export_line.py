"""The button *Export…* and what becomes of it."""

from unittest.mock import MagicMock

import pytest

from napari_mil.gui.model.snapshots.export import NO_ANSWER, ExportSnapshot
from napari_mil.gui.views.export_line import TOOLTIP, ExportLine


@pytest.fixture
def line(qtbot):
    made = ExportLine()
    qtbot.addWidget(made)
    made.show()
    return made


def test_a_button_that_cannot_be_used_says_why(line):
    assert not line.button.isEnabled()
    assert line.button.toolTip() == NO_ANSWER
    line.render(ExportSnapshot(""))
    assert line.button.isEnabled()
    assert line.button.toolTip() == TOOLTIP


def test_a_running_export_can_be_stopped(line):
    line.render(ExportSnapshot("An export is under way.", "Writing a.csv…", is_running=True))
    assert line.words.text() == "Writing a.csv…"
    assert line.cancel_button.isVisible()
    line.render(ExportSnapshot("", "Written to a.csv.", "One thing to know."))
    assert not line.cancel_button.isVisible()
    assert line.words.text() == "Written to a.csv."
    assert line.remarks.text() == "One thing to know."


def test_a_long_path_does_not_widen_the_dock(line):
    words = f"Written to {'very_long_folder/' * 30}a.csv."
    line.render(ExportSnapshot("", words))
    assert line.minimumSizeHint().width() < 380
    assert line.words.toolTip() == words


def test_both_buttons_tell(line):
    heard = MagicMock()
    line.export_requested.connect(lambda: heard("export"))
    line.cancel_requested.connect(lambda: heard("cancel"))
    line.render(ExportSnapshot("", "Writing…", is_running=True))
    line.button.click()
    line.cancel_button.click()
    assert [call.args[0] for call in heard.call_args_list] == ["export", "cancel"]
