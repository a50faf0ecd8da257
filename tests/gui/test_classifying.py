"""A classification under way, in the real window: progress, cancel, and what happens beside it."""

import math
import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QDialog, QTextBrowser

from napari_mil.encoders.efficientnet_lite import EfficientNetLite0Encoder
from napari_mil.gui.model.actions import close_subject


@pytest.fixture
def gate(monkeypatch):
    """Every batch of the encoder waits until it is let through."""
    semaphore = threading.Semaphore(0)
    semaphore.batches = []
    encode = EfficientNetLite0Encoder.encode

    def wait_and_encode(self, tiles):
        semaphore.acquire()
        semaphore.batches.append(len(tiles))
        return encode(self, tiles)

    monkeypatch.setattr(EfficientNetLite0Encoder, "encode", wait_and_encode)
    monkeypatch.setattr("napari_mil.inference.embedding.LARGEST_BATCH", 16)
    monkeypatch.setattr("napari_mil.inference.pipeline.PARTIAL_EVERY", 0.0)
    # A first partial answer that took long would hold back those of the batches let through next.
    monkeypatch.setattr("napari_mil.inference.pipeline.PARTIAL_SHARE", math.inf)
    yield semaphore
    open_gate(semaphore)


def open_gate(gate):
    gate.release(10_000)


def start_and_wait_for_overlay(bench, gate):
    bench.forget_features()
    bench.click(bench.classify_tab.button)
    gate.release(3)
    bench.wait_until(lambda: bool(bench.overlays))
    return bench.overlays[0]


def shown_tiles(layer):
    return int((~np.isnan(np.asarray(layer.data))).sum())


def test_the_overlay_fills_in_while_the_work_goes_on(bench, slide_path, gate):
    bench.open(slide_path)
    layer = start_and_wait_for_overlay(bench, gate)
    bench.wait_until(lambda: shown_tiles(layer) > 0)
    first = np.array(layer.data)
    assert bench.classify_tab.button.text() == "Cancel"
    assert "tiles/s" in bench.classify_tab.progress_text.text()
    gate.release(6)
    bench.wait_until(lambda: not np.array_equal(layer.data, first, equal_nan=True))
    bench.workbench.book.layer("subject", str(bench.state.current)).name = "renamed"
    open_gate(gate)
    bench.wait()
    assert bench.overlays == [layer], "a renamed slide keeps its overlay"
    assert shown_tiles(layer) == bench.state.shown_answer.prediction.n_instances
    assert layer.name == "attention · breast-malignancy · renamed"


def test_cancelling_a_second_run_leaves_the_first_answer_as_it_was(bench, slide_path, request):
    bench.open(slide_path)
    first = bench.classify()
    (layer,) = bench.overlays
    before = np.array(layer.data)
    place = tuple((first.coords[7] + first.tile_size0 / 2)[::-1] * 0.499)
    hovered = layer.get_status(place, world=True)["value"]
    gate = request.getfixturevalue("gate")
    bench.forget_features()
    bench.click(bench.classify_tab.button)
    gate.release(3)
    bench.wait_until(lambda: not np.array_equal(np.asarray(layer.data), before, equal_nan=True))
    bench.click(bench.classify_tab.button)
    n_batches = len(gate.batches)
    gate.release(5)
    bench.wait()
    assert len(gate.batches) <= n_batches + 1, "it stops within a batch"
    assert np.array_equal(np.asarray(layer.data), before, equal_nan=True)
    assert layer.get_status(place, world=True)["value"] == hovered != ""
    assert bench.state.shown_answer.prediction is first
    assert bench.classify_tab.card.isVisible()
    assert bench.classify_tab.message.text() == "Cancelled."


def test_an_overlay_deleted_by_hand_stays_deleted_while_the_run_goes_on(bench, slide_path, gate):
    bench.open(slide_path)
    layer = start_and_wait_for_overlay(bench, gate)
    bench.viewer.layers.remove(layer)
    open_gate(gate)
    bench.wait()
    assert bench.overlays == []
    assert bench.state.shown_answer is not None
    assert bench.notices == []


def test_another_subject_is_shown_while_one_is_classified(bench, slide_path, paint, noise, gate):
    slide = bench.open(slide_path).key
    start_and_wait_for_overlay(bench, gate)
    bench.workbench.open([paint(noise).path])
    bench.wait_until(lambda: len(bench.state.subjects) == 2)
    bench.wait_until(lambda: bench.overlays == [])
    assert bench.state.run.subject == slide
    assert not bench.viewer.canvas.overlays.text.visible
    open_gate(gate)
    bench.wait()
    assert bench.overlays == [], "the answer is of another slide"
    bench.classify_tab.subject_box.choose(slide)
    bench.wait()
    assert bench.state.shown_answer.subject == slide
    assert len(bench.overlays) == 1


def test_a_slide_closed_while_it_is_classified_breaks_nothing(bench, slide_path, gate):
    bench.open(slide_path)
    start_and_wait_for_overlay(bench, gate)
    bench.viewer.layers.remove(bench.layer("CMU-1-Small-Region"))
    open_gate(gate)
    bench.wait()
    assert bench.listed == []
    assert bench.notices == []
    assert bench.state.run is None


