"""The main path in a real window."""

import threading

import numpy as np
import pytest

from napari_mil.encoders.texture import TextureEncoder
from napari_mil.inference.pipeline import classify


def test_one_click_classifies_and_shows_where_the_model_looked(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    assert list(bench.overlays) == ["attention"]
    layer = bench.overlays["attention"]
    shown = np.asarray(layer.data)
    assert (~np.isnan(shown)).sum() == prediction.n_instances
    row, column = np.unravel_index(np.nanargmax(shown), shown.shape)
    hottest = prediction.coords[np.argmax(prediction.attention[:, 0])]
    centre = layer.data_to_world((row, column))
    assert np.array(centre[::-1]) / 0.499 + 0.5 - prediction.tile_size0 / 2 == pytest.approx(
        hottest, abs=0.51
    )
    texts = " ".join(bench.tab.card.texts)
    assert prediction.label in texts
    for p in prediction.probabilities:
        assert f"{p:.2f}" in texts
    assert f"{prediction.n_instances} tiles" in texts
    assert "Research use only" in texts
    assert bench.viewer.layers.units[0] == layer.units[0], "one unit for all layers"


def test_the_window_and_the_headless_twin_give_the_same_numbers(bench, slide_path):
    bench.open(slide_path)
    shown, headless = bench.classify(), classify(slide_path, "breast-malignancy", device="cpu")
    assert np.array_equal(shown.coords, headless.coords)
    assert shown.probabilities == pytest.approx(headless.probabilities, abs=1e-6)
    assert np.allclose(shown.attention, headless.attention, atol=1e-6)
    assert shown.slide == headless.slide


def test_instance_scores_light_up_in_front_of_attention(bench, slide_path):
    bench.open(slide_path)
    bench.choose("colon-epithelium")
    prediction = bench.classify()
    assert list(bench.overlays) == ["attention", "score: epithelium", "critical"]
    assert not bench.overlays["attention"].visible
    shown = np.asarray(bench.overlays["score: epithelium"].data)
    assert np.array_equal(
        np.sort(shown[~np.isnan(shown)]), np.sort(prediction.instance_scores[:, 1])
    )


def test_the_legend_names_the_overlay_that_is_in_front(bench, slide_path):
    bench.open(slide_path)
    bench.choose("colon-epithelium")
    bench.classify()
    text = bench.viewer.canvas.overlays.text
    assert (text.visible, text.text) == (True, "colon-epithelium · score: epithelium")
    assert [
        bench.overlays[name].colorbar.visible for name in ("attention", "score: epithelium")
    ] == [False, True]
    bench.overlays["score: epithelium"].visible = False
    assert not text.visible
    bench.overlays["attention"].visible = True
    assert text.text == "colon-epithelium · attention (rank)"
    assert [
        bench.overlays[name].colorbar.visible for name in ("attention", "score: epithelium")
    ] == [True, False]


def test_running_again_keeps_the_users_opacity_and_visibility(bench, slide_path):
    bench.open(slide_path)
    bench.classify()
    layer = bench.overlays["attention"]
    layer.opacity, layer.visible = 0.3, False
    bench.classify()
    assert bench.overlays["attention"] is layer
    assert (layer.opacity, layer.visible) == (0.3, False)


@pytest.fixture
def slow_encoder(monkeypatch):
    """Holds every batch until the test lets it go."""
    gate, batches = threading.Semaphore(0), []
    original = TextureEncoder.encode

    def encode(self, tiles):
        assert gate.acquire(timeout=30)
        batches.append(len(tiles))
        return original(self, tiles)

    monkeypatch.setattr(TextureEncoder, "encode", encode)
    monkeypatch.setattr("napari_mil.inference.embedding.LARGEST_BATCH", 16)
    monkeypatch.setattr("napari_mil.inference.pipeline.PARTIAL_EVERY", 0.0)
    gate.batches = batches
    yield gate
    for _ in range(10_000):
        gate.release()


def start_and_wait_for_overlay(bench, gate, batches=3):
    bench.click(bench.tab.button)
    for _ in range(batches):
        gate.release()
    bench.qtbot.waitUntil(lambda: "attention" in bench.overlays, timeout=30_000)


def test_the_overlay_fills_in_while_the_work_goes_on(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, slow_encoder)
    layer = bench.overlays["attention"]
    first = (~np.isnan(np.asarray(layer.data))).sum()
    assert first > 0
    assert bench.tab.button.text() == "Cancel"
    assert "tiles/s" in bench.tab.progress_text.text()
    for _ in range(6):
        slow_encoder.release()
    bench.qtbot.waitUntil(lambda: (~np.isnan(np.asarray(layer.data))).sum() > first, timeout=30_000)
    for _ in range(10_000):
        slow_encoder.release()
    bench.wait_for_jobs()
    assert (
        ~np.isnan(np.asarray(layer.data))
    ).sum() == bench.workbench.state.answer.prediction.n_instances


def test_cancel_ends_within_one_batch_and_leaves_no_half_answer(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, slow_encoder)
    bench.click(bench.tab.button)
    before = len(slow_encoder.batches)
    for _ in range(5):
        slow_encoder.release()
    bench.wait_for_jobs()
    assert len(slow_encoder.batches) <= before + 1
    assert bench.overlays == {}
    assert bench.tab.message.text() == "Cancelled."
    assert bench.tab.button.text() == "Classify"
    assert not bench.tab.card.isVisible()


def test_cancelling_a_second_run_leaves_the_first_answer_as_it_was(bench, slide_path, request):
    bench.open(slide_path)
    first = bench.classify()
    before = np.array(bench.overlays["attention"].data)
    place = tuple((first.coords[7] + first.tile_size0 / 2)[::-1] * 0.499)
    hovered = bench.overlays["attention"].get_status(place, world=True)["value"]
    gate = request.getfixturevalue("slow_encoder")
    bench.click(bench.tab.button)
    for _ in range(3):
        gate.release()
    layer = bench.overlays["attention"]
    bench.qtbot.waitUntil(
        lambda: not np.array_equal(np.asarray(layer.data), before, equal_nan=True), timeout=30_000
    )
    bench.click(bench.tab.button)
    for _ in range(5):
        gate.release()
    bench.wait_for_jobs()
    assert np.array_equal(np.asarray(bench.overlays["attention"].data), before, equal_nan=True)
    assert bench.overlays["attention"].get_status(place, world=True)["value"] == hovered != ""
    assert bench.workbench.state.answer.prediction is first
    assert bench.tab.card.isVisible()


def test_renaming_the_slide_during_a_run_keeps_its_overlay(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, slow_encoder)
    bench.viewer.layers["CMU-1-Small-Region"].name = "renamed"
    for _ in range(10_000):
        slow_encoder.release()
    bench.wait_for_jobs()
    assert (
        ~np.isnan(np.asarray(bench.overlays["attention"].data))
    ).sum() == bench.workbench.state.answer.prediction.n_instances


def test_an_overlay_deleted_by_hand_stays_deleted_and_breaks_nothing(
    bench, slide_path, slow_encoder
):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, slow_encoder)
    bench.viewer.layers.remove(bench.overlays["attention"])
    for _ in range(10_000):
        slow_encoder.release()
    bench.wait_for_jobs()
    assert bench.overlays == {}
    assert bench.workbench.state.answer is not None


