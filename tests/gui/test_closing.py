"""A window that is closed at a bad moment, in a process of its own: a fault would end it."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication

from napari_mil.encoders.efficientnet_lite import EfficientNetLite0Encoder
from napari_mil.inference import embedding

encode = EfficientNetLite0Encoder.encode
# Still under way when the window goes.
EfficientNetLite0Encoder.encode = lambda self, tiles: (time.sleep(0.05), encode(self, tiles))[1]
embedding.LARGEST_BATCH = 8

# Plain napari: nothing of the program of its own helps.
viewer = napari.Viewer()
application = QApplication.instance()

def spin(seconds):
    end = time.time() + seconds
    while time.time() < end:
        application.processEvents()
        time.sleep(0.002)

_, bench = viewer.window.add_plugin_dock_widget("napari-mil", "Workbench")
viewer.open(sys.argv[1], plugin="napari-mil")
spin(0.5)
bench.tabs.setCurrentIndex(1)
bench.classify_tab.button.click()
end = time.time() + 60
while not bench.classify_tab.bar.value() and time.time() < end:
    spin(0.01)
assert bench.jobs.is_running("classify")
if sys.argv[2] == "dock":
    viewer.window.remove_dock_widget(bench)
    spin(0.5)
    assert not bench.jobs.is_running("classify")
    _, again = viewer.window.add_plugin_dock_widget("napari-mil", "Workbench")
    assert again is not bench
    assert again.session.state.current is not None, "a new workbench finds the open slide"
elif sys.argv[2] == "answer":
    while bench.jobs.busy:
        spin(0.05)
    assert bench.session.state.shown_answer is not None
elif sys.argv[2] == "slide":
    viewer.layers.clear()
    end = time.time() + 30
    while bench.jobs.busy and time.time() < end:
        spin(0.05)
    assert not bench.jobs.is_running("classify")
began = time.time()
viewer.close()
spin(0.3)
assert time.time() - began < 10
print("ended well")
"""


@pytest.mark.parametrize("what", ["window", "dock", "slide", "answer"])
def test_closing_while_a_slide_is_classified_ends_well(what, slide_path, qapp):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(slide_path), what],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert result.stdout.strip().endswith("ended well"), result.stderr[-2000:]
    assert result.returncode == 0, result.stderr[-2000:]


LAUNCHER = """
import sys

from qtpy.QtCore import QTimer

from napari_mil.gui import app

opened = {}
open_window = app.open_window

def open_and_close(*arguments, **options):
    viewer, workbench = open_window(*arguments, **options)
    opened["size"] = (viewer.window.geometry()[2], viewer.window.geometry()[3])
    QTimer.singleShot(1500, viewer.close)
    return viewer, workbench

app.open_window = open_and_close
code = app.view(sys.argv[1:])
print(*opened["size"], "code", code)
"""


@pytest.mark.parametrize("what", ["nothing", "slide"])
def test_the_program_ends_without_a_complaint_and_first_fits_a_small_screen(
    what, slide_path, qapp, tmp_path
):
    result = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *([str(slide_path)] if what == "slide" else [])],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        # As on a machine that never saw napari.
        env={**os.environ, "NAPARI_CONFIG": str(tmp_path / "settings.yaml")},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    width, height, _, code = result.stdout.split()[-4:]
    assert code == "0"
    assert int(width) <= 1366
    assert int(height) <= 768
