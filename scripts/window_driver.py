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
SETTLING_S = 0.15
"""Work that follows from other work, such as a thumbnail, begins within this time."""


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
    # Qt asks for a private folder.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="napari-mil-runtime-"))
    os.execvp(
        "xvfb-run",
        ["xvfb-run", "-a", "-s", f"-screen 0 {screen}", sys.executable, "-m", module, *arguments],
    )


def prepare_private_window() -> None:
    """Set up napari with settings, last choices and classifiers that are nobody's."""
    own = Path(tempfile.mkdtemp(prefix="napari-mil-"))
    os.environ["NAPARI_CONFIG"] = str(own / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(own)
    # What an earlier run has encoded is not measured, and not shown.
    os.environ["XDG_CACHE_HOME"] = str(own / "cache")
    from napari_mil.gui.app import prepare

    prepare()


class ViewerDriver:
    """A viewer of napari with its event loop turned by hand.

    Parameters
    ----------
    viewer
        The viewer; its window is shown.
    size
        (width, height) of the window in pixels.
    theme
        ``dark`` or ``light``.
    """

    def __init__(self, viewer: Any, size: tuple[int, int], theme: str = "dark") -> None:
        from qtpy.QtWidgets import QApplication

        self.viewer = viewer
        self._application: Any = QApplication.instance()
        viewer.theme = theme
        viewer.window.resize(*size)
        self.spin(0.5)

    def resize_canvas(self, width: int, height: int) -> None:
        """Give the window the size at which its canvas has this one, whatever its docks take."""
        for _ in range(5):
            canvas_height, canvas_width = self.viewer.canvas.size
            if (canvas_width, canvas_height) == (width, height):
                return
            window = self.viewer.window._qt_window
            window.resize(
                window.width() + width - canvas_width, window.height() + height - canvas_height
            )
            self.spin(0.3)
        size = self.viewer.canvas.size[::-1]
        raise RuntimeError(f"the canvas has {size} pixels, not {(width, height)}")

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

    def screenshot(self, path: Path, after: float = 0.4) -> Path:
        """Save a picture of the whole window, with all that a person sees in it."""
        self.spin(after)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        return path

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.spin(0.1)


class WindowDriver(ViewerDriver):
    """A window of the application with its event loop turned by hand.

    Parameters
    ----------
    size
        (width, height) of the window in pixels.
    theme
        ``dark`` or ``light``.
    """

    def __init__(self, size: tuple[int, int] = (1366, 768), theme: str = "dark") -> None:
        prepare_private_window()
        from napari_mil.gui.app import open_window

        viewer, self.workbench = open_window()
        super().__init__(viewer, size, theme)

    @property
    def state(self) -> Any:
        """What the window shows now."""
        return self.workbench.session.state

    def is_idle(self) -> bool:
        """Say whether no job runs and every layer is there with its pixels."""
        return not self.workbench.busy and all(layer.loaded for layer in self.viewer.layers)

    def wait_until_idle(self) -> None:
        """Let the window live until it has finished what it was told to do."""
        self.spin(SETTLING_S)
        while not self.is_idle():
            self.wait_until(self.is_idle, "the work is done")
            self.spin(SETTLING_S)

    def open(self, *paths: Path) -> None:
        """Open whatever paths are, and wait until it is shown."""
        self.workbench.open(paths)
        self.wait_until_idle()

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        tabs = self.workbench.tabs
        names = [tabs.tabText(place) for place in range(tabs.count())]
        self.workbench.show_tab(tabs.widget(names.index(name)))
        self.spin(0.1)

    def choose_subject(self, name: str) -> None:
        """Choose what is shown, in the box of the Classify tab."""
        key = next(subject.key for subject in self.state.subjects if subject.name == name)
        self.workbench.classify_tab.subject_box.choose(key)
        self.wait_until_idle()

    def choose_classifier(self, name: str) -> None:
        """Choose a classifier in its tab."""
        self.workbench.classify_tab.classifier_box.choose(name)
        self.spin(0.1)

    def choose_map(self, kind: str) -> None:
        """Choose what is coloured, in the Inspect tab, and wait until it is."""
        self.workbench.inspect_tab.kind_box.choose(kind)
        self.wait_until_idle()

    def classify(self) -> Any:
        """Press the button and wait; return the prediction, or None if there is none."""
        before = self.state.shown_answer
        self.workbench.classify_tab.button.click()
        self.wait_until_idle()
        answer = self.state.shown_answer
        return None if answer is None or answer is before else answer.prediction

    def scroll_to_end(self) -> None:
        """Scroll the tab in front to its end."""
        from qtpy.QtWidgets import QScrollArea

        area = self.workbench.tabs.currentWidget().findChild(QScrollArea)
        area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
        self.spin(0.1)

    def close_notices(self) -> None:
        """Close every notice above the tabs."""
        for notice in self.state.notices:
            self.workbench.notices.close_requested.emit(notice.key)
        self.spin(0.1)

    def close_subjects(self) -> None:
        """Close everything that is open, by the button."""
        while self.state.subjects:
            self.workbench.slide_tab.close_button.click()
            self.wait_until_idle()