def test_a_slide_closed_while_it_is_classified_breaks_nothing(bench, slide_path, slow_encoder):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, slow_encoder)
    bench.viewer.layers.clear()
    for _ in range(10_000):
        slow_encoder.release()
    bench.wait_for_jobs()
    assert len(bench.viewer.layers) == 0


def test_tissue_painted_by_the_user_is_what_is_classified(bench, slide_path):
    bench.open(slide_path)
    bench.click(bench.slide_tab.tissue_button)
    bench.wait_for_jobs()
    layer = bench.viewer.layers["CMU-1-Small-Region tissue"]
    assert bench.tab.tissue == "layer"
    painted = np.asarray(layer.data).copy()
    painted[: len(painted) // 2] = 0
    layer.data = painted
    prediction = bench.classify()
    assert prediction.coords[:, 1].min() > 2967 / 2 - prediction.tile_size0
    assert np.array_equal(np.asarray(layer.data), painted), "what was painted is not thrown away"


def test_the_whole_image_can_be_classified(bench, slide_path):
    bench.open(slide_path)
    bench.tab.tissue_box.setCurrentIndex(bench.tab.tissue_box.findData("whole"))
    whole = bench.classify()
    bench.tab.tissue_box.setCurrentIndex(bench.tab.tissue_box.findData("detect"))
    assert whole.n_instances > bench.classify().n_instances


def test_a_refusal_is_shown_in_words_and_mended_in_the_window(bench, paint, noise, notices):
    bench.open(paint(noise, mpp=None).path)
    assert "does not say" in bench.slide_tab._mpp_origin.text()
    assert bench.classify() is None
    assert bench.tab.message.text().startswith("painted.tiff has no resolution")
    assert notices == [bench.tab.message.text()]
    bench.slide_tab.mpp_field.setValue(0.25)
    bench.click(bench.slide_tab.mpp_button)
    assert bench.workbench.state.current.slide.mpp_source == "user"
    assert tuple(bench.viewer.layers["painted"].scale) == (0.25, 0.25)
    assert bench.classify() is not None
    assert not bench.tab.message.isVisible()


def test_tiles_by_level_need_no_scale(bench, paint, noise):
    bench.open(paint(noise, mpp=None).path)
    bench.tab.tiles_box.setCurrentIndex(bench.tab.tiles_box.findData("0"))
    assert bench.classify() is not None
    assert any("scale is unknown" in text for text in bench.tab.card.texts)


def test_glass_is_refused_in_words(bench, paint, notices):
    bench.open(paint(np.full((600, 600, 3), 243, np.uint8)).path)
    assert bench.classify() is None
    assert "shows no tissue" in bench.tab.message.text()


def test_hovering_over_the_overlay_says_what_the_tile_got(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    i = int(np.argmax(prediction.attention[:, 0]))
    x, y = (prediction.coords[i] + prediction.tile_size0 / 2) * 0.499
    status = bench.overlays["attention"].get_status((y, x), world=True)
    assert f"rank 1 of {prediction.n_instances}" in status["value"]
    assert f"tile {i}" in status["coordinates"]


def test_the_card_of_the_classifier_is_one_click_away(bench, slide_path):
    from qtpy.QtWidgets import QDialog, QTextBrowser

    bench.open(slide_path)
    bench.classify()
    bench.tab.card.about_requested.emit()
    (dialog,) = [child for child in bench.workbench.findChildren(QDialog) if child.isVisible()]
    assert "Terms" in dialog.findChild(QTextBrowser).toPlainText()
    dialog.close()
    dialog.deleteLater()


def test_a_window_begins_with_the_classifier_that_was_used_last(bench, slide_path):
    from napari_mil.gui.workbench import Workbench

    bench.open(slide_path)
    bench.choose("colon-epithelium")
    bench.click(bench.tab.button)
    bench.wait_for_jobs()
    bench.choose("breast-malignancy")  # chosen, but not used
    another = Workbench(bench.viewer)
    try:
        assert another.classify_tab.classifier == "colon-epithelium"
    finally:
        another.shut_down()
        another.deleteLater()
