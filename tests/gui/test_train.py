"""The Train tab in a real window, training in a real process beside it."""

import json
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_mil import classify, load_classifier
from napari_mil.annotations import read_annotations
from napari_mil.encoders import list_encoders
from napari_mil.gui.controllers import training as controller
from napari_mil.gui.views.train_tab import DONE, IDLE, INTERRUPTED, PAUSED, RUNNING
from napari_mil.inference.card import list_classifiers
from napari_mil.networks import BACKBONES
from napari_mil.training.process import PATIENCE_S
from tests.conftest import write_pyramid

TILES = {"tile_px": "64", "mpp": "0.5", "mask": "none"}


@pytest.fixture
def regions(tmp_path, slide_path):
    """Regions of a real slide in two classes, annotated in one."""
    from napari_mil import open_slide

    with open_slide(slide_path) as slide:
        for k in range(12):
            folder = tmp_path / "regions" / ("left", "right")[k % 2]
            folder.mkdir(parents=True, exist_ok=True)
            write_pyramid(folder / f"region{k:02d}.tiff", slide.read_region((400 + 700 * (k % 2), 200 + 220 * (k // 2)), 0, (256, 256)))
    return tmp_path / "regions"


@pytest.fixture
def look(bench, tmp_path):
    """Return a function that looks at a folder, as after choosing it in the dialog."""

    def at(path, epochs=4, out=None, **fields):
        bench.workbench._show_training()
        bench.training.look_at(path)
        bench.wait_for_jobs()
        if bench.training.cohort is not None and bench.train_tab.button.isVisibleTo(bench.train_tab):
            bench.training.choose_out(out or tmp_path / "run")
            bench.train_tab.epochs_box.setValue(epochs)
            for name, value in fields.items():
                bench.train_tab.advanced[name].value = value
        return bench.train_tab

    return at


def wait_for_epochs(bench, n):
    bench.qtbot.waitUntil(lambda: len(bench.training.history.rows) >= n, timeout=120_000)


def features(tmp_path, n=10, dim=6, instances=12):
    random = np.random.default_rng(0)
    for k, label in enumerate(("benign", "malignant")):
        (tmp_path / "bags" / label).mkdir(parents=True)
        for i in range(n):
            bag = random.normal(size=(instances, dim)).astype(np.float32)
            bag[:4, k] += 3
            np.save(tmp_path / "bags" / label / f"{label}{i}.npy", bag)
    return tmp_path / "bags"


def test_names_that_the_tab_offers_are_those_of_the_registries():
    offered = {name for name, _ in controller.ENCODERS if name}
    assert offered == set(list_encoders()) | set(BACKBONES)


def test_what_was_found_is_shown_before_anything_runs(bench, look, regions, spoil):
    spoil("text", regions / "left" / "broken.svs")
    tab = look(regions)
    assert tab.facts.text() == "regions: 12 bags · 1 skipped"
    assert "left 6 · right 6" in tab.classes.text()
    assert "broken.svs" in tab.remark.text()
    assert tab.details_button.isVisibleTo(tab)
    assert tab.state == IDLE
    assert bench.training.history.rows == [] or not bench.workbench.jobs.is_running("train")


def test_training_from_the_window_draws_its_epochs_and_ends_in_classify(bench, look, regions):
    tab = look(regions, epochs=5, **TILES)
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("lr-ham"))
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "right" / "region01.tiff")))
    assert [entry.layer_name for entry in bench.workbench.state.slides] == ["region01"]
    tab.epochs_box.setValue(5)
    bench.click(tab.button)
    assert tab.state == RUNNING
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert [row["epoch"] for row in bench.training.history.rows] == [1, 2, 3, 4, 5]
    bench.qtbot.waitUntil(lambda: {"in training", "masked"} <= set(bench.overlays), timeout=60_000)
    overlay = bench.overlays["in training"]
    assert overlay.data.shape == (4, 4)
    assert np.isfinite(overlay.data).all()
    assert set(np.unique(bench.overlays["masked"].data[..., 3])) != {0}
    last = np.array(overlay.data)
    tab.epoch_slider.setValue(1)
    bench.qtbot.waitUntil(lambda: overlay.metadata["napari_mil_legend"].startswith("epoch 1 "), timeout=60_000)
    assert not np.array_equal(overlay.data, last)
    assert bench.training.watched.epochs == [1, 2, 3, 4, 5]
    assert "of 16 tiles masked" in tab.watch_facts.text()
    name = bench.training._installed
    assert name in list_classifiers()
    bench.click(tab.use_button)
    assert bench.tab.classifier == name
    bench.tab.tissue_box.setCurrentIndex(bench.tab.tissue_box.findData("whole"))
    prediction = bench.classify()
    assert prediction.classifier["name"] == name
    assert set(prediction.classes) == {"left", "right"}


