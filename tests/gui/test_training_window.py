"""Training from a real window in a real process beside it.

Each run takes seconds, so that one run serves many questions.
"""

import json
import os
import signal
import time

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QFileDialog

from napari_mil import classify, load_classifier
from napari_mil.annotations import read_annotations
from napari_mil.cli.main import run as run_command
from napari_mil.encoders import adapted_cards
from napari_mil.events import EpochEnded
from napari_mil.gui.controllers.train import adapt
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.subjects import TissueChoice
from napari_mil.gui.model.training import Phase
from napari_mil.inference.library import list_classifiers
from napari_mil.training.process import PATIENCE_S
from tests.gui.training import TILES, child_of_this_window, features


@pytest.fixture
def look(bench, tmp_path):
    """Return a function that looks at a folder, as after choosing it in the dialog."""

    def at(path, epochs, **advanced):
        bench.workbench.show_training()
        bench.workbench.setup.look_at(path)
        bench.wait()
        bench.workbench.setup.choose_out(tmp_path / "run")
        setup = bench.train_tab.setup
        setup.epochs_box.setValue(epochs)
        for name, value in advanced.items():
            setup.advanced[name].value = value
        return bench.train_tab

    return at


def phase(bench):
    return bench.state.training.phase


def rows(bench):
    return bench.state.training.rows


def wait_for_epochs(bench, n):
    bench.wait_until(lambda: len(rows(bench)) >= n)


def title(bench):
    """Return what stands over the canvas."""
    text = bench.viewer.canvas.overlays.text
    return text.text if text.visible else ""


def curves(bench):
    from napari_mil.gui.views.curves import Curves

    return bench.viewer.window._qt_window.findChild(Curves)


def test_a_watched_slide_is_seen_to_be_learned_and_its_classifier_answers(bench, look, regions):
    tab = look(regions, 5, **TILES)
    assert tab.found.facts.text() == "regions: 12 bags"
    tab.setup.strategy_box.choose("lr-ham")
    path = regions / "right" / "region01.tiff"
    tab.watch.bag_box.choose(str(path))
    bench.wait()
    assert bench.state.current_subject.path == path
    beats = []
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: beats.append(time.monotonic()))
    timer.start()
    bench.click(tab.run.button)
    bench.click(tab.run.button)
    assert phase(bench) is Phase.RUNNING, "a double click on Start starts"
    bench.wait()
    timer.stop()
    assert len(beats) > 100, "the event loop turned while training ran"
    assert phase(bench) is Phase.DONE, tab.run.message.text()
    assert not child_of_this_window()
    # The teacher is trained first, as long as its student.
    assert [row["epoch"] for row in rows(bench)] == list(range(1, 11))
    training = bench.state.training
    assert [epoch for epoch, _ in training.watch.epochs] == list(range(1, 11))
    overlay = bench.layer("in training")
    assert overlay.data.shape == (4, 4)
    assert np.isfinite(overlay.data).all()
    assert "of 16 tiles masked" in tab.watch.facts.text()
    assert tab.watch.mask_legend.isVisible()
    last = np.array(overlay.data)
    tab.watch.epoch_slider.setValue(1)
    bench.wait()
    assert not np.array_equal(bench.layer("in training").data, last)
    assert "epoch 1 " in title(bench)
    tab.watch.epoch_slider.setValue(6)
    bench.wait()
    bench.inspect_tab.name_box.choose("masked")
    bench.wait()
    masked = bench.layer("masked")
    assert masked.data[..., 3].any()
    assert "in training" not in " ".join(bench.visible_layers), "one overlay at a time"
    bench.inspect_tab.name_box.choose("")
    bench.wait()

    bench.viewer.layers.remove(bench.layer("in training"))
    bench.wait()
    bench.session.train(
        actions.add_epoch, EpochEnded(6, {"epoch": 6}, training.watch.epochs[-1][1])
    )
    bench.wait()
    assert not [name for name in bench.visible_layers if "in training" in name], (
        "a layer that was removed stays away"
    )
    tab.watch.epoch_slider.setValue(2)
    bench.wait()
    assert bench.layer("in training").visible

    name = training.result.installed
    assert name in list_classifiers()
    bench.click(tab.result.use_button)
    bench.wait()
    assert bench.state.classifier == name
    bench.classify_tab.tissue_box.choose(TissueChoice.WHOLE)
    prediction = bench.classify()
    assert prediction.classifier["name"] == name
    assert set(prediction.classes) == {"left", "right"}
    assert not [name for name in bench.visible_layers if "in training" in name]


