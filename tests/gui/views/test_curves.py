"""Curves of a run: what is drawn of its figures, and the epoch that a click chooses."""

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt

from napari_mil.gui.model.snapshots.train import HistorySnapshot
from napari_mil.gui.views.curves import AUC, LOSS, MASKED, RATE, Curves


@pytest.fixture
def curves(qtbot):
    made = Curves()
    qtbot.addWidget(made)
    made.resize(900, 200)
    made.show()
    return made


def row(epoch, **figures):
    return {"epoch": float(epoch), "loss": 1 / epoch, **figures}


def points(curves, figure):
    x, y = curves._lines[figure].getData()
    return [] if x is None else list(zip(x, y, strict=True))


def seen(curves):
    return [name for name, plot in curves._plots.items() if plot.isVisible()]


def test_every_epoch_is_drawn(curves):
    rows = tuple(row(k, validation_loss=2 / k, learning_rate=0.1) for k in (1, 2, 4))
    curves.render(HistorySnapshot(rows, 4, None, "run"))
    assert points(curves, "loss") == [(1, 1), (2, 0.5), (4, 0.25)]
    assert points(curves, "validation_loss") == [(1, 2), (2, 1), (4, 0.5)]
    assert curves._run.text() == "run"


def test_plots_without_a_figure_stay_away(curves):
    curves.render(HistorySnapshot((row(1), row(2)), 2, None, "run"))
    assert seen(curves) == [LOSS]
    figures = {"validation_auc": 0.75, "learning_rate": 0.1, "mask_ratio": 0.2}
    curves.render(HistorySnapshot((row(1, **figures), row(2, **figures)), 2, None, "run"))
    assert seen(curves) == [LOSS, AUC, RATE, MASKED]


def test_epochs_without_a_figure_leave_a_gap_and_no_zero(curves):
    rows = (row(1, validation_auc=0.75), row(2, validation_auc=None), row(3, validation_auc=0.5))
    curves.render(HistorySnapshot(rows, 3, None, "run"))
    assert points(curves, "validation_auc") == [(1, 0.75), (3, 0.5)]


def test_of_several_losses_the_one_of_the_text_is_drawn(curves):
    rows = tuple(
        {"epoch": float(k), "loss": 9.0, "loss: bag": 1 / k, "validation_loss": 1.0} for k in (1, 2)
    )
    curves.render(HistorySnapshot(rows, 2, None, "run"))
    assert points(curves, "loss") == [(1, 1), (2, 0.5)]


def test_one_epoch_alone_can_be_seen(curves):
    curves.render(HistorySnapshot((row(1),), 100, None, "run"))
    drawn = points(curves, "loss")
    assert len(drawn) == 2
    assert drawn[0][0] < 1 < drawn[1][0]


def test_what_is_gone_is_not_drawn_any_more(curves):
    curves.render(HistorySnapshot((row(1), row(2)), 2, 1, "run"))
    curves.render(HistorySnapshot((), 0, None, "other"))
    assert points(curves, "loss") == []
    assert not any(cursor.isVisible() for cursor in curves._cursors)
    assert seen(curves) == [LOSS]


def test_one_cursor_goes_through_all_plots(curves):
    rows = (row(1, learning_rate=0.1), row(2, learning_rate=0.1))
    curves.render(HistorySnapshot(rows, 2, 2, "run"))
    assert {cursor.value() for cursor in curves._cursors} == {2}
    assert all(cursor.isVisible() for cursor in curves._cursors[:1])


def test_an_area_below_a_half_is_seen_and_a_half_is_the_floor_otherwise(curves):
    def floor(area):
        rows = (row(1, validation_auc=area), row(2, validation_auc=0.75))
        curves.render(HistorySnapshot(rows, 2, None, "run"))
        return curves._plots[AUC].viewRange()[1][0]

    assert floor(0.25) < 0.25
    assert 0.4 < floor(0.75) < 0.5


class Click:
    """What pyqtgraph tells of a click."""

    def __init__(self, at):
        self._at = at

    def scenePos(self):
        return self._at


def click(curves, epoch):
    box = curves._plots[LOSS].vb
    middle = np.mean(box.viewRange()[1])
    curves._on_click(Click(box.mapViewToScene(QPointF(epoch, middle))))


def test_a_click_chooses_the_nearest_epoch_that_there_is(curves, qtbot):
    told = []
    curves.epoch_chosen.connect(told.append)
    click(curves, 1)
    assert told == [], "there is none yet"
    curves.render(HistorySnapshot(tuple(row(k) for k in range(1, 6)), 20, None, "run"))
    qtbot.wait(20)
    for epoch in (2.4, 2.6, 9):
        click(curves, epoch)
    assert told == [2, 3, 5]
    curves._on_click(Click(QPointF(-500, -500)))
    assert told == [2, 3, 5]


def test_a_real_click_reaches_the_plot(curves, qtbot):
    curves.render(HistorySnapshot(tuple(row(k) for k in range(1, 6)), 5, None, "run"))
    qtbot.wait(20)
    plot = curves._plots[LOSS]
    at = curves._canvas.mapFromScene(plot.vb.mapViewToScene(QPointF(3, 0.5)))
    with qtbot.waitSignal(curves.epoch_chosen, timeout=2000) as told:
        qtbot.mouseClick(curves._canvas.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert told.args == [3]


def test_the_axis_counts_in_whole_epochs(curves):
    axis = curves._plots[LOSS].getAxis("bottom")
    assert all(spacing >= 1 for spacing, _ in axis.tickSpacing(1, 3, 200))
