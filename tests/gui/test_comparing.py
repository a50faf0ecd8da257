"""Two answers about one slide in the real window."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mil.gui.model.compared import compared
from napari_mil.gui.model.comparing import CompareView
from napari_mil.gui.model.panels import Panel

CLASSIFIERS = ("breast-malignancy", "colon-epithelium")


def row_named(view, name):
    return next(row for row in view.table.texts() if row[0] == name)


def overlay_of(bench):
    return bench.workbench.book.layer("overlay")


@pytest.fixture
def two(bench, slide_path):
    bench.open(slide_path)
    for name in CLASSIFIERS:
        bench.classify(name)
    return bench, bench.show_panel(Panel.COMPARE)


def test_with_one_answer_the_panel_says_what_to_do(bench, slide_path):
    bench.open(slide_path)
    bench.classify(CLASSIFIERS[0])
    view = bench.show_panel(Panel.COMPARE)
    assert "one answer, of breast-malignancy" in view.reason.text()
    assert not view.table.isVisible()


def test_table_difference_and_curtain_of_two_classifiers(two):
    bench, view = two
    answers = {answer.classifier: answer for answer in bench.state.answers}
    shown, other = (answers[name] for name in reversed(CLASSIFIERS))
    for k, said in enumerate((shown, other), 1):
        name = said.prediction.classes[1]
        assert row_named(view, f"p({name})")[k] == f"{said.prediction.probabilities[1]:.2f}"
    assert row_named(view, "answer")[1:] == [
        shown.prediction.label,
        other.prediction.label,
        "differ",
    ]
    assert view.sentences.text().startswith("Rank correlation")

    view.choices.view_box.choose(CompareView.DIFFERENCE)
    bench.wait()
    low, high = overlay_of(bench).contrast_limits
    assert low == -high
    assert bench.viewer.canvas.overlays.text.text == "colon-epithelium − breast-malignancy (ranks)"

    view.choices.view_box.choose(CompareView.CURTAIN)
    view.choices.curtain_slider.setValue(300)
    bench.wait()
    both = compared(bench.state)
    image = overlay_of(bench).data
    column = round(0.3 * image.shape[1])
    assert 0 < column < image.shape[1]
    scores = both.first.values
    assert np.isin(image[:, :column][~np.isnan(image[:, :column])], scores).all()
    line = bench.workbench.book.layer("curtain")
    assert line.visible
    left_edge = overlay_of(bench).translate[1] - overlay_of(bench).scale[1] / 2
    assert line.data[0, 0, 1] == pytest.approx(left_edge + column * overlay_of(bench).scale[1])
    assert len(bench.overlays) == 1


def test_closing_the_panel_brings_the_shown_answer_back(two):
    bench, view = two
    view.choices.view_box.choose(CompareView.CURTAIN)
    bench.wait()
    view.parent().close()
    bench.wait_until(lambda: Panel.COMPARE not in bench.state.panels)
    bench.wait()
    assert not bench.workbench.book.layer("curtain").visible
    assert bench.viewer.canvas.overlays.text.text == "score: epithelium · colon-epithelium"


def test_a_curtain_line_that_is_removed_ends_the_curtain(two):
    bench, view = two
    view.choices.view_box.choose(CompareView.CURTAIN)
    bench.wait()
    bench.viewer.layers.remove(bench.workbench.book.layer("curtain"))
    bench.wait()
    assert bench.state.comparing.view is CompareView.SHOWN
    assert len(bench.overlays) == 1


def test_drawn_shapes_are_compared_with_both_maps(two):
    bench, view = two
    answer = bench.state.shown_answer
    centres = bench.state.current_subject.placement.centres(
        answer.layout, np.arange(len(answer.layout))
    )
    # Not on a centre.
    low, high = np.percentile(centres, (25, 75), axis=0) + 0.7
    corners = np.array([[low[0], low[1]], [low[0], high[1]], high, [high[0], low[1]]])
    inside = ((centres > low) & (centres < high)).all(1).sum()
    layer = bench.viewer.add_shapes([corners], shape_type="polygon", name="mine")
    layer.units = bench.state.current_subject.placement.units
    bench.viewer.layers.selection.active = layer
    bench.qtbot.mouseClick(view.choices.shapes_button, Qt.MouseButton.LeftButton)
    bench.wait()
    bench.wait_until(lambda: "AUC" in [row[0] for row in view.table.texts()])
    assert view.choices.reference_box.key == "mine"
    assert f"{inside} of {len(answer.layout)}" in view.sentences.text()
    bench.viewer.layers.remove(layer)


def test_the_picture_follows_the_canvas_and_moves_it(two):
    bench, view = two
    camera = bench.workbench.book.camera
    bench.workbench.compare.draw()
    before = bench.workbench.compare._place
    camera.zoom_to(camera.view.zoom * 4)
    bench.wait_until(lambda: bench.workbench.compare._place != before)
    assert bench.workbench.compare._place.centre == pytest.approx(before.centre)
    assert bench.workbench.compare._place.width == pytest.approx(before.width / 4)
    x, _ = camera.view.place.centre
    view.picture.dragged.emit(0.5, 0.0)
    moved = bench.workbench.compare._place.width / 2
    assert camera.view.place.centre[0] == pytest.approx(x - moved)
    bench.wait()
