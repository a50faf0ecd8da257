"""The picture beside the table tells what the mouse does on it."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_mil.gui.model.subjects import Place
from napari_mil.gui.views.linked_picture import LinkedPicture


def move(widget, x, y):
    """Move the mouse with its left button down."""
    left = Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(x, y),
        QPointF(widget.mapToGlobal(QPoint(x, y))),
        left,
        left,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


@pytest.fixture
def picture(qtbot):
    made = LinkedPicture()
    qtbot.addWidget(made)
    made.resize(200, 100)
    made.show()
    made.dragged_by, made.clicked_at = [], []
    made.dragged.connect(lambda x, y: made.dragged_by.append((x, y)))
    made.pointed.connect(lambda x, y: made.clicked_at.append((x, y)))
    return made


def test_a_click_tells_where_and_moves_nothing(qtbot, picture):
    qtbot.mouseClick(picture, Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    assert picture.clicked_at == [(0.25, 0.5)]
    assert picture.dragged_by == []


def test_a_drag_tells_how_far_and_is_no_click(qtbot, picture):
    qtbot.mousePress(picture, Qt.MouseButton.LeftButton, pos=QPoint(50, 50))
    move(picture, 70, 50)
    move(picture, 90, 60)
    qtbot.mouseRelease(picture, Qt.MouseButton.LeftButton, pos=QPoint(90, 60))
    assert np.sum(picture.dragged_by, 0) == pytest.approx((0.2, 0.1))
    assert picture.clicked_at == []


def test_it_shows_pixels_and_marks_what_is_selected(picture):
    pixels = np.full((100, 200, 3), 90, np.uint8)
    picture.show_picture(pixels)
    plain = picture.grab().toImage()
    assert plain.pixelColor(100, 50).red() == 90
    picture.show_picture(pixels, Place(0.25, 0.2, 0.5, 0.5))
    marked = picture.grab().toImage()
    assert marked.pixelColor(50, 45).red() != 90
    assert marked.pixelColor(100, 50).red() == 90


def test_it_knows_its_size_in_pixels_of_the_screen(picture):
    ratio = picture.devicePixelRatioF()
    assert picture.pixel_size == (round(200 * ratio), round(100 * ratio))