def test_the_window_and_the_command_line_come_to_the_same_bits(bench, look, tmp_path):
    import subprocess
    import sys

    tab = look(features(tmp_path), epochs=3)
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE
    out = tmp_path / "again"
    done = subprocess.run(
        [sys.executable, "-m", "napari_mil", "train", str(tmp_path / "run" / "config.json"), "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = ((folder / "classifier" / "weights.safetensors").read_bytes() for folder in (tmp_path / "run", out))
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "method", "classes"),
    [
        ("breast", "0.25", {"tile_px": "64", "mpp": "0.25"}, ("benign", "malignant")),
        ("colon", "0.55", {"tile_px": "32", "mpp": "0.55"}, ("no-epithelium", "epithelium")),
        ("regions", "0.5", {"tile_px": "64", "mpp": "0.5"}, ("cmu-1", "tcga-cr-7395", "tcga-ht-7470")),
    ],
)
def test_real_annotated_folders_train_from_the_window_and_the_command_line(bench, look, shared, tmp_path, name, scale, method, classes):
    import subprocess
    import sys

    from scripts import cohorts

    source = shared / "data" / {"regions": "slides"}.get(name, name)
    folder = getattr(cohorts, name)(source, tmp_path / name, some=8 if name == "breast" else 5)
    tab = look(folder, epochs=3, mask="none", **method)
    assert bench.training.cohort.classes == classes
    if bench.training.cohort.without_scale:
        tab.scale_edit.setText(scale)
    if name == "colon":  # its regions teach DSMIL's instances
        tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil"))
        tab.epochs_box.setValue(3)
    watched = bench.training.cohort.bags[-1]
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(watched.path)))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)
    rows = bench.training.history.rows
    assert len(rows) == 3
    assert rows[-1]["loss"] < rows[0]["loss"]
    if name == "colon":
        assert "loss: instances" in rows[0]
    out = tmp_path / "again"
    command = [sys.executable, "-m", "napari_mil", "train", str(tmp_path / "run" / "config.json"), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, theirs = ((run / "classifier" / "weights.safetensors").read_bytes() for run in (tmp_path / "run", out))
    assert ours == theirs
    card = load_classifier(out / "classifier").card
    assert card.classes == classes
    assert bench.training._installed in list_classifiers()


def wait_until_it_stands(bench):
    """Wait for a second without an epoch; return how many there are."""
    rows = -1
    while rows != (rows := len(bench.training.history.rows)):
        bench.qtbot.wait(1000)
    return rows


def test_pause_go_on_cancel_and_resume(bench, look, tmp_path):
    tab = look(features(tmp_path, n=30, instances=60), epochs=400)
    bench.click(tab.button)
    wait_for_epochs(bench, 2)
    bench.click(tab.button)
    assert tab.state == PAUSED
    held = wait_until_it_stands(bench)
    assert held < 400, "a paused run stands still"
    bench.click(tab.button)
    wait_for_epochs(bench, held + 1)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert tab.state == INTERRUPTED
    assert "Resume" in tab.message.text()
    epochs = json.loads((tmp_path / "run" / "config.json").read_text())["epochs"]
    assert epochs == 400
    bench.click(tab.button)  # Resume
    wait_for_epochs(bench, held + 2)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert bench.training.history.rows[0]["epoch"] == 1, "the curves begin where the run began"


def child_of_this_window():
    return [child for child in psutil.Process().children(recursive=True) if "napari_mil.training.process" in " ".join(child.cmdline())]


def test_a_training_process_that_dies_leaves_the_window_and_the_checkpoint(bench, look, tmp_path, notices):
    tab = look(features(tmp_path, n=30, instances=60), epochs=400)
    bench.click(tab.button)
    wait_for_epochs(bench, 2)
    (child,) = child_of_this_window()
    os.kill(child.pid, signal.SIGKILL)
    bench.wait_for_jobs()
    assert tab.state == INTERRUPTED
    assert "ended unexpectedly" in notices[-1]
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_a_floating_workbench_goes_on_training(bench, look, tmp_path):
    from qtpy.QtWidgets import QDockWidget

    tab = look(features(tmp_path, n=30, instances=60), epochs=400)
    bench.click(tab.button)
    wait_for_epochs(bench, 2)
    dock = bench.workbench.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    dock.setFloating(True)
    bench.qtbot.wait(200)
    before = len(bench.training.history.rows)
    wait_for_epochs(bench, before + 2)
    dock.setFloating(False)
    bench.qtbot.wait(200)
    assert tab.state == RUNNING
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert not child_of_this_window()


def test_what_the_user_did_to_the_overlay_stays(bench, look, regions):
    tab = look(regions, epochs=300, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.click(tab.button)
    bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)
    bench.viewer.layers.remove(bench.overlays["in training"])
    wait_for_epochs(bench, len(bench.training.history.rows) + 3)
    bench.qtbot.wait(600)
    assert "in training" not in bench.overlays, "a layer that was removed stays away"
    tab.epoch_slider.setValue(2)
    bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)
    bench.viewer.layers.clear()  # the slide is closed while it is watched
    wait_for_epochs(bench, len(bench.training.history.rows) + 3)
    bench.qtbot.waitUntil(lambda: "closed" in tab.watch_facts.text(), timeout=60_000)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()


