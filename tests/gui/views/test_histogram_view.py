"""The histogram with the ends of the colours."""

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_mil.gui.model.snapshots.inspect import HistogramSnapshot
from napari_mil.gui.views.histogram_view import STEPS, HistogramView

SNAPSHOT = HistogramSnapshot((5, 3, 0, 1), 0.0, 4.0, (0.0, 4.0), is_set=False)


@pytest.fixture
def view(qtbot):
    made = HistogramView()
    qtbot.addWidget(made)
    made.resize(300, made.sizeHint().height())
    made.render(SNAPSHOT)
    made.show()
    return made


def drag(view, qtbot, start, end):
    """Press at a value, and move to another."""
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(round(view.x_of(start)), 10))
    place = QPointF(view.x_of(end), 10)
    left = Qt.MouseButton.LeftButton
    move = QMouseEvent(QEvent.Type.MouseMove, place, left, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(view, move)


def test_dragging_the_nearer_handle_moves_one_end_of_the_colours(view, qtbot):
    chosen = []
    view.window_chosen.connect(lambda low, high: chosen.append((low, high)))
    drag(view, qtbot, 0.2, 1.0)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton)
    assert chosen[-1] == pytest.approx((1.0, 4.0), abs=0.02)


def test_the_ends_stay_apart(view, qtbot):
    chosen = []
    view.window_chosen.connect(lambda low, high: chosen.append((low, high)))
    view.render(HistogramSnapshot((5, 3, 0, 1), 0.0, 4.0, (1.0, 1.1), is_set=True))
    drag(view, qtbot, 1.0, 3.0)
    low, high = chosen[-1]
    assert low < high == 1.1


def test_arrow_keys_move_the_ends_and_home_gives_the_whole_scale(view, qtbot):
    with qtbot.waitSignal(view.window_chosen) as moved:
        qtbot.keyClick(view, Qt.Key.Key_Right)
    assert moved.args == pytest.approx([4 / STEPS, 4.0])
    with qtbot.waitSignal(view.window_chosen) as moved:
        qtbot.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert moved.args == pytest.approx([0.0, 4 - 4 / STEPS])
    with qtbot.waitSignal(view.reset_requested):
        qtbot.keyClick(view, Qt.Key.Key_Home)


def test_without_values_there_is_no_histogram(view):
    view.render(None)
    assert not view.isVisibleTo(None)
