"""The window as a program of its own: `napari-mil view`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_mil.errors import NapariMilError
from napari_mil.gui.warm_up import FIRST_LAYER, import_beside
from napari_mil.settings import APPLICATION

if TYPE_CHECKING:
    from napari_mil.gui.workbench import Workbench

SWITCH_INTERVAL = 0.0005
"""Seconds: a thread of Python bytecode otherwise keeps the window waiting ten times as long."""
BINDINGS = (("pyqt5", "PyQt5"), ("pyqt6", "PyQt6"), ("pyside6", "PySide6"))


def prepare() -> None:
    """Set what must stand before Qt and napari are imported: binding, settings of our own, reading beside the event loop."""
    from importlib.util import find_spec

    installed = [api for api, module in BINDINGS if find_spec(module)]
    if not installed:
        raise NapariMilError(
            'No Qt is installed, so there can be no window; run: pip install "napari-mil[pyqt5]".'
        )
    os.environ.setdefault("QT_API", installed[0])
    os.environ.setdefault("NAPARI_ASYNC", "1")
    os.environ.setdefault(
        "NAPARI_CONFIG",
        str(Path(platformdirs.user_config_dir(APPLICATION, appauthor=False)) / "napari.yaml"),
    )
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise NapariMilError(
            "There is no display, so there can be no window; use 'napari-mil classify', or a virtual display (see 'napari-mil doctor')."
        )
    sys.setswitchinterval(SWITCH_INTERVAL)
    # napari asks Qt 5 for the system's theme, which only Qt 6 knows.
    warnings.filterwarnings("ignore", message="System theme detection")


def open_window(show: bool = True) -> tuple[Any, Workbench]:
    """Return a napari viewer with the workbench docked; `prepare` comes first."""
    import napari

    import_beside(FIRST_LAYER)
    silence_binding_notice()
    viewer = napari.Viewer(title=APPLICATION, show=False, show_welcome_screen=False)
    _, workbench = viewer.window.add_plugin_dock_widget(APPLICATION, "Workbench")
    workbench.state.current_changed.connect(lambda: set_title(viewer, workbench))
    if show:
        viewer.window.show()
    return viewer, workbench


def set_title(viewer: Any, workbench: Workbench) -> None:
    """Call the window after the slide."""
    current = workbench.state.current
    viewer.title = current.slide.name if current else APPLICATION


def silence_binding_notice() -> None:
    """Keep napari from saying at every start that PyQt5 is going away: it covers the canvas, and the user cannot act on it."""
    from napari._qt import qt_main_window  # private, hence napari < 0.10

    qt_main_window.SHOW_QT_WARNING = False


def view(slides: Sequence[str], slide_mpp: float | None = None) -> int:
    """Open the window with slides; return the exit code.

    Raises
    ------
    NapariMilError
        If there is no display, no Qt, or a path holds no slide.
    """
    from napari_mil.slides import open_slide

    for path in slides:  # a typing error is said before a window opens
        open_slide(path, slide_mpp).close()
    prepare()
    import napari

    _, workbench = open_window()
    workbench.open([Path(path) for path in slides], slide_mpp)
    napari.run()
    return 0