def test_curves_are_made_before_a_run_shown_with_it_and_drawn_while_hidden(bench, look, tmp_path):
    from napari_mil.gui.views.curves import Curves

    tab = look(features(tmp_path), epochs=3)

    def curves():
        return bench.viewer.window._qt_window.findChild(Curves)

    bench.qtbot.waitUntil(lambda: curves() is not None, timeout=60_000)
    if curves().isVisible():  # from the test before
        bench.training.history.toggle()
    assert not curves().isVisible()
    bench.click(tab.button)
    assert curves().isVisible()
    bench.click(tab.curves_button)
    assert not curves().isVisible()
    bench.wait_for_jobs()
    bench.click(tab.curves_button)
    assert curves().isVisible()
    epochs, _ = curves()._lines["loss"].getData()
    assert list(epochs) == [1, 2, 3]


def test_a_folder_that_cannot_be_trained_on_says_why_and_offers_nothing(bench, look, tmp_path):
    (tmp_path / "one" / "only").mkdir(parents=True)
    np.save(tmp_path / "one" / "only" / "a.npy", np.ones((3, 2)))
    tab = look(tmp_path / "one")
    assert "one class only" in tab.message.text()
    assert not tab.button.isVisibleTo(tab)
    tab = look(tmp_path / "nowhere")
    assert "is no folder" in tab.message.text()


def test_slides_without_a_scale_are_asked_about_before_anything_runs(bench, look, tmp_path, noise):
    for label in "ab":
        (tmp_path / "plain" / label).mkdir(parents=True)
        write_pyramid(tmp_path / "plain" / label / f"{label}.tiff", noise[:128, :128], mpp=None)
    tab = look(tmp_path / "plain", epochs=1, **TILES)
    assert tab.scale_edit.isVisibleTo(tab)
    assert "2 slides do not say their scale" in tab.message.text()
    bench.click(tab.button)
    assert not bench.workbench.jobs.is_running("train")
    tab.scale_edit.setText("0,5")
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()


@pytest.mark.parametrize(("field", "text"), [("rate", "abc"), ("rate", "-1"), ("patience", "2.5"), ("weight_decay", "much"), ("bags_per_step", "0")])
def test_bad_numbers_are_named_by_their_label_at_once(bench, look, tmp_path, field, text):
    tab = look(features(tmp_path))
    if field == "rate":
        tab.rate_edit.setText(text)
    else:
        tab.advanced[field].value = text
    bench.click(tab.button)
    assert not bench.workbench.jobs.is_running("train")
    assert "not" in tab.message.text()
    assert "_" not in tab.message.text(), "words of the window, not of the code"


