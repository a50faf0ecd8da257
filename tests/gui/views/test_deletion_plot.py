"""Deletion curves in the Inspect tab."""

import pytest

from napari_mil.gui.model.snapshots.inspect import DeletionCurve
from napari_mil.gui.views.deletion_plot import DeletionPlot

CURVES = (
    DeletionCurve("contribution", 0.2, (0.0, 0.5, 1.0), (0.9, 0.1, 0.0)),
    DeletionCurve("random order", 0.5, (0.0, 0.5, 1.0), (0.9, 0.6, 0.0), is_reference=True),
)


@pytest.fixture
def plot(qtbot):
    made = DeletionPlot()
    qtbot.addWidget(made)
    return made


def test_curves_are_drawn_and_said_in_words(plot):
    plot.render(CURVES)
    plot.resize(300, plot.sizeHint().height())
    assert "contribution 0.20, random order 0.50" in plot.accessibleName()
    with_curves = plot.grab().toImage()
    plot.render(CURVES[:1])
    assert plot.grab().toImage() != with_curves


def test_without_curves_there_is_no_plot(plot):
    plot.render(())
    assert plot.isHidden()
