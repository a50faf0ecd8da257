"""The window as a program of its own: `napari-mil view`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_mil.errors import NapariMilError
from napari_mil.gui.model.recognition import PathKind, recognise
from napari_mil.gui.warm_up import FIRST_LAYER, import_beside
from napari_mil.settings import APPLICATION
from napari_mil.slides import open_slide

if TYPE_CHECKING:
    from napari_mil.gui.workbench import Workbench

SWITCH_INTERVAL = 0.0005
"""Seconds: a thread of Python bytecode otherwise keeps the window waiting ten times as long."""
BINDINGS = (("pyqt5", "PyQt5"), ("pyqt6", "PyQt6"), ("pyside6", "PySide6"))
SIZE = (1280, 720)
"""Of the window at its first start: fits a screen of 1366 x 768."""


def prepare() -> None:
    """Set what must stand before Qt and napari are imported.

    Binding, settings of the program's own, reading beside the event loop.

    Raises
    ------
    NapariMilError
        If there is no Qt or no display.
    """
    installed = [api for api, module in BINDINGS if find_spec(module)]
    if not installed:
        raise NapariMilError(
            'No Qt is installed, so there can be no window; run: pip install "napari-mil[pyqt5]".'
        )
    os.environ.setdefault("QT_API", installed[0])
    os.environ.setdefault("NAPARI_ASYNC", "1")
    config = Path(platformdirs.user_config_dir(APPLICATION, appauthor=False)) / "napari.yaml"
    os.environ.setdefault("NAPARI_CONFIG", str(config))
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not has_display:
        raise NapariMilError(
            "There is no display, so there can be no window; use 'napari-mil classify', "
            "or a virtual display (see 'napari-mil doctor')."
        )
    sys.setswitchinterval(SWITCH_INTERVAL)
    # napari asks Qt 5 for the system's theme, which only Qt 6 knows.
    warnings.filterwarnings("ignore", message="System theme detection")


def open_window(show: bool = True) -> tuple[Any, Workbench]:
    """Return a napari viewer with the workbench docked; `prepare` comes first."""
    napari = import_module("napari")
    # Whole before anything is imported beside it: two threads in one package see half of it.
    import_module("napari.layers")
    import_beside(FIRST_LAYER)
    _silence_binding_notice()
    viewer = napari.Viewer(title=APPLICATION, show=False, show_welcome_screen=False)
    _, workbench = viewer.window.add_plugin_dock_widget(APPLICATION, "Workbench")
    workbench.session.changed.connect(lambda before, after: _set_title(viewer, workbench))
    _open_with_workbench(viewer, workbench)
    if show:
        is_first_start = import_module("napari.settings").get_settings().application.first_time
        viewer.window.resize(*SIZE)
        viewer.window.show()
        if is_first_start:
            # napari then takes the size that all its docks ask for, wider than a small screen.
            viewer.window.resize(*SIZE)
    return viewer, workbench


def _set_title(viewer: Any, workbench: Workbench) -> None:
    """Call the window after what is shown."""
    current = workbench.session.state.current_subject
    title = current.name if current else APPLICATION
    if viewer.title != title:
        viewer.title = title


def _open_with_workbench(viewer: Any, workbench: Workbench) -> None:
    """Let the workbench open what is dropped on the canvas or chosen in *File › Open*.

    napari would ask which reader to use, and its first answer fails. Nothing is written into the
    user's settings; *Open with plugin* still asks.
    """
    # Private, hence napari < 0.10.
    qt_viewer = viewer.window._qt_viewer
    ask_napari = qt_viewer._qt_open

    def open_paths(
        filenames: list[str], stack: Any = False, choose_plugin: bool = False, **options: Any
    ) -> None:
        if choose_plugin or options.get("plugin"):
            ask_napari(filenames, stack, choose_plugin, **options)
        else:
            workbench.open([Path(name) for name in filenames])

    qt_viewer._qt_open = open_paths


def _silence_binding_notice() -> None:
    """Keep napari from saying at every start that PyQt5 is going away.

    The notice covers the canvas, and the user cannot act on it.
    """
    # Private, hence napari < 0.10.
    main_window: Any = import_module("napari._qt.qt_main_window")
    main_window.SHOW_QT_WARNING = False


def view(paths: Sequence[str], slide_mpp: float | None = None) -> int:
    """Open the window with whatever paths are; return the exit code.

    Raises
    ------
    NapariMilError
        If there is no display, no Qt, or a path is nothing that can be opened.
    """
    for name in paths:
        # A typing error is said before a window opens.
        for recognised in recognise(Path(name)):
            if recognised.kind is PathKind.SLIDE:
                open_slide(recognised.path, slide_mpp).close()
    prepare()
    _, workbench = open_window()
    workbench.open([Path(name) for name in paths], slide_mpp)
    import_module("napari").run()
    workbench.shut_down()
    if workbench.jobs.left_behind:
        # Work that does not end within a batch must not keep the program alive.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0