def test_the_shares_of_a_strategy_can_be_set_and_come_back_with_the_run(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    form = tab.advanced
    tab._fold.expand(animate=False)
    assert not form["high"].native.isVisible()
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("r-ham"))
    assert [name for name in ("high", "low", "random", "consistency") if form[name].native.isVisible()] == ["high", "random", "consistency"]
    form["low"].value = "0.9"  # of another strategy: not shown, not used
    form["random"].value = "1"
    bench.click(tab.button)
    assert "Masked: random is a share of at least 0 and below 1, not 1.0" in tab.message.text()
    form["random"].value, form["consistency"].value = "0,25", "0.3"
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["strategy_options"] == {"random": 0.25, "consistency": 0.3}
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert (form["random"].value, form["high"].value) == ("0.25", "")
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("embedding-mean"))
    assert "strategy_options" not in tab.fields


def test_the_streams_of_dsmil_can_learn_in_turns(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    assert "alternate_streams" not in tab.fields, "attention MIL has one"
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil"))
    tab.epochs_box.setValue(2)
    tab.advanced["alternate_streams"].value = True
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    terms = [sorted(name for name, value in row.items() if name.startswith("loss: ") and value is not None) for row in bench.training.history.rows]
    assert terms[0] != terms[1], "another stream in each epoch"
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.advanced["alternate_streams"].value is True
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("ham"))
    assert "alternate_streams" not in tab.fields, "not under a strategy"