def test_the_whole_image_can_be_classified(bench, slide_path):
    bench.open(slide_path)
    bench.classify_tab.tissue_box.choose("whole")
    whole = bench.classify()
    bench.classify_tab.tissue_box.choose("detect")
    assert whole.n_instances > bench.classify().n_instances


def test_a_missing_scale_is_said_and_mended_in_the_window(bench, paint, noise):
    bench.open(paint(noise, mpp=None).path)
    assert "enter µm per pixel" in bench.slide_tab.scale.origin.text()
    assert bench.classify() is None
    assert len(bench.notices) == 1, "said once"
    assert bench.notices[0].startswith("painted.tiff has no resolution")
    assert bench.classify_tab.message.text() == ""
    assert "--" not in bench.notices[0], "no words of the command line"
    bench.slide_tab.scale.field.setValue(0.25)
    bench.click(bench.slide_tab.scale.apply_button)
    bench.wait()
    assert tuple(bench.layer("painted").scale) == (0.25, 0.25)
    assert bench.classify() is not None
    assert bench.classify_tab.message.text() == ""


def test_tiles_by_level_need_no_scale_and_the_card_says_so(bench, paint, noise):
    bench.open(paint(noise, mpp=None).path)
    bench.classify_tab.tiles_box.choose(0)
    assert bench.classify() is not None
    assert any("scale is unknown" in text for text in bench.classify_tab.card.texts)


def test_glass_is_refused_in_words(bench, paint):
    bench.open(paint(np.full((600, 600, 3), 243, np.uint8)).path)
    assert bench.classify() is None
    assert "shows no tissue" in bench.notices[0]


def test_hovering_over_the_overlay_says_what_the_tile_got(bench, slide_path):
    bench.open(slide_path)
    prediction = bench.classify()
    i = int(np.argmax(prediction.attention[:, 0]))
    x, y = (prediction.coords[i] + prediction.tile_size0 / 2) * 0.499
    status = bench.overlays[0].get_status((y, x), world=True)
    assert f"rank 1 of {prediction.n_instances}" in status["value"]
    assert f"tile {i}" in status["coordinates"]


def test_about_opens_the_card_of_the_classifier_that_answered(bench, slide_path):
    bench.open(slide_path)
    bench.classify("breast-malignancy")
    bench.classify_tab.classifier_box.choose("colon-epithelium")
    bench.classify_tab.card._link.linkActivated.emit("about")
    (dialog,) = [child for child in bench.workbench.findChildren(QDialog) if child.isVisible()]
    assert dialog.windowTitle() == "breast-malignancy"
    assert "Terms" in dialog.findChild(QTextBrowser).toPlainText()
    dialog.close()
    dialog.deleteLater()


def test_folders_of_images_are_classified_by_a_classifier_of_images(bench, image_classifier):
    folder, card = image_classifier
    bench.open(folder)
    bench.open(card)
    offered = ["colorectal-biopsy", "colorectal-grade", bench.state.classifier]
    assert bench.classify_tab.classifier_box.keys() == offered
    prediction = bench.classify()
    assert bench.notices == []
    assert prediction.n_instances == 4
    (overlay,) = bench.overlays
    assert shown_tiles(overlay) == 4
    for kind in ("clusters", "attention"):
        bench.inspect_tab.kind_box.choose(kind)
        bench.wait()
        assert len(bench.overlays) == 1
        assert bench.notices == []
    bench.workbench.inspection.step(1)
    bench.wait()
    assert bench.state.closeup.pixels.shape == (80, 80, 3)
    assert bench.inspect_tab.instance.title.text().startswith("Image")


@pytest.fixture(scope="module")
def image_classifier(tmp_path_factory):
    """A folder of images and the classifier that was trained on such folders."""
    from PIL import Image

    from napari_mil.training.cohorts.scanning import scan_annotated_folder
    from napari_mil.training.config import make_config
    from napari_mil.training.run import train

    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label, tint in (("a", 40), ("b", 160)):
        for k in range(4):
            folder = root / "cohort" / label / f"bag{k}{label}"
            folder.mkdir(parents=True)
            for i in range(4):
                pixels = random.integers(tint, tint + 60, (80, 80, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    cohort = scan_annotated_folder(root / "cohort")
    config = make_config(encoder="texture", aggregator="gated-abmil", epochs=2)
    train(cohort, config, out=root / "run")
    return root / "cohort/a/bag0a", root / "run/classifier"


def test_features_are_inspected_without_pixels(bench, shared, tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "bag.npy", random.normal(size=(30, 512)).astype(np.float32))
    bench.open(tmp_path / "bag.npy")
    bench.open(shared / "data/checkpoints/dsmil_c16_aggregator.pth")
    bench.classify()
    bench.workbench.inspection.step(1)
    bench.wait()
    assert bench.notices == []
    assert bench.inspect_tab.instance.isVisibleTo(bench.inspect_tab)
    bench.session.apply(close_subject, bench.state.current)
    bench.wait()
    assert bench.inspect_tab.instance.isHidden()