def test_a_run_leaves_curves_and_bits_and_can_be_judged_later(bench, look, tmp_path):
    tab = look(features(tmp_path), 3, random="0,25", consistency="0.3")
    tab.setup.strategy_box.choose("r-ham")
    tab.setup.epochs_box.setValue(3)
    for name, value in (("random", "0,25"), ("consistency", "0.3")):
        tab.setup.advanced[name].value = value
    assert not curves(bench).isVisible()
    bench.click(tab.run.button)
    assert curves(bench).isVisible()
    bench.click(tab.run.curves_button)
    assert not curves(bench).isVisible()
    bench.wait()
    assert phase(bench) is Phase.DONE, tab.run.message.text()
    bench.click(tab.run.curves_button)
    assert curves(bench).isVisible()
    drawn, _ = curves(bench)._lines["loss"].getData()
    assert list(drawn) == [1, 2, 3, 4, 5, 6], "those of the teacher come first"
    run = tmp_path / "run"
    config = json.loads((run / "config.json").read_text())
    assert config["strategy_options"] == {"random": 0.25, "consistency": 0.3}

    again = tmp_path / "again"
    assert run_command(["train", str(run / "config.json"), "--out", str(again)]) == 0
    ours, theirs = (
        (folder / "classifier" / "weights.safetensors").read_bytes() for folder in (run, again)
    )
    assert ours == theirs, "window and command line come to the same bits"

    bench.session.train(actions.forget_cohort)
    bench.workbench.setup.take(run)
    bench.wait()
    assert phase(bench) is Phase.DONE
    assert bench.state.training.form.advanced == {"random": "0.25", "consistency": "0.3"}
    assert tab.run.cancel_button.text() == "Evaluate"
    bench.click(tab.run.cancel_button)
    bench.wait()
    assert phase(bench) is Phase.DONE, tab.run.message.text()
    assert json.loads((run / "evaluation.json").read_text())["protocol"] == "honest"
    assert "honest protocol, 5 folds" in tab.result.line.text()
    assert not tab.run.cancel_button.isVisible()
    assert len(rows(bench)) == 6, "the curves of the run are still there"


def wait_until_it_stands(bench):
    """Wait for a while without an epoch; return how many there are."""
    before = -1
    while before != (before := len(rows(bench))):
        bench.qtbot.wait(700)
    return before


def test_a_run_is_paused_floated_cancelled_resumed_and_killed(bench, look, tmp_path):
    tab = look(features(tmp_path, n=30, instances=60), 4000, patience="4000")
    bench.click(tab.run.button)
    wait_for_epochs(bench, 2)
    bench.click(tab.run.button)
    assert phase(bench) is Phase.PAUSED
    held = wait_until_it_stands(bench)
    assert held < 4000, "a paused run stands still"
    bench.click(tab.run.button)
    wait_for_epochs(bench, held + 1)

    dock = bench.workbench.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    dock.setFloating(True)
    bench.qtbot.wait(100)
    wait_for_epochs(bench, len(rows(bench)) + 2)
    dock.setFloating(False)
    bench.qtbot.wait(100)
    assert phase(bench) is Phase.RUNNING, "a floating workbench goes on training"

    bench.click(tab.run.cancel_button)
    bench.wait()
    assert phase(bench) is Phase.INTERRUPTED
    assert "Resume" in tab.run.message.text()
    assert not child_of_this_window()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 4000
    kept = len(rows(bench))
    bench.click(tab.run.button)
    wait_for_epochs(bench, kept + 1)
    assert rows(bench)[0]["epoch"] == 1, "the curves begin where the run began"

    (child,) = child_of_this_window()
    os.kill(child.pid, signal.SIGKILL)
    bench.wait()
    assert phase(bench) is Phase.INTERRUPTED
    assert "ended unexpectedly" in bench.notices[0]
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    assert PATIENCE_S < 10


