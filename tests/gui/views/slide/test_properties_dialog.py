import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QWidget

from napari_mil.errors import UnreadableSlideError
from napari_mil.gui.views.slide.properties_dialog import PropertiesDialog

PROPERTIES = {"openslide.vendor": "aperio", "aperio.AppMag": "20"}


@pytest.fixture
def parent(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


def dialog_of(parent, read=lambda name: np.zeros((400, 900, 3), np.uint8)):
    dialog = PropertiesDialog(parent, "a", PROPERTIES, ["label", "macro"], read)
    dialog.show()
    return dialog


def test_properties_are_listed_and_copied(parent):
    dialog = dialog_of(parent)
    assert dialog.text.toPlainText() == "aperio.AppMag: 20\nopenslide.vendor: aperio"
    dialog.copy_button.click()
    assert QApplication.clipboard().text() == dialog.text.toPlainText()


def test_no_picture_of_the_glass_is_read_before_it_is_asked_for(parent):
    asked = []

    def read(name):
        asked.append(name)
        return np.zeros((400, 900, 3), np.uint8)

    dialog = dialog_of(parent, read)
    assert asked == []
    assert not dialog.picture.isVisible()
    dialog.picture_buttons[1].click()
    assert asked == ["macro"]
    assert dialog.picture.pixmap().width() == 320


def test_a_picture_that_cannot_be_read_says_why(parent):
    def read(name):
        raise UnreadableSlideError("a.svs has a label image that cannot be read.")

    dialog = dialog_of(parent, read)
    dialog.picture_buttons[0].click()
    assert "cannot be read" in dialog.picture.text()
