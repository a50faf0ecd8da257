"""Drive a real window from a script: for the demo, the screenshots and the benchmarks."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PATIENCE_S = 300


def has_display() -> bool:
    """Say whether a window could be shown."""
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def rerun_in_virtual_display(
    module: str, arguments: Sequence[str], screen: str = "1600x1000x24", **environment: str
) -> None:
    """Replace this process by the same module in a virtual display."""
    if shutil.which("xvfb-run") is None:
        sys.exit(
            "There is no display, and no virtual one: run sh scripts/system_libraries.sh first."
        )
    os.environ.update(environment)
    os.environ.setdefault(
        "XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="napari-mil-runtime-")
    )  # Qt asks for a private folder
    os.execvp(
        "xvfb-run",
        ["xvfb-run", "-a", "-s", f"-screen 0 {screen}", sys.executable, "-m", module, *arguments],
    )


class WindowDriver:
    """A window of the application with its event loop turned by hand.

    Parameters
    ----------
    size
        (width, height) of the window in pixels.
    theme
        ``dark`` or ``light``.
    """

    def __init__(self, size: tuple[int, int] = (1366, 768), theme: str = "dark") -> None:
        own = Path(tempfile.mkdtemp(prefix="napari-mil-"))
        os.environ["NAPARI_CONFIG"] = str(own / "settings.yaml")
        os.environ["XDG_DATA_HOME"] = str(own)  # what is trained here is nobody's classifier
        from napari_mil.gui.app import open_window, prepare

        prepare()
        self.viewer, self.workbench = open_window()
        from qtpy.QtWidgets import QApplication

        self._application = QApplication.instance()
        self.viewer.theme = theme
        self.viewer.window.resize(*size)
        self.spin(0.5)

    def spin(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._application.processEvents()
            time.sleep(0.002)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Let the window live until something is true."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(what)
            self._application.processEvents()
            time.sleep(0.002)

    def open(self, path: Path) -> None:
        """Open a slide and wait until its pixels are there."""
        self.workbench.open([path])
        self.wait_until(
            lambda: all(layer.loaded for layer in self.viewer.layers), f"{path.name} is shown"
        )
        self.spin(0.3)

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        tabs = self.workbench.tabs
        tabs.setCurrentIndex(next(k for k in range(tabs.count()) if tabs.tabText(k) == name))
        self.spin(0.1)

    def choose_classifier(self, name: str) -> None:
        """Choose a classifier in its tab."""
        box = self.workbench.classify_tab.classifier_box
        box.setCurrentIndex(box.findData(name))

    def classify(self) -> Any:
        """Press the button, wait for the answer, return the prediction (None if there is none)."""
        self.workbench.state.set_answer(None)
        self.workbench.classify_tab.button.click()
        self.spin(0.05)
        self.wait_until(
            lambda: not self.workbench.jobs.is_running("classify"), "the slide is classified"
        )
        self.spin(0.3)
        answer = self.workbench.state.answer
        return answer and answer.prediction

    def close_slides(self) -> None:
        """Remove every layer, and what was said about them."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        self.viewer.layers.clear()
        for said in self.viewer.window._qt_window.findChildren(NapariQtNotification):
            said.close()
        self.spin(0.1)

    def screenshot(self, path: Path) -> Path:
        """Save a picture of the whole window."""
        self.spin(0.3)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        return path

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.spin(0.1)
