import numpy as np
import pytest

from napari_mil.gui.controllers.slides import mpp_origin, slide_rows
from napari_mil.slides import Slide


def test_with_nothing_open_there_is_one_sentence_and_what_can_be_done(bench):
    assert bench.workbench._start.isVisible()
    assert not bench.workbench.tabs.isVisible()


def test_the_sample_is_one_click_away(bench):
    from qtpy.QtWidgets import QPushButton

    (button,) = [
        child
        for child in bench.workbench._start.findChildren(QPushButton)
        if child.text() == "Open the sample"
    ]
    button.click()
    assert bench.workbench.state.current.layer_name == "CMU-1-Small-Region"
    assert bench.workbench.tabs.isVisible()


def test_a_slide_is_shown_at_its_scale_on_white(bench, slide_path):
    bench.open(slide_path)
    layer = bench.viewer.layers["CMU-1-Small-Region"]
    assert layer.multiscale
    assert layer.rgb
    assert str(layer.units[0]) == "micrometer"
    assert bench.viewer.canvas.overlays.scale_bar.visible
    assert bench.viewer.title == "CMU-1-Small-Region"


def test_a_landmark_is_drawn_at_the_same_place_by_every_level(bench, paint):
    level0 = np.full((1600, 2000, 3), 255, np.uint8)
    level0[700:900, 1200:1500] = 0
    bench.open(paint(level0, downsamples=(1, 4), tile=256).path)
    layer = bench.viewer.layers["painted"]
    bench.viewer.reset_view()
    boxes = []
    for level in range(len(layer.data)):
        layer.locked_data_level = level
        picture = bench.viewer.screenshot(canvas_only=True, flash=False)[..., 0]
        rows, columns = np.nonzero(picture < 128)
        boxes.append((rows.min(), rows.max(), columns.min(), columns.max()))
    layer.locked_data_level = None
    per_pixel = 2000 / 0.5 / 1000
    assert np.ptp(np.array(boxes), axis=0).max() <= 2 + per_pixel / 4


def test_the_slide_tab_says_what_the_slide_is(slide, paint, noise):
    rows = dict(slide_rows(slide))
    assert rows["Name"] == "CMU-1-Small-Region.svs"
    assert rows["Size"] == "2220 × 2967 px"
    assert rows["Format"] == "aperio"
    assert mpp_origin(slide) == "From the file."
    assert "not plausible (352.8 (tiff)" in mpp_origin(paint(noise, mpp=352.8))
    assert "enter µm per pixel" in mpp_origin(paint(noise, mpp=None, name="b.tiff"))


def test_only_a_plausible_scale_can_be_applied(bench, slide_path):
    bench.open(slide_path)
    assert not bench.slide_tab.mpp_button.isEnabled(), "nothing has changed"
    bench.slide_tab.mpp_field.setValue(0.01)
    assert not bench.slide_tab.mpp_button.isEnabled()
    bench.slide_tab.mpp_field.setValue(0.25)
    assert bench.slide_tab.mpp_button.isEnabled()


def test_a_corrected_scale_moves_the_layer_and_drops_what_was_made_at_the_old_one(
    bench, slide_path
):
    bench.open(slide_path)
    bench.classify()
    bench.slide_tab.mpp_field.setValue(0.25)
    bench.click(bench.slide_tab.mpp_button)
    assert [layer.name for layer in bench.viewer.layers] == ["CMU-1-Small-Region"]
    assert tuple(bench.viewer.layers[0].scale) == (0.25, 0.25)
    assert bench.slide_tab.mpp_field.value() == 0.25


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder", "truncated"])
def test_what_is_no_slide_is_a_notice_and_the_window_lives_on(
    bench, notices, slide_path, spoil, tmp_path, kind
):
    path = tmp_path / "scan_07.svs"
    spoil(kind, path)
    bench.open(path)
    assert len(notices) == 1
    assert "scan_07.svs" in notices[0]
    assert "\n" not in notices[0]
    assert len(bench.viewer.layers) == 0
    bench.open(slide_path)
    assert len(bench.viewer.layers) == 1


def test_the_newest_slide_is_chosen_and_another_can_be(bench, slide_path, paint, noise):
    bench.open(slide_path)
    bench.open(paint(noise).path)
    assert bench.workbench.state.current.layer_name == "painted"
    bench.tab.slide_box.setCurrentIndex(bench.tab.slide_box.findData("CMU-1-Small-Region"))
    assert bench.workbench.state.current.layer_name == "CMU-1-Small-Region"
    bench.viewer.layers.remove("CMU-1-Small-Region")
    assert bench.workbench.state.current.layer_name == "painted"


def test_a_slide_is_closed_with_its_layer(bench, slide_path, monkeypatch):
    closed = []
    monkeypatch.setattr(Slide, "close", lambda self: closed.append(self.path))
    bench.open(slide_path)
    bench.viewer.layers.clear()
    assert closed == [slide_path]
    assert bench.workbench._start.isVisible()
    assert bench.viewer.canvas.background_color_override is None
    assert not bench.viewer.canvas.overlays.scale_bar.visible


def test_renaming_a_layer_keeps_it_the_chosen_slide(bench, slide_path):
    bench.open(slide_path)
    bench.viewer.layers[0].name = "my slide"
    assert bench.workbench.state.current.layer_name == "my slide"
    assert bench.tab.slide_box.currentText() == "my slide"
    bench.classify()
    assert "my slide · breast-malignancy · attention" in bench.viewer.layers


def test_a_corrected_scale_leaves_other_slides_alone(bench, slide_path):
    bench.open(slide_path)
    bench.open(slide_path)
    names = [layer.name for layer in bench.viewer.layers]
    bench.tab.slide_box.setCurrentIndex(bench.tab.slide_box.findData(names[0]))
    bench.slide_tab.mpp_field.setValue(0.25)
    bench.click(bench.slide_tab.mpp_button)
    assert [layer.name for layer in bench.viewer.layers] == names
    assert [tuple(layer.scale) for layer in bench.viewer.layers] == [(0.25, 0.25), (0.499, 0.499)]


def test_a_slide_that_vanished_cannot_be_rescaled_and_stays_as_it_is(
    bench, slide_path, tmp_path, notices
):
    import shutil

    copy = shutil.copy(slide_path, tmp_path / "copy.svs")
    bench.open(copy)
    (tmp_path / "copy.svs").unlink()
    bench.slide_tab.mpp_field.setValue(0.25)
    bench.click(bench.slide_tab.mpp_button)
    assert "copy.svs does not exist" in notices[0]
    assert [layer.name for layer in bench.viewer.layers] == ["copy"]


def test_a_duplicated_layer_shows_the_same_file(bench, slide_path):
    from copy import deepcopy

    bench.open(slide_path)
    layer = bench.viewer.layers[0]
    data = [deepcopy(level) for level in layer.data]
    assert np.array_equal(np.asarray(data[0][:10, :10]), np.asarray(layer.data[0][:10, :10]))
    assert deepcopy(layer.metadata)["napari_mil_slide"] is layer.metadata["napari_mil_slide"]


def test_a_sparse_slide_is_shown_where_something_is(bench, shared):
    entry = bench.open(shared / "data/slides/derived/two-regions-mimic.scn")
    x, y, width, height = entry.slide.bounds
    centre = pytest.approx(((y + height / 2) * 0.5, (x + width / 2) * 0.5), rel=1e-3)
    bench.qtbot.waitUntil(lambda: bench.viewer.scene.camera.center[1:] == centre, timeout=60_000)
    assert bench.viewer.scene.camera.zoom * height * 0.5 <= bench.viewer.canvas.size[0]