def drop(widget, *paths):
    """Drop files onto a widget; say whether it took them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at, action, left, none = QPoint(40, 40), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, action, data, left, none)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(at), action, data, left, none))
    return enter.isAccepted()


def test_a_dropped_folder_is_looked_at_and_a_dropped_run_is_opened(bench, look, tmp_path):
    root = features(tmp_path)
    bench.workbench._show_training()
    assert drop(bench.train_tab, root)
    bench.wait_for_jobs()
    assert bench.train_tab.facts.text() == "bags: 20 bags · 240 instances"
    assert not drop(bench.train_tab, root / "benign" / "benign0.npy"), "a bag is no annotated folder"
    assert not drop(bench.train_tab, root, tmp_path)
    tab = look(root, epochs=1)
    bench.click(tab.button)
    assert not drop(tab, tmp_path), "not while it trains"
    bench.wait_for_jobs()
    tab.set_empty()
    assert drop(tab, tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.state == DONE


def test_dialogs_begin_where_they_ended(bench, tmp_path, monkeypatch):
    root = features(tmp_path)
    began = []
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda parent, title, folder: began.append(folder) or str(root))
    for _ in range(2):
        bench.workbench._show_training()
        bench.click(bench.train_tab.folder_button)
        bench.wait_for_jobs()
    assert began[-1] == str(root)
    assert bench.training.cohort.root == root


def test_an_answer_about_a_folder_that_was_replaced_is_not_listened_to(bench, tmp_path, monkeypatch):
    first, second = features(tmp_path / "first"), features(tmp_path / "second", n=3)
    release, scan = threading.Event(), controller.scan_annotated_folder

    def slow(path, on_bag):
        if path == first:
            release.wait(30)
        return scan(path, on_bag)

    monkeypatch.setattr(controller, "scan_annotated_folder", slow)
    bench.workbench._show_training()
    bench.training.look_at(first)
    bench.qtbot.wait(50)
    late = bench.training._scan
    bench.training.look_at(second)
    bench.qtbot.waitUntil(lambda: bench.training.cohort is not None, timeout=60_000)
    ended = []
    late.ended.connect(lambda: ended.append(1))
    release.set()
    bench.qtbot.waitUntil(lambda: bool(ended), timeout=60_000)
    assert bench.training.cohort.root == second
    assert "6 bags" in bench.train_tab.facts.text()
    assert bench.train_tab.button.isVisibleTo(bench.train_tab)


def test_a_look_that_comes_to_nothing_leaves_what_was_there(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab.epochs_box.setValue(7)
    before = bench.training.cohort
    bench.training.look_at(tmp_path / "nowhere")
    bench.wait_for_jobs()
    assert "nowhere is no folder" in tab.message.text()
    assert (tab.state, tab.epochs_box.value(), bench.training.cohort) == (IDLE, 7, before)
    assert "20 bags" in tab.facts.text()
    assert tab.button.isVisibleTo(tab)


def test_the_wheel_scrolls_past_boxes_without_the_keyboard(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab._fold.expand(animate=False)
    for box in (tab.aggregator_box, tab.epochs_box, tab.advanced["validation"].native, tab.advanced["select"].native):
        box.clearFocus()
        said = getattr(box, "currentIndex", getattr(box, "value", None))
        before = said()
        at, none = QPointF(box.rect().center()), Qt.MouseButton.NoButton
        turn = QWheelEvent(
            at,
            QPointF(box.mapToGlobal(box.rect().center())),
            QPoint(0, -120),
            QPoint(0, -120),
            none,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(box, turn)
        assert said() == before
        assert not turn.isAccepted(), "it goes on to the scroll area"


def test_a_finished_run_whose_bags_are_gone_still_shows_what_came_out(bench, look, tmp_path):
    root = features(tmp_path)
    tab = look(root, epochs=1)
    bench.click(tab.button)
    bench.wait_for_jobs()
    root.rename(tmp_path / "elsewhere")
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.state == DONE
    assert tab.result_title.isVisibleTo(tab)
    assert "cannot be trained on any more" in tab.message.text()
    assert not tab.button.isVisibleTo(tab), "there is nothing to set another run up with"
    assert len(bench.training.history.rows) == 1


def interrupted(bench, look, root, out):
    tab = look(root, epochs=4000, out=out)
    tab.advanced["patience"].value = "4000"
    bench.click(tab.button)
    wait_for_epochs(bench, 2)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert tab.state == INTERRUPTED
    return tab


def test_an_interrupted_run_is_not_offered_to_other_bags_and_says_where_its_own_should_be(bench, look, tmp_path):
    root, run = features(tmp_path / "own"), tmp_path / "run"
    interrupted(bench, look, root, run)
    other = tmp_path / "other"
    for k, label in enumerate("abc"):
        (other / label).mkdir(parents=True)
        for i in range(2):
            np.save(other / label / f"{i}.npy", np.random.default_rng(k * 10 + i + 100).normal(size=(5, 6)).astype(np.float32))
    tab = look(other, epochs=1)
    bench.training.choose_out(run)
    assert "begun with other bags" in tab.message.text()
    assert tab.state == IDLE
    root.rename(tmp_path / "moved")
    bench.training.open_run(run)
    bench.wait_for_jobs()
    assert "Folder…" in tab.message.text()
    look(tmp_path / "moved", epochs=1)
    bench.training.choose_out(run)
    assert tab.state == INTERRUPTED
    assert tab.epochs_box.value() == 4000, "the settings are that run's"


def test_a_new_folder_begins_without_the_last_ones_curves_overlay_and_edits(bench, look, regions, tmp_path):
    tab = look(regions, epochs=3, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE
    bench.viewer.layers.clear()
    tab.scale_edit.setText("0.25")
    look_again = features(tmp_path)
    bench.training.look_at(look_again)
    bench.wait_for_jobs()
    assert not tab.epoch_slider.isEnabled()
    assert bench.training.history.rows == []
    assert not bench.training.history._dock.isVisible()
    assert tab.scale_edit.text() == ""
    assert tab.fields["epochs"] == 100, "as the recipe says"
    assert not {"tile_px", "mpp", "mask"} & set(tab.fields), "the files hold features"
    assert tab.encoder_box.currentText() == "in the files"


def test_another_run_on_the_watched_slide_hides_the_layers_of_the_one_before(bench, look, regions):
    tab = look(regions, epochs=3, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    for _ in range(2):
        bench.click(tab.button)
        bench.qtbot.waitUntil(lambda: tab.state == RUNNING, timeout=60_000)
        bench.wait_for_jobs()
        bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)
        bench.click(tab.button)  # Set up another run
        assert tab.state == IDLE
    shown = {layer.name: layer.visible for layer in bench.viewer.layers if "in training" in layer.name}
    assert shown == {"region00 · run · in training": False, "region00 · run-2 · in training": True}


def test_a_slide_that_was_closed_before_the_start_is_opened_to_be_watched(bench, look, regions):
    tab = look(regions, epochs=2, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.viewer.layers.clear()
    assert tab.watched
    bench.click(tab.button)
    bench.wait_for_jobs()
    bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)


def test_epochs_that_were_watched_before_a_cancel_can_still_be_shown_after_resuming(bench, look, regions):
    tab = look(regions, epochs=300, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.click(tab.button)
    wait_for_epochs(bench, 3)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    kept = bench.training.watched.epochs
    assert kept[0] == 1
    bench.click(tab.button)
    wait_for_epochs(bench, len(kept) + 2)
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert bench.training.watched.epochs[: len(kept)] == kept


def test_a_finished_run_can_be_judged_later(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=1)
    tab.folds_box.setCurrentIndex(tab.folds_box.findData("0"))
    bench.click(tab.button)
    bench.wait_for_jobs()
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert (tab.state, tab.cancel_button.text()) == (DONE, "Evaluate")
    bench.click(tab.cancel_button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert (tmp_path / "run" / "evaluation.json").is_file()
    assert "honest" in tab.result_line.text()
    assert not tab.cancel_button.isVisibleTo(tab)
    assert len(bench.training.history.rows) == 1, "the curves of the run are still there"


def test_too_many_folds_are_noticed_before_anything_is_trained(bench, look, tmp_path):
    tab = look(features(tmp_path, n=4), epochs=1)
    tab.folds_box.setCurrentIndex(tab.folds_box.findData("10"))
    bench.click(tab.button)
    assert "8 patients cannot be put into 10 folds" in tab.message.text()
    assert not bench.workbench.jobs.is_running("train")


def test_a_double_click_on_start_starts(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    bench.click(tab.button)
    bench.click(tab.button)
    assert tab.state == RUNNING
    bench.wait_for_jobs()
    assert tab.state == DONE


def test_a_complaint_goes_with_its_cause(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab.advanced["patience"].value = "soon"
    bench.click(tab.button)
    assert "Patience" in tab.message.text()
    assert tab.advanced["patience"].native.isVisibleTo(tab), "the fold opens where the number is"
    tab.advanced["patience"].value = "30"
    assert not tab.message.isVisibleTo(tab)


def test_a_reopened_run_counts_only_what_differs_from_its_recipe(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=3)
    tab.advanced["weight_decay"].value = "0.5"
    bench.click(tab.button)
    bench.wait_for_jobs()
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab._fold.text() == "Advanced (1 changed)"
    assert (tab.advanced["patience"].value, tab.advanced["weight_decay"].value, tab.epochs_box.value()) == ("", "0.5", 3)


def test_only_classifiers_that_take_such_bags_are_offered_as_a_start(bench, look, tmp_path, noise):
    from PIL import Image

    for label in "ab":
        for i in range(2):
            (tmp_path / "images" / label / str(i)).mkdir(parents=True)
            Image.fromarray(noise[:40, :40]).save(tmp_path / "images" / label / str(i) / "0.png")
    tab = look(tmp_path / "images")
    assert tab.start_box.findData("breast-malignancy") < 0, "it takes tiles of slides"
    assert not tab.advanced["mask"].enabled


def test_a_closed_workbench_takes_its_curves_with_it(bench):
    from napari_mil.gui.views.curves import Curves
    from napari_mil.gui.workbench import Workbench

    window = bench.viewer.window._qt_window
    before = len(window.findChildren(Curves))
    another = Workbench(bench.viewer)
    another.training.history.draw()
    assert len(window.findChildren(Curves)) == before + 1
    another.shut_down()
    another.deleteLater()
    bench.qtbot.waitUntil(lambda: len(window.findChildren(Curves)) == before, timeout=60_000)


def test_shapes_without_an_area_are_no_regions(bench, look, regions, notices):
    look(regions)
    bench.open(regions / "left" / "region00.tiff")
    bench.viewer.add_shapes([np.array([[0, 0], [10, 10]])], shape_type="line", name="a line")
    bench.workbench.regions.keep("left")
    assert "No shape in a line has an area" in notices[-1]
    assert not (regions / "left" / "region00.regions.geojson").exists()


def test_a_recipe_comes_with_the_method_and_leaves_the_users_own_numbers(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab._own_epochs = tab._own_rate = False
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("transmil"))
    assert (tab.epochs_box.value(), tab.rate_edit.text()) == (200, "0.0002")
    assert "Shao" in tab.recipe.text()
    tab.epochs_box.setValue(7)
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil-released"))
    assert (tab.epochs_box.value(), tab.rate_edit.text()) == (7, "0.0002")
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("hamil"))
    assert not tab.strategy_box.isEnabled()
    assert tab.strategy_box.toolTip()
    assert not tab.encoder_box.isEnabled(), "features are there already"
    assert "encoder" not in tab.fields


def test_fine_tuning_takes_method_and_tiles_from_its_start(bench, look, regions, tmp_path):
    tab = look(regions, epochs=2)
    tab.encoder_box.setCurrentIndex(tab.encoder_box.findData("lenet5"))
    tab.start_box.setCurrentIndex(tab.start_box.findData("breast-malignancy"))
    assert tab.fields["aggregator"] == "gated-abmil"
    assert not {"encoder", "tile_px", "mpp"} & set(tab.fields)
    tab.advanced["mask"].value = "none"
    tab.epochs_box.setValue(2)
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert load_classifier(tmp_path / "run" / "classifier").card.training["started from"]["name"] == "breast-malignancy"


def test_an_earlier_run_opens_with_its_settings_and_its_result(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=3)
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil"))
    tab.epochs_box.setValue(3)
    bench.click(tab.button)
    bench.wait_for_jobs()
    tab.set_empty()
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.state == DONE
    assert tab.aggregator_box.currentData() == "dsmil"
    assert len(bench.training.history.rows) == 3
    (tmp_path / "bags").rename(tmp_path / "moved")
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert "is no folder" in tab.message.text()
    bench.training.open_run(tmp_path)
    assert "holds no training run" in tab.message.text()


def test_an_evaluation_afterwards_reaches_the_card(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    tab.folds_box.setCurrentIndex(tab.folds_box.findData("5"))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert "honest protocol, 5 folds" in tab.result_line.text()
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["protocol"] == "honest"


def test_folders_of_images_train_from_the_window(bench, look, tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for label, level in (("dim", 60), ("bright", 200)):
        for b in range(6):
            folder = tmp_path / "cells" / label / f"{label}{b}"
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray((random.integers(0, 40, (30, 34, 3)) + level).astype(np.uint8)).save(folder / f"{i}.png")
    tab = look(tmp_path / "cells", epochs=3)
    assert not tab._watch.isVisibleTo(tab)
    tab.encoder_box.setCurrentIndex(tab.encoder_box.findData("lenet5"))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert not tab.use_button.isEnabled()
    assert "folders of images" in tab.use_button.toolTip()
    assert classify(tmp_path / "cells" / "dim" / "dim0", tmp_path / "run" / "classifier", device="cpu").names == ("0.png", "1.png", "2.png")


def test_shapes_become_regions_to_the_pixel_and_replace_their_earlier_selves(bench, look, regions):
    look(regions)
    entry = bench.open(regions / "left" / "region00.tiff")
    unit = entry.slide.mpp
    corners = (np.array([[10, 20], [10, 120], [70, 120], [70, 20]]) - 0.5) * unit  # (y, x), pixel corners
    layer = bench.viewer.add_shapes([corners], shape_type="rectangle", name="drawn")
    turned = np.array([[100, 100], [130, 130], [100, 160], [70, 130]]) * unit
    layer.add(turned, shape_type="ellipse")
    layer.add(np.array([[0, 0], [10, 10]]), shape_type="line")
    other = regions / "left" / "region00.geojson"
    other.write_text('{"type": "FeatureCollection", "features": []}')
    bench.workbench.regions.keep("left")
    kept = regions / "left" / "region00.regions.geojson"
    found = read_annotations(kept).regions
    assert [region.name for region in found] == ["left", "left"]
    assert found[0].area.bounds == pytest.approx((20, 10, 120, 70))
    radius = np.hypot(30, 30) / 2
    assert found[1].area.area == pytest.approx(np.pi * radius**2, rel=0.01)
    assert found[1].area.centroid.coords[0] == pytest.approx((130.5, 100.5), abs=0.1)
    layer.data = [corners]
    bench.workbench.regions.keep("right")
    assert [region.name for region in read_annotations(kept).regions] == ["right"], "not the same region in two classes"
    assert other.read_text().startswith("{"), "files of other programs are left alone"


def test_the_window_stays_alive_while_training_runs(bench, look, regions):
    """Every turn of the event loop in which training tells something is short: the work is in another process."""
    tab = look(regions, epochs=60, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    beats = []
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.monotonic()))
    timer.start()
    bench.click(tab.button)
    bench.wait_for_jobs()
    timer.stop()
    assert tab.state == DONE
    assert len(beats) > 100, "the event loop turned while training ran"
    assert not [child for child in child_of_this_window() if child.is_running()]
    assert PATIENCE_S < 10
