"""What is to be seen while a model learns: the watched slide, the curves, a window that stays alive."""

import time

from qtpy.QtCore import QTimer

from napari_mil.gui.views.train_tab import DONE, IDLE, RUNNING
from napari_mil.training.process import PATIENCE_S
from tests.gui.training import TILES, child_of_this_window, features, wait_for_epochs


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
    shown = {
        layer.name: layer.visible for layer in bench.viewer.layers if "in training" in layer.name
    }
    assert shown == {"region00 · run · in training": False, "region00 · run-2 · in training": True}


def test_a_slide_that_was_closed_before_the_start_is_opened_to_be_watched(bench, look, regions):
    tab = look(regions, epochs=2, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.viewer.layers.clear()
    assert tab.watched
    bench.click(tab.button)
    bench.wait_for_jobs()
    bench.qtbot.waitUntil(lambda: "in training" in bench.overlays, timeout=60_000)


def test_epochs_that_were_watched_before_a_cancel_can_still_be_shown_after_resuming(
    bench, look, regions
):
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
