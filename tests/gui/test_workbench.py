"""The whole path in one real window."""

import shutil

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QPushButton

from napari_mil.gui.model import actions
from napari_mil.gui.model.actions import close_subject
from napari_mil.gui.samples import BAG, CASE, sample_path
from napari_mil.gui.views.slide.properties_dialog import PropertiesDialog
from napari_mil.inference.pipeline import classify


def test_with_nothing_open_there_is_one_sentence_and_what_can_be_done(bench):
    assert bench.workbench.start_page.isVisible()
    assert not bench.workbench.tabs.isVisible()
    buttons = bench.workbench.start_page.findChildren(QPushButton)
    assert [button.text() for button in buttons] == [
        "Open a slide…",
        "Open a folder of images…",
        "Open the sample slide",
        "Open the sample case",
        "Train…",
        "Worklist…",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [("Open the sample slide", "CMU-1-Small-Region"), ("Open the sample case", CASE)],
)
def test_samples_are_one_click_away(bench, text, name):
    buttons = bench.workbench.start_page.findChildren(QPushButton)
    (button,) = [button for button in buttons if button.text() == text]
    bench.click(button)
    bench.wait()
    assert bench.state.current_subject.name == name
    assert bench.workbench.tabs.isVisible()


def test_the_sample_case_has_a_classifier_and_the_slide_of_skin_is_unlike_breast(bench, slide_path):
    bench.open(sample_path(CASE))
    case = bench.classify("colorectal-biopsy")
    assert case.label == case.classes[-1]
    assert not case.unlikeness.is_unlike
    bench.open(slide_path)
    skin = bench.classify("breast-malignancy")
    assert skin.unlikeness.is_unlike
    assert "unlike what breast-malignancy was trained on" in " ".join(bench.classify_tab.card.texts)
    bench.inspect_tab.kind_box.choose("unlike")
    bench.wait()
    (overlay,) = bench.overlays
    assert overlay.name.startswith("unlike")
    assert tuple(overlay.contrast_limits) == (0, 2)


def test_a_slide_is_shown_at_its_scale_on_white_under_its_name(bench, slide_path):
    bench.open(slide_path)
    layer = bench.layer("CMU-1-Small-Region")
    assert layer.multiscale
    assert layer.rgb
    assert str(layer.units[0]) == "micrometer"
    assert bench.viewer.canvas.overlays.scale_bar.visible
    assert bench.viewer.canvas.background_color_override is not None
    assert bench.viewer.title == "CMU-1-Small-Region"


