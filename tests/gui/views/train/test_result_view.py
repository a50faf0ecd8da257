"""The card of the classifier that a run came to."""

import pytest

from napari_mil.gui.model.snapshots.train import ResultSnapshot
from napari_mil.gui.views.train.result_view import ResultView


@pytest.fixture
def view(qtbot):
    made = ResultView()
    qtbot.addWidget(made)
    made.show()
    return made


def test_without_a_classifier_there_is_no_card(view):
    view.render(ResultSnapshot())
    assert not view.isVisible()


def test_name_and_figures_are_seen(view):
    view.render(ResultSnapshot("bags-gated-abmil", "epoch 3 of 5", "Choose it in Classify."))
    assert view.isVisible()
    assert view.title.toolTip() == "bags-gated-abmil"
    assert view.line.text() == "epoch 3 of 5"
    assert view.use_button.toolTip() == "Choose it in Classify."


@pytest.mark.parametrize(
    ("button", "signal"),
    [("use_button", "use_requested"), ("about_button", "about_requested")],
)
def test_it_leads_to_classify_and_to_the_card(view, qtbot, button, signal):
    view.render(ResultSnapshot("learned"))
    with qtbot.waitSignal(getattr(view, signal), timeout=1000):
        getattr(view, button).click()
