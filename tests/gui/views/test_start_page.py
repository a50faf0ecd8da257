"""What can be done while nothing is open."""

import pytest
from qtpy.QtWidgets import QPushButton

from napari_mil.gui.views.start_page import StartPage

SIGNALS = (
    "slides_requested",
    "images_requested",
    "sample_slide_requested",
    "sample_case_requested",
    "train_requested",
    "worklist_requested",
)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("Open a slide…", "slides_requested"),
        ("Open a folder of images…", "images_requested"),
        ("Open the sample slide", "sample_slide_requested"),
        ("Open the sample case", "sample_case_requested"),
        ("Train…", "train_requested"),
        ("Worklist…", "worklist_requested"),
    ],
)
def test_each_button_asks_for_one_thing(qtbot, text, signal):
    page = StartPage()
    qtbot.addWidget(page)
    told = []
    for name in SIGNALS:
        getattr(page, name).connect(lambda name=name: told.append(name))
    (button,) = [each for each in page.findChildren(QPushButton) if each.text() == text]
    button.click()
    assert told == [signal]
