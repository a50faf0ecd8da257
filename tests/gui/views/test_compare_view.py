"""The Compare panel shows a snapshot and tells what a person chose."""

import pytest

from napari_mil.gui.model.comparing import CompareView as CanvasView
from napari_mil.gui.model.snapshots.compare import CompareSnapshot, compare_snapshot
from napari_mil.gui.views.compare_view import CompareView
from tests.gui.model.snapshots.test_compare import measured
from tests.gui.model.test_compared import annotated, region, two


@pytest.fixture
def view(qtbot):
    made = CompareView()
    qtbot.addWidget(made)
    made.resize(1300, 200)
    made.show()
    return made


def test_a_reason_stands_alone(view):
    view.render(CompareSnapshot())
    assert view.reason.isVisible()
    assert not view.table.isVisible()
    view.render(compare_snapshot(two()))
    assert not view.reason.isVisible()
    assert view.table.isVisible()


def test_figures_stand_below_the_names_of_both(view):
    view.render(compare_snapshot(measured(annotated(two(), region("tumour")))))
    heads = [view.table.horizontalHeaderItem(k).text() for k in range(4)]
    assert heads == ["", "malignancy", "grade", "difference"]
    names = [row[0] for row in view.table.texts()]
    assert names[:6] == ["p(normal)", "p(tumour)", "answer", "AUC", "Dice", "FROC"]
    assert view.sentences.text().startswith("Rank correlation")
    assert view.picture_title.text() == "score: tumour · grade"


def test_a_snapshot_is_shown_without_telling_anything(view):
    heard = []
    for signal in (view.other_chosen, view.view_chosen, view.curtain_moved, view.scale_chosen):
        signal.connect(heard.append)
    view.render(compare_snapshot(two(view=CanvasView.CURTAIN, curtain=0.2)))
    assert view.choices.curtain_slider.value() == 200
    assert heard == []
    view.choices.curtain_slider.setValue(300)
    view.choices.view_box.choose(CanvasView.DIFFERENCE)
    assert heard == [0.3, CanvasView.DIFFERENCE]


def test_line_and_scale_are_there_where_they_mean_something(view):
    choices = view.choices
    view.render(compare_snapshot(two(view=CanvasView.DIFFERENCE)))
    assert (choices.scale_box.isVisible(), choices.curtain_slider.isVisible()) == (True, False)
    view.render(compare_snapshot(two(view=CanvasView.CURTAIN)))
    assert (choices.scale_box.isVisible(), choices.curtain_slider.isVisible()) == (False, True)
    assert not choices.reference_box.isVisible()
    assert choices.shapes_button.isVisible()
