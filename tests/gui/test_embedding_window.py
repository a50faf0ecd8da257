"""The embedding below the canvas of the real window."""

import math

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.scene import scene
from napari_mil.inference.projections import principal_components


def drag(canvas, corners, modifier=Qt.KeyboardModifier.NoModifier):
    """Press at the first corner, move over the others and let go at the last."""
    kinds = QEvent.Type
    left = Qt.MouseButton.LeftButton
    moves = [(kinds.MouseMove, corner) for corner in corners[1:]]
    for kind, corner in [
        (kinds.MouseButtonPress, corners[0]),
        *moves,
        (kinds.MouseButtonRelease, corners[-1]),
    ]:
        QApplication.sendEvent(
            canvas, QMouseEvent(kind, QPointF(*map(float, corner)), left, left, modifier)
        )


def test_a_line_drawn_around_points_selects_their_tiles_everywhere(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.EMBEDDING)
    canvas = view.canvas
    expected, _ = principal_components(prediction.features.features, 2)
    assert bench.state.shown_answer.projections["pca"].points == pytest.approx(expected)
    places = canvas.places()
    left = places[:, 0] < np.median(places[:, 0])
    x = float(np.median(places[:, 0]))
    height = canvas.height()
    drag(canvas, [(0, 0), (x, 0), (x, height - 1), (0, height - 1)])
    selected = set(bench.state.selection.instances)
    assert selected == set(np.flatnonzero(places[:, 0] < x).tolist())
    assert len(selected) >= left.sum() - 1
    assert bench.inspect_tab.instance.title.text().endswith(f"and {len(selected) - 1} more")
    width = canvas.width()
    drag(
        canvas,
        [(x - 1, 0), (width - 1, 0), (width - 1, height - 1), (x - 1, height - 1)],
        Qt.KeyboardModifier.ShiftModifier,
    )
    assert len(bench.state.selection.instances) == len(places)


def test_clicks_select_a_tile_and_show_it_on_the_slide(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    canvas = bench.show_panel(Panel.EMBEDDING).canvas
    places = canvas.places()
    far = int(places[:, 0].argmax())
    at = QPoint(*np.rint(places[far]).astype(int).tolist())
    bench.qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at)
    assert bench.state.selection.instances == (far,)
    bench.workbench.book.camera.fit()
    bench.qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=at)
    assert bench.state.selection.instances == (far,)
    bench.qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert bench.state.selection is None


def test_what_is_selected_on_the_slide_is_marked_and_colours_follow_the_map(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    view = bench.show_panel(Panel.EMBEDDING)
    before = view.canvas.picture().copy()
    bench.workbench.inspection.step(1)
    bench.wait()
    marked = view.canvas.picture()
    assert not np.array_equal(before, marked)
    assert str(bench.state.selection.instance) in view.words.text()
    bench.inspect_tab.kind_box.choose("clusters")
    bench.wait()
    assert "clusters" in view.title.text()
    assert not np.array_equal(marked, view.canvas.picture())


def test_a_slider_of_shares_masks_more_tiles_on_the_slide(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    tab = bench.inspect_tab
    tab.kind_box.choose("masks")
    bench.wait()
    n = len(bench.state.layout)
    slider = tab.shares.sliders["high"]
    assert not slider.isHidden()
    assert tab.shares.sliders["low"].isHidden()
    slider.setValue(60)
    bench.wait_until(lambda: len(bench.state.shown_answer.masks) == 2)
    bench.wait()
    masked = math.ceil(0.3 * n)
    assert bench.workbench.book.layer("groups").visible
    (line,) = bench.session.state.shown_answer.masks[bench.state.display.mining].values()
    assert line.sum() == masked
    assert "(30 %)" in scene(bench.state).legend.text
    tab.shares.published_button.click()
    bench.wait()
    assert tab.shares.published_button.isHidden()