def test_folders_of_images_train_and_the_first_is_opened_with_what_they_taught(
    bench, look, tmp_path
):
    from PIL import Image

    random = np.random.default_rng(0)
    for label, level in (("dim", 60), ("bright", 200)):
        for b in range(6):
            folder = tmp_path / "cells" / label / f"{label}{b}"
            folder.mkdir(parents=True)
            for i in range(3):
                pixels = random.integers(0, 40, (30, 34, 3)) + level
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    tab = look(tmp_path / "cells", 2)
    assert not tab.watch.isVisible()
    tab.setup.encoder_box.choose("lenet5")
    bench.click(tab.run.button)
    bench.wait()
    assert phase(bench) is Phase.DONE, tab.run.message.text()
    assert "first bag" in tab.result.use_button.toolTip()
    bench.click(tab.result.use_button)
    bench.wait()
    first = bench.state.training.cohort.bags[0].path
    assert bench.state.current_subject.path == first
    assert bench.state.classifier == bench.state.training.result.installed
    assert bench.classify_tab.button.isEnabled()
    prediction = classify(first, tmp_path / "run" / "classifier", device="cpu")
    assert prediction.names == ("0.png", "1.png", "2.png")


def test_dialogs_begin_where_they_ended(bench, tmp_path, monkeypatch):
    root = features(tmp_path)
    began = []
    monkeypatch.setattr(
        QFileDialog,
        "getExistingDirectory",
        lambda parent, title, folder: began.append(folder) or str(root),
    )
    bench.workbench.show_training()
    for _ in range(2):
        bench.click(bench.train_tab.found.folder_button)
        bench.wait()
    assert began[-1] == str(root)
    assert bench.state.training.cohort.root == root
    assert bench.train_tab.run.button.isVisible()


def test_shapes_over_a_slide_become_regions_beside_it(bench, look, regions):
    look(regions, 1)
    subject = bench.open(regions / "left" / "region00.tiff")
    unit = subject.slide.mpp
    corners = (np.array([[10, 20], [10, 120], [70, 120], [70, 20]]) - 0.5) * unit
    layer = bench.viewer.add_shapes([corners], shape_type="rectangle", name="drawn")
    bench.workbench.train_tab.regions.class_box.choose("left")
    bench.click(bench.train_tab.regions.button)
    (found,) = read_annotations(regions / "left" / "region00.regions.geojson").regions
    assert found.name == "left"
    assert found.area.bounds == pytest.approx((20, 10, 120, 70))
    assert "kept as left" in bench.train_tab.run.message.text()
    bench.viewer.layers.remove(layer)