def test_a_landmark_is_drawn_at_the_same_place_by_every_level(bench, paint):
    level0 = np.full((1600, 2000, 3), 255, np.uint8)
    level0[700:900, 1200:1500] = 0
    bench.open(paint(level0, downsamples=(1, 4), tile=256).path)
    layer = bench.layer("painted")
    boxes = []
    for level in range(len(layer.data)):
        layer.locked_data_level = level
        picture = bench.viewer.screenshot(canvas_only=True, flash=False)[..., 0]
        # Left of the scale bar, which is black too.
        rows, columns = np.nonzero(picture[: -picture.shape[0] // 5] < 128)
        boxes.append((rows.min(), rows.max(), columns.min(), columns.max()))
    layer.locked_data_level = None
    per_pixel = 2000 / 0.5 / 1000
    assert np.ptp(np.array(boxes), axis=0).max() <= 2 + per_pixel / 4


def test_one_click_classifies_and_shows_where_the_model_looked(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    layer = bench.layer("attention")
    assert bench.overlays == [layer]
    shown = np.asarray(layer.data)
    assert (~np.isnan(shown)).sum() == prediction.n_instances
    row, column = np.unravel_index(np.nanargmax(shown), shown.shape)
    hottest = prediction.coords[np.argmax(prediction.attention[:, 0])]
    centre = layer.data_to_world((row, column))
    assert np.array(centre[::-1]) / 0.499 + 0.5 - prediction.tile_size0 / 2 == pytest.approx(
        hottest, abs=0.51
    )
    texts = " ".join(bench.classify_tab.card.texts)
    assert prediction.label in texts
    assert "breast-malignancy" in texts
    assert "CMU-1-Small-Region" in texts
    assert f"{prediction.n_instances} tiles" in texts
    assert "Research use only" in texts
    assert bench.viewer.layers.units[0] == layer.units[0], "one unit for all layers"
    headless = classify(slide_path, "breast-malignancy", device="cpu")
    assert np.array_equal(prediction.coords, headless.coords)
    assert prediction.probabilities == pytest.approx(headless.probabilities, abs=1e-6)
    assert np.allclose(prediction.attention, headless.attention, atol=1e-6)
    assert prediction.slide == headless.slide


def test_two_classifiers_never_mix_and_each_answer_comes_back_without_computing(bench, slide_path):
    bench.open(slide_path)
    first = bench.classify("breast-malignancy")
    bench.classify_tab.classifier_box.choose("colon-epithelium")
    assert "colon-epithelium is chosen now" in " ".join(bench.classify_tab.card.texts)
    second = bench.classify()
    assert second is not first
    assert len(bench.overlays) == 1
    text = bench.viewer.canvas.overlays.text.text
    assert "colon-epithelium" in text
    bench.classify_tab.classifier_box.choose("breast-malignancy")
    bench.wait()
    assert bench.state.shown_answer.prediction is first
    assert "breast-malignancy" in bench.viewer.canvas.overlays.text.text
    assert bench.state.run is None
    (overlay,) = bench.overlays
    assert overlay.name == "attention · breast-malignancy · CMU-1-Small-Region"


def test_every_subject_keeps_its_answer_and_its_camera(bench, slide_path):
    slide = bench.open(slide_path).key
    prediction = bench.classify()
    bench.viewer.scene.camera.zoom = 3
    bench.viewer.scene.camera.center = (0, 300, 200)
    bag = bench.open(sample_path(BAG)).key
    assert bench.state.shown_answer is None
    assert bench.classify_tab.card.isHidden()
    assert bench.visible_layers == ["mixed-size"], "one subject at a time"
    bench.classify_tab.subject_box.choose(slide)
    bench.wait()
    assert bench.state.shown_answer.prediction is prediction
    assert bench.viewer.scene.camera.zoom == pytest.approx(3)
    assert bench.viewer.scene.camera.center[1:] == pytest.approx((300, 200))
    assert bench.viewer.title == "CMU-1-Small-Region"
    assert bench.viewer.layers.selection.active in bench.overlays
    assert "breast-malignancy" in bench.viewer.canvas.overlays.text.text
    bench.viewer.layers.remove("CMU-1-Small-Region")
    bench.wait()
    assert bench.state.current == bag, "removing the layer closes the subject"
    assert not bench.viewer.canvas.overlays.text.visible
    assert bench.classify_tab.card.isHidden()


def test_a_bag_of_images_offers_only_classifiers_that_fit(bench):
    bench.open(sample_path(BAG))
    box = bench.classify_tab.classifier_box
    assert box.keys() == ["colorectal-biopsy", "colorectal-grade"]
    remarks = [box.itemData(row, Qt.ItemDataRole.ToolTipRole) for row in range(box.count())]
    refused = [remark for remark in remarks if remark and "not folders of images" in remark]
    assert len(refused) == box.count() - len(box.keys())
    assert bench.slide_tab.names.count() == 10


def test_a_published_checkpoint_classifies_features_of_its_width(bench, shared, tmp_path):
    np.save(tmp_path / "bag.npy", np.random.default_rng(0).normal(size=(60, 512)).astype("f4"))
    bench.open(tmp_path / "bag.npy")
    bench.open(shared / "data/checkpoints/dsmil_c16_aggregator.pth")
    assert bench.classify_tab.classifier_box.key == "dsmil_c16_aggregator.pth"
    prediction = bench.classify()
    assert bench.notices == []
    assert len(prediction.attention) == 60
    assert "dsmil_c16_aggregator.pth" in " ".join(bench.classify_tab.card.texts)


def test_a_changed_scale_moves_the_slide_and_marks_the_answer(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    assert not bench.slide_tab.scale.apply_button.isEnabled(), "nothing has changed"
    bench.slide_tab.scale.field.setValue(0.01)
    assert not bench.slide_tab.scale.apply_button.isEnabled(), "not plausible"
    bench.slide_tab.scale.field.setValue(0.25)
    bench.click(bench.slide_tab.scale.apply_button)
    bench.wait()
    assert tuple(bench.layer("CMU-1-Small-Region").scale) == (0.25, 0.25)
    assert bench.state.shown_answer.prediction is prediction
    texts = " ".join(bench.classify_tab.card.texts)
    assert "the scale is another" in texts
    bench.click(bench.classify_tab.card.renew_button)
    bench.wait()
    assert bench.state.shown_answer.prediction is not prediction
    assert "the scale is another" not in " ".join(bench.classify_tab.card.texts)


def test_painted_tissue_is_used_and_the_answer_says_that_it_is_older(bench, slide_path):
    bench.open(slide_path)
    before = bench.classify()
    bench.slide_tab.tissue_button.click()
    bench.wait()
    tissue = bench.layer("tissue")
    tissue.mode = "erase"
    tissue.brush_size = 40
    rows, columns = np.nonzero(tissue.data)
    upper = rows < np.median(rows)
    tissue.data_setitem((rows[upper], columns[upper]), 0)
    bench.wait_until(lambda: bench.state.current_subject.tissue.painted)
    assert "the tissue is another" in " ".join(bench.classify_tab.card.texts)
    after = bench.classify()
    assert after.n_instances < before.n_instances


def test_a_click_selects_an_instance_and_keys_step_by_rank(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    bench.workbench.show_tab(bench.inspect_tab)
    attention = prediction.attention[:, 0]
    order = np.argsort(-attention, kind="stable")
    bench.workbench.inspection.step(1)
    bench.wait()
    assert bench.state.selection.instance == order[0]
    assert bench.workbench.book.layer("selection").visible
    bench.workbench.inspection.step(1)
    bench.wait()
    assert bench.state.selection.instance == order[1]
    picture = bench.state.closeup
    assert picture.instance == order[1]
    assert picture.pixels.shape[0] == round(prediction.tile_size0)
    assert f"{attention[order[1]]:.2g}"[:3] in bench.inspect_tab.instance.rows.text()
    bench.workbench._acts()["clear_selection"]()
    bench.wait()
    assert bench.state.selection is None
    assert bench.inspect_tab.instance.isHidden()
    assert not bench.workbench.book.layer("selection").visible


def test_a_click_on_the_canvas_selects_what_lies_there(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    x, y = prediction.coords[5] + prediction.tile_size0 / 2
    bench.workbench.book.clicked.emit((y * 0.499, x * 0.499))
    bench.wait()
    assert bench.state.selection.instance == 5
    assert bench.workbench.tabs.currentWidget() is bench.inspect_tab


@pytest.mark.parametrize("kind", ["clusters", "masks"])
def test_clusters_and_masks_are_computed_when_they_are_chosen(bench, slide_path, kind):
    bench.open(slide_path)
    prediction = bench.classify()
    bench.workbench.show_tab(bench.inspect_tab)
    bench.inspect_tab.kind_box.choose(kind)
    bench.wait()
    assert bench.notices == []
    assert not any("attention" in name for name in bench.visible_layers), "one overlay at a time"
    (overlay,) = bench.overlays
    assert overlay.name.startswith(kind[:4])
    assert bench.inspect_tab.legend.isVisible()
    if kind == "clusters":
        bench.inspect_tab.cluster_box.setValue(7)
        bench.wait()
        assert "7 clusters" in bench.viewer.canvas.overlays.text.text
        answer = bench.state.shown_answer
        assert len(answer.trees[bench.state.linkage].triplets) == prediction.n_instances - 1
    bench.inspect_tab.kind_box.choose("attention")
    bench.wait()
    assert any("attention" in name for name in bench.visible_layers)


def test_cancel_answers_at_once_and_leaves_the_answer_before(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    bench.click(bench.classify_tab.button)
    bench.wait_until(lambda: bench.classify_tab.bar.value() > 0)
    assert bench.classify_tab.button.text() == "Cancel"
    bench.click(bench.classify_tab.button)
    assert bench.classify_tab.button.text() == "Cancelling…"
    bench.wait()
    assert bench.classify_tab.button.text() == "Classify"
    assert bench.classify_tab.message.text() == "Cancelled."
    assert bench.state.shown_answer is None


def test_closing_the_subject_of_a_run_ends_the_run(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    bench.click(bench.classify_tab.button)
    bench.wait_until(lambda: bench.classify_tab.bar.value() > 0)
    bench.session.apply(close_subject, bench.state.current)
    bench.wait()
    assert bench.state.run is None
    assert bench.notices == []
    assert bench.listed == []
    assert bench.workbench.start_page.isVisible()


@pytest.fixture
def slow_encoder(monkeypatch):
    """Encode few tiles at a time, slowly: the run is still under way when something happens."""
    import time

    from napari_mil.encoders.efficientnet_lite import EfficientNetLite0Encoder
    from napari_mil.inference import embedding

    encode = EfficientNetLite0Encoder.encode

    def encode_slowly(self, tiles):
        time.sleep(0.02)
        return encode(self, tiles)

    monkeypatch.setattr(EfficientNetLite0Encoder, "encode", encode_slowly)
    monkeypatch.setattr(embedding, "LARGEST_BATCH", 8)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated"])
def test_a_refusal_stays_until_it_is_closed_and_can_be_copied(
    bench, slide_path, spoil, tmp_path, kind
):
    path = tmp_path / "scan_07.svs"
    spoil(kind, path)
    bench.open(path, slide_path)
    (notice,) = bench.notices
    assert "scan_07.svs" in notice
    assert bench.state.current_subject.path == slide_path, "the others still open"
    copy, close = bench.workbench.notices._cards[0].findChildren(QPushButton)
    bench.click(copy)
    assert QApplication.clipboard().text() == notice
    bench.click(close)
    assert bench.notices == []


def test_a_slide_that_vanished_keeps_its_place_and_says_what_is_wrong(bench, slide_path, tmp_path):
    copy = tmp_path / "copy.svs"
    shutil.copy(slide_path, copy)
    bench.open(copy)
    copy.unlink()
    assert bench.classify() is None
    assert "copy.svs can no longer be read" in bench.notices[0]
    assert bench.visible_layers[0] == "copy"


def test_anything_dropped_on_the_dock_opens(bench, slide_path):
    drop(bench.workbench, slide_path, sample_path(BAG))
    bench.wait()
    assert [subject.name for subject in bench.state.subjects] == [
        "CMU-1-Small-Region",
        "mixed-size",
    ]


def drop(widget, *paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    widget.dropEvent(
        QDropEvent(
            QPointF(5, 5),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )


def test_dropping_on_the_canvas_or_file_open_asks_for_no_reader(bench, slide_path, monkeypatch):
    qt_viewer = bench.viewer.window._qt_viewer
    qt_viewer._qt_open([str(slide_path)], stack=False)
    bench.wait()
    assert bench.state.current_subject.path == slide_path


def test_opening_what_is_open_shows_it(bench, slide_path):
    slide = bench.open(slide_path).key
    bench.open(sample_path(BAG))
    bench.open(slide_path)
    assert bench.state.current == slide
    assert len(bench.state.subjects) == 2


def test_renaming_a_layer_renames_its_subject(bench, slide_path):
    bench.open(slide_path)
    bench.layer("CMU-1-Small-Region").name = "my slide"
    bench.wait()
    assert bench.state.current_subject.name == "my slide"
    assert bench.classify_tab.subject_box.currentText() == "my slide"
    assert bench.viewer.title == "my slide"


def test_an_overlay_deleted_by_hand_stays_away_until_it_is_asked_for(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    bench.viewer.layers.remove(bench.layer("attention"))
    bench.wait()
    assert bench.overlays == []
    assert bench.state.shown_answer.prediction is prediction, "no answer is lost by a deletion"
    bench.workbench._acts()["toggle_overlay"]()
    bench.wait()
    assert bench.layer("attention").visible


def test_opacity_changed_by_hand_stays_with_the_next_answer(bench, slide_path):
    bench.open(slide_path)
    bench.classify()
    bench.layer("attention").opacity = 0.4
    bench.classify("colon-epithelium")
    (overlay,) = bench.overlays
    assert overlay.opacity == pytest.approx(0.4)


def test_a_sparse_slide_is_shown_where_something_is(bench, shared):
    subject = bench.open(shared / "data/slides/derived/two-regions-mimic.scn")
    x, y, width, height = subject.slide.bounds
    centre = pytest.approx(((y + height / 2) * 0.5, (x + width / 2) * 0.5), rel=1e-3)
    bench.wait_until(lambda: bench.viewer.scene.camera.center[1:] == centre)
    assert bench.viewer.scene.camera.zoom * height * 0.5 <= bench.viewer.canvas.size[0]


def test_a_long_name_and_many_clusters_fit_the_dock(bench, slide_path):
    from qtpy.QtWidgets import QScrollArea

    bench.open(slide_path)
    bench.classify()
    name = "TCGA-AA-0000-01Z-00-DX1_with_a_name_that_has_no_spaces_and_does_not_end_soon_enough"
    bench.viewer.layers[0].name = name
    bench.workbench.show_tab(bench.inspect_tab)
    bench.inspect_tab.kind_box.choose("clusters")
    bench.wait()
    bench.inspect_tab.cluster_box.setValue(48)
    bench.wait()
    area = bench.inspect_tab.findChild(QScrollArea)
    assert area.widget().minimumSizeHint().width() <= area.viewport().width()


def test_a_slide_and_its_annotations_may_be_dropped_together(bench, slide_path, tmp_path):
    path = tmp_path / "regions.geojson"
    path.write_text(
        '{"type": "Feature", "properties": {"classification": {"name": "tumour"}}, "geometry":'
        ' {"type": "Polygon", "coordinates": [[[10, 10], [900, 10], [900, 900], [10, 10]]]}}'
    )
    bench.open(path, slide_path)
    assert bench.notices == []
    (layer,) = bench.state.current_subject.annotations
    assert layer.name == "regions.geojson"
    assert "regions.geojson" in " ".join(bench.visible_layers)


def test_the_eye_of_another_slide_shows_that_slide_alone(bench, slide_path, shared):
    bench.open(slide_path, shared / "data/slides/svs/tiny-16x16.svs")
    first, second = (subject.key for subject in bench.state.subjects)
    assert bench.state.current == second
    bench.workbench.book.layer("subject", str(first)).visible = True
    bench.wait()
    assert bench.state.current == first
    assert bench.workbench.book.layer("subject", str(first)).visible
    assert not bench.workbench.book.layer("subject", str(second)).visible
    assert bench.viewer.title == "CMU-1-Small-Region"


def test_home_fits_the_slide_that_is_shown(bench, slide_path, shared):
    bench.open(slide_path)
    bench.classify()
    bench.open(shared / "data/slides/svs/tiny-16x16.svs")
    bench.wait()
    fitted = bench.viewer.scene.camera.zoom
    bench.viewer.scene.camera.zoom = fitted / 50
    bench.viewer.reset_view()
    assert bench.viewer.scene.camera.zoom == pytest.approx(fitted, rel=0.01)


def test_another_scale_keeps_the_part_in_view(bench, slide_path):
    bench.open(slide_path)
    camera = bench.viewer.scene.camera
    camera.center = (0, 500, 400)
    camera.zoom = 2.0
    bench.workbench.slide_tab.scale.field.setValue(0.998)
    bench.workbench.slide_tab.scale.apply_button.click()
    bench.wait()
    assert camera.center[1:] == pytest.approx((1000, 800), rel=0.01)
    assert camera.zoom == pytest.approx(1.0, rel=0.01)


def test_events_of_one_turn_are_shown_once(bench):
    shown = []
    bench.workbench.session.changed.connect(lambda before, after: shown.append(after))
    with bench.workbench.session.together():
        for number in range(20):
            bench.workbench.session.apply(actions.add_notice, f"notice {number}", "")
    assert len(shown) == 1
    assert len(shown[0].notices) >= 20


def test_properties_and_the_pictures_of_the_glass_are_one_click_away(bench, slide_path):
    bench.open(slide_path)
    bench.click(bench.slide_tab.properties_button)
    (dialog,) = bench.workbench.findChildren(PropertiesDialog)
    assert "aperio.AppMag: 20" in dialog.text.toPlainText()
    words = [button.text() for button in dialog.picture_buttons]
    assert sorted(words) == ["Show label", "Show macro", "Show thumbnail"]
    dialog.close()
    dialog.deleteLater()


def test_the_navigator_moves_the_view_and_follows_it(bench, slide_path):
    bench.open(slide_path)
    navigator = bench.slide_tab.navigator
    whole = navigator.thumbnail.picture_rectangle
    point = (whole.topLeft() + whole.center()) / 2
    bench.qtbot.mouseClick(navigator.thumbnail, Qt.MouseButton.LeftButton, pos=point.toPoint())
    _, y, x = bench.viewer.scene.camera.center
    assert (x, y) == pytest.approx((2220 / 4 * 0.499, 2967 / 4 * 0.499), abs=10)
    ten = next(button for button in navigator.preset_buttons if button.text() == "10×")
    bench.click(ten)
    # 1 µm per pixel of the screen.
    assert bench.viewer.scene.camera.zoom == pytest.approx(1)
    bench.wait_until(lambda: navigator.readout.text().startswith("10×"))
    bench.wait_until(lambda: navigator.thumbnail.mark.height() < 0.8 * whole.height())
    bench.click(navigator.fit_button)
    bench.wait_until(lambda: not navigator.readout.text().startswith("10×"))


def test_an_entered_scale_comes_back_when_the_file_is_opened_again(bench, slide_path):
    subject = bench.open(slide_path)
    bench.slide_tab.scale.field.setValue(0.25)
    bench.click(bench.slide_tab.scale.apply_button)
    bench.click(bench.slide_tab.close_button)
    bench.wait()
    subject = bench.open(slide_path)
    assert subject.slide.mpp == 0.25
    assert "remembered" in bench.slide_tab.scale.origin.text()
    bench.click(bench.slide_tab.scale.own_button)
    bench.wait()
    assert bench.state.current_subject.slide.mpp == pytest.approx(0.499)
    bench.click(bench.slide_tab.close_button)
    bench.wait()
    assert bench.open(slide_path).slide.mpp == pytest.approx(0.499)


def test_a_channel_is_switched_off_in_the_layer_that_is_there(bench, shared):
    bench.open(shared / "data/slides/qptiff/small_vectra.qptiff")
    layer = bench.layer("small_vectra")
    lit = [bool(np.asarray(layer.data[-1])[..., k].any()) for k in range(3)]
    assert lit == [True, True, True]
    bench.click(bench.slide_tab.channels.boxes[0])
    bench.wait()
    assert bench.layer("small_vectra") is layer
    lit = [bool(np.asarray(layer.data[-1])[..., k].any()) for k in range(3)]
    assert lit == [True, True, False], "DAPI is blue"
    bench.click(bench.slide_tab.channels.boxes[0])
    bench.wait()
    assert np.asarray(layer.data[-1])[..., 2].any()
