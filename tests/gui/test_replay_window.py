"""Epochs of an earlier run, replayed on its slide in the real window."""

import json

import numpy as np
from qtpy.QtCore import Qt

from napari_mil import open_slide
from napari_mil.bags import tile_grid
from napari_mil.events import Watched, Watching
from napari_mil.gui.model.scene import scene
from napari_mil.training.watch_record import WatchRecorder


def write_run(folder, cohort, slide):
    """Write what an interrupted run leaves that watched a slide for three epochs."""
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"cohort": str(cohort), "aggregator": "gated-abmil", "strategy": "ham"})
    )
    (folder / "history.csv").write_text("epoch,loss\n1,0.9\n2,0.8\n3,0.7")
    (folder / "checkpoint.pt").touch()
    with open_slide(slide, mpp=0.5) as opened:
        grid = tile_grid(opened, tile_px=64, mpp=0.5)
    n = len(grid)
    recorder = WatchRecorder(folder, slide, Watching(grid, "training"), list)
    for epoch in (1, 2, 3):
        values = np.linspace(0, epoch / 3, n, dtype=np.float32)
        masks = {"high": np.arange(n) < 2 * epoch}
        recorder.keep(epoch, Watched(values, "score", np.array([0.6], np.float32), masks))
    return n


def test_the_masks_of_a_run_that_is_opened_are_played_on_its_slide(bench, regions, tmp_path):
    slide = sorted((regions / "left").iterdir())[0]
    n = write_run(tmp_path / "run", regions, slide)
    bench.open(tmp_path / "run")
    tab = bench.train_tab
    bench.wait_until(lambda: tab.watch.play_button.isEnabled())
    assert tab.watch.facts.text().endswith(
        f"6 of {n} tiles masked · 67 % of the masked and 100 % of the top tenth"
        " as in the epoch before"
    )
    shown = []
    tab.watch.epoch_chosen.connect(shown.append)
    bench.qtbot.mouseClick(tab.watch.play_button, Qt.MouseButton.LeftButton)
    bench.wait_until(lambda: not tab.watch.play_button.isChecked())
    bench.wait()
    assert shown == [1, 2, 3]
    assert bench.state.current_subject.path == slide
    assert bench.layer("in training").data.max() == 1
    bench.inspect_tab.name_box.choose("masked")
    bench.wait()
    tab.watch.epoch_slider.setValue(1)
    bench.wait()
    layer = bench.layer("masked")
    assert "epoch 1" in scene(bench.state).legend.text
    assert layer.data[..., 3].any()
