"""The card of figures: what is shown, and what a person tells by it."""

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt

from napari_mil.gui.model import judging as actions
from napari_mil.gui.model.judging import Judging, Plot
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.judging import judging_snapshot
from napari_mil.gui.views.train.judging_view import JudgingView
from napari_mil.inference.library import find_card
from napari_mil.training.evaluation.answers import Link
from tests.gui.judgements import judgement

CARD = find_card("breast-malignancy")


@pytest.fixture
def view(qtbot):
    made = JudgingView()
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    return made


def show(view, judging):
    state = SessionState(cards=(CARD,), classifier=CARD.name, judging=judging)
    view.render(judging_snapshot(state))


def test_without_figures_there_is_a_button_alone(view, qtbot):
    show(view, Judging())
    assert view.score_button.isEnabled()
    assert not view.headline.isVisible()
    assert not view.cancel_button.isVisible()
    with qtbot.waitSignal(view.score_requested, timeout=1000):
        view.score_button.click()


def test_a_score_under_way_can_be_cancelled(view, qtbot):
    show(view, actions.count(actions.start_scoring(Judging(), "cohort"), "bags", 1, 4))
    assert not view.score_button.isEnabled()
    assert view.bar.maximum() == 4
    assert "cohort" in view.progress_text.text()
    with qtbot.waitSignal(view.cancel_requested, timeout=1000):
        view.cancel_button.click()


@pytest.mark.parametrize("link", Link)
def test_figures_matrix_and_curves_are_seen(view, link):
    some = judgement(link)
    show(view, actions.show(Judging(), some))
    assert view.headline.isVisible()
    assert "balanced accuracy 0.75" in view.lines.text()
    confusion = some.curves.confusion
    assert view.table.rowCount() == len(confusion.rows)
    assert view.table.item(0, 0).text() == f"{confusion.counts[0, 0]:.3g}"
    drawn = len(view._plot.getPlotItem().listDataItems())
    assert drawn == 1 + 2 * len(some.curves.roc), "the diagonal and a line a repeat"


def test_a_click_on_a_number_lists_its_bags_and_a_double_click_opens_one(view, qtbot):
    some = judgement()
    judging = actions.show(Judging(), some)
    show(view, judging)
    assert not view.bag_list.isVisible()
    cell = view.table.visualItemRect(view.table.item(0, 1)).center()
    with qtbot.waitSignal(view.cell_chosen, timeout=1000) as told:
        qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
    assert told.args == [0, 1]
    show(view, actions.choose_cell(judging, 0, 1))
    assert view.bag_list.count() == len(some.curves.confusion.bags_in(0, 1))
    first = view.bag_list.visualItemRect(view.bag_list.item(0)).center()
    with qtbot.waitSignal(view.bag_opened, timeout=1000) as opened:
        qtbot.mouseClick(view.bag_list.viewport(), Qt.MouseButton.LeftButton, pos=first)
        qtbot.mouseDClick(view.bag_list.viewport(), Qt.MouseButton.LeftButton, pos=first)
    assert opened.args[0] in [bag for bag, _ in some.curves.confusion.bags_in(0, 1)]


def test_another_curve_is_told_and_drawn(view, qtbot):
    judging = actions.show(Judging(), judgement())
    show(view, judging)
    with qtbot.waitSignal(view.plot_chosen, timeout=1000) as told:
        view.plot_box.choose(Plot.CALIBRATION)
    assert told.args == [Plot.CALIBRATION]
    show(view, replace(judging, plot=Plot.CALIBRATION))
    assert len(view._plot.getPlotItem().listDataItems()) == 3


def test_a_mapping_is_told_when_it_is_written(view, qtbot):
    show(view, Judging())
    with qtbot.waitSignal(view.mapping_written, timeout=1000) as told:
        view.mapping_edit.setFocus()
        qtbot.keyClicks(view.mapping_edit, "A=b")
        qtbot.keyClick(view.mapping_edit, Qt.Key.Key_Return)
    assert told.args == ["A=b"]
