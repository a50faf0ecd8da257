"""Training from a real window in a real process beside it: begun, paused, cancelled, killed, resumed, judged."""

import json
import os
import signal

import numpy as np
import pytest

from napari_mil import classify, load_classifier
from napari_mil.gui.views.train_tab import DONE, IDLE, INTERRUPTED, PAUSED, RUNNING
from napari_mil.inference.library import list_classifiers
from tests.gui.training import TILES, child_of_this_window, features, wait_for_epochs


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
    bench.qtbot.waitUntil(
        lambda: overlay.metadata["napari_mil_legend"].startswith("epoch 1 "), timeout=60_000
    )
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
        [
            sys.executable,
            "-m",
            "napari_mil",
            "train",
            str(tmp_path / "run" / "config.json"),
            "--out",
            str(out),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        (folder / "classifier" / "weights.safetensors").read_bytes()
        for folder in (tmp_path / "run", out)
    )
    assert ours == theirs


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
def test_real_annotated_folders_train_from_the_window_and_the_command_line(
    bench, look, shared, tmp_path, name, scale, method, classes
):
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
    command = [
        sys.executable,
        "-m",
        "napari_mil",
        "train",
        str(tmp_path / "run" / "config.json"),
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        (run / "classifier" / "weights.safetensors").read_bytes() for run in (tmp_path / "run", out)
    )
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


def test_a_training_process_that_dies_leaves_the_window_and_the_checkpoint(
    bench, look, tmp_path, notices
):
    tab = look(features(tmp_path, n=30, instances=60), epochs=400)
    bench.click(tab.button)
    wait_for_epochs(bench, 2)
    (child,) = child_of_this_window()
    os.kill(child.pid, signal.SIGKILL)
    bench.wait_for_jobs()
    assert tab.state == INTERRUPTED
    assert "ended unexpectedly" in notices[-1]
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


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


def test_an_interrupted_run_is_not_offered_to_other_bags_and_says_where_its_own_should_be(
    bench, look, tmp_path
):
    root, run = features(tmp_path / "own"), tmp_path / "run"
    interrupted(bench, look, root, run)
    other = tmp_path / "other"
    for k, label in enumerate("abc"):
        (other / label).mkdir(parents=True)
        for i in range(2):
            np.save(
                other / label / f"{i}.npy",
                np.random.default_rng(k * 10 + i + 100).normal(size=(5, 6)).astype(np.float32),
            )
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


def test_a_double_click_on_start_starts(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    bench.click(tab.button)
    bench.click(tab.button)
    assert tab.state == RUNNING
    bench.wait_for_jobs()
    assert tab.state == DONE


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
    assert (
        load_classifier(tmp_path / "run" / "classifier").card.training.started_from.name
        == "breast-malignancy"
    )


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
                Image.fromarray(
                    (random.integers(0, 40, (30, 34, 3)) + level).astype(np.uint8)
                ).save(folder / f"{i}.png")
    tab = look(tmp_path / "cells", epochs=3)
    assert not tab._watch.isVisibleTo(tab)
    tab.encoder_box.setCurrentIndex(tab.encoder_box.findData("lenet5"))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    assert not tab.use_button.isEnabled()
    assert "folders of images" in tab.use_button.toolTip()
    assert classify(
        tmp_path / "cells" / "dim" / "dim0", tmp_path / "run" / "classifier", device="cpu"
    ).names == ("0.png", "1.png", "2.png")