def test_a_closed_workbench_takes_its_curves_with_it(bench):
    from napari_mil.gui.views.curves import Curves
    from napari_mil.gui.workbench import Workbench

    window = bench.viewer.window._qt_window
    before = len(window.findChildren(Curves))
    another = Workbench(bench.viewer)
    another.watch.toggle()
    assert len(window.findChildren(Curves)) == before + 1
    another.shut_down()
    another.deleteLater()
    bench.wait_until(lambda: len(window.findChildren(Curves)) == before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "method", "classes"),
    [
        ("breast", "0.25", {"tile_px": "64", "mpp": "0.25"}, ("benign", "malignant")),
        ("colon", "0.55", {"tile_px": "32", "mpp": "0.55"}, ("no-epithelium", "epithelium")),
        (
            "regions",
            "0.5",
            {"tile_px": "64", "mpp": "0.5"},
            ("cmu-1", "tcga-cr-7395", "tcga-ht-7470"),
        ),
    ],
)
def test_real_annotated_folders_train_from_the_window(
    bench, look, shared, tmp_path, name, scale, method, classes
):
    from scripts import cohorts

    source = shared / "data" / {"regions": "slides"}.get(name, name)
    folder = getattr(cohorts, name)(source, tmp_path / name, some=8 if name == "breast" else 5)
    tab = look(folder, 3, mask="none", **method)
    cohort = bench.state.training.cohort
    assert cohort.classes == classes
    if cohort.without_scale:
        bench.qtbot.keyClicks(tab.setup.scale_edit, scale)
    if name == "colon":
        # Its regions teach DSMIL's instances.
        tab.setup.aggregator_box.choose("dsmil")
    tab.watch.bag_box.choose(str(cohort.bags[-1].path))
    bench.wait()
    bench.click(tab.run.button)
    bench.wait()
    assert phase(bench) is Phase.DONE, tab.run.message.text()
    assert bench.layer("in training").visible
    assert len(rows(bench)) == 3
    assert rows(bench)[-1]["loss"] < rows(bench)[0]["loss"]
    if name == "colon":
        assert "loss: instances" in rows(bench)[0]
    assert load_classifier(tmp_path / "run" / "classifier").card.classes == classes
    assert bench.state.training.result.installed in list_classifiers()


def test_figures_of_a_run_and_of_a_score_are_seen_and_a_bag_of_a_number_opens(
    bench, look, tmp_path
):
    tab = look(features(tmp_path), 2)
    tab.setup.folds_box.choose(5)
    bench.click(tab.run.button)
    bench.wait()
    judging = bench.state.judging
    assert judging.judgement is not None, tab.run.message.text()
    assert "honest protocol, 5 folds" in tab.judging.headline.text()
    assert {"figures.svg", "predictions.csv"} <= set(os.listdir(tmp_path / "run"))
    number = next(
        (row, column)
        for row in range(2)
        for column in range(2)
        if judging.judgement.curves.confusion.bags_in(row, column)
    )
    tab.judging.cell_chosen.emit(*number)
    bench.wait()
    tab.judging.bag_opened.emit(tab.judging._bags[0].number)
    bench.wait()
    assert bench.state.current_subject.path.suffix == ".npy"
    assert bench.state.current_subject.path.parent.parent == tmp_path / "bags"

    other = tmp_path / "elsewhere"
    other.mkdir()
    bench.workbench.judging.score(features(other))
    bench.wait()
    assert "20 bags of bags" in tab.judging.headline.text(), tab.judging.message.text()
    assert "20 of which it was trained on" in tab.judging.headline.text()
    assert not child_of_this_window()


def test_the_encoder_is_adapted_beside_the_window_and_can_be_chosen(
    bench, look, regions, tmp_path, monkeypatch
):
    for place in (adapted_cards, adapt):
        monkeypatch.setattr(place, "own_encoders_folder", lambda: tmp_path / "own")
    tab = look(regions, 5, **TILES)
    bench.click(tab.adapt.button)
    bench.wait_until(lambda: bench.state.adapting.what == "epochs")
    assert tab.adapt.bar.isVisible()
    assert tab.adapt.button.text() == "Cancel adapting"
    bench.wait()
    assert bench.state.adapting.phase is Phase.DONE, tab.adapt.message.text()
    assert not child_of_this_window()
    assert "regions can be chosen as the encoder" in tab.adapt.message.text()
    assert "95 % interval" in tab.adapt.message.text()
    tab.setup.encoder_box.choose("regions")
    assert bench.state.training.form.encoder == "regions"
    assert not bench.state.training.problem[0]
