"""The tab as a whole: drops, keys, the wheel, and messages that are not missed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_mil.events import Watched
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.judging import judging_snapshot
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.training import Phase, Training, Watch
from napari_mil.gui.views.train.train_tab import TrainTab
from tests.gui.training import slides

SET_UP = Training(cohort=slides(Path("slides")), out=Path("run"))


@pytest.fixture
def tab(qtbot):
    made = TrainTab()
    qtbot.addWidget(made)
    made.resize(380, 400)
    made.show()
    return made


def show(tab, training):
    state = SessionState(training=training)
    tab.render(train_snapshot(state), judging_snapshot(state))


def drop(widget, *paths):
    """Drop files onto a widget; say whether it took them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at = QPoint(40, 40)
    action = Qt.DropAction.CopyAction
    left = Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, action, data, left, none)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(at), action, data, left, none))
    return enter.isAccepted()


def test_one_folder_or_table_can_be_dropped_and_nothing_else(tab, tmp_path):
    told = []
    tab.path_dropped.connect(told.append)
    show(tab, Training())
    table = tmp_path / "labels.CSV"
    bag = tmp_path / "bag.npy"
    for file in (table, bag):
        file.touch()
    assert drop(tab, tmp_path)
    assert drop(tab, table)
    assert not drop(tab, bag), "a bag is no annotated folder"
    assert not drop(tab, tmp_path, table)
    assert not drop(tab)
    assert told == [str(tmp_path), str(table)]


def test_nothing_can_be_dropped_while_it_trains(tab, tmp_path):
    show(tab, replace(SET_UP, phase=Phase.RUNNING))
    assert not drop(tab, tmp_path)
    show(tab, replace(SET_UP, phase=Phase.DONE))
    assert drop(tab, tmp_path)


def test_the_form_waits_while_another_folder_is_looked_at(tab):
    show(tab, replace(SET_UP, looking="Looking at bags…"))
    assert not tab.run.button.isEnabled()
    show(tab, SET_UP)
    assert tab.run.button.isEnabled()


def test_the_form_makes_room_while_it_trains(tab):
    show(tab, SET_UP)
    assert tab.setup.isVisible()
    assert tab.regions.isVisible()
    show(tab, replace(SET_UP, phase=Phase.RUNNING))
    assert not tab.setup.isVisible()
    assert not tab.regions.isVisible()
    assert "gated-abmil" in tab.run.summary.text()


@pytest.mark.parametrize("name", ["aggregator", "epochs", "validation", "select", "slider"])
def test_the_wheel_scrolls_past_boxes_without_the_keyboard(tab, name):
    box = {
        "aggregator": tab.setup.aggregator_box,
        "epochs": tab.setup.epochs_box,
        "validation": tab.setup.advanced["validation"].native,
        "select": tab.setup.advanced["select"].native,
        "slider": tab.watch.epoch_slider,
    }[name]
    show(tab, SET_UP)
    box.clearFocus()
    said = getattr(box, "currentIndex", getattr(box, "value", None))
    before = said()
    turn = QWheelEvent(
        QPointF(box.rect().center()),
        QPointF(box.mapToGlobal(box.rect().center())),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, turn)
    assert said() == before
    assert not turn.isAccepted(), "it goes on to the scroll area"


def test_a_complaint_is_scrolled_to(tab, qtbot):
    show(tab, SET_UP)
    assert tab.run.message.visibleRegion().isEmpty()
    show(tab, replace(SET_UP, message="Patience is no number.", wrong_row="patience"))
    qtbot.waitUntil(lambda: not tab.run.message.visibleRegion().isEmpty())


@pytest.fixture
def focused(tab, qtbot):
    show(tab, SET_UP)
    tab.activateWindow()
    tab.setup.rate_edit.setFocus()
    qtbot.waitUntil(tab.setup.rate_edit.hasFocus)
    return tab


def test_a_key_starts_from_anywhere_in_the_tab(focused, qtbot):
    with qtbot.waitSignal(focused.run.start_requested, timeout=1000):
        qtbot.keyClick(
            focused.setup.rate_edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier
        )


def test_keys_step_through_the_watched_epochs(focused, qtbot):
    watched = Watched(np.zeros(4, np.float32), "score", np.array([0.5], np.float32), {})
    watch = Watch(Path("slide"), "run", ("left", "right"))
    for epoch in (1, 2, 3):
        watch = watch.with_epoch(epoch, watched)
    show(focused, replace(SET_UP, watch=watch))
    told = []
    focused.watch.epoch_chosen.connect(told.append)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Right):
        qtbot.keyClick(focused.setup.rate_edit, key, Qt.KeyboardModifier.AltModifier)
    assert told == [2, 1, 2]


def test_the_dock_is_never_wider_than_it_has_to_be(tab):
    show(tab, SET_UP)
    content = tab._area.widget()
    assert content.minimumSizeHint().width() <= 380
