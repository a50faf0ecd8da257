"""``napari-mil doctor``: the installation, and commands that mend it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from napari_mil.cli.output import print_line

PACKAGES = (
    "napari-mil",
    "napari",
    "torch",
    "numpy",
    "openslide-python",
    "openslide-bin",
    "scikit-image",
    "safetensors",
    "dask",
    "qtpy",
)
BINDINGS = ("PyQt5", "PyQt6", "PySide6")
WINDOW_LIBRARIES = (
    "libgl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-icccm4 "
    "libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 "
    "libxcb-xkb1 libegl1 libxcb-cursor0"
)
"""Debian packages that a window needs."""
PROBE_SECONDS = 60
"""Seconds that the probe of the display may take."""

DISPLAY_PROBE = """
import sys
from qtpy.QtWidgets import QApplication
application = QApplication([])
size = application.primaryScreen().size()
print("display", application.platformName(), f"{size.width()} x {size.height()}")
from vispy.gloo.context import FakeCanvas
from vispy.app import use_app
bindings = ("PyQt5", "PyQt6", "PySide6")
use_app(next((name for name in bindings if name in sys.modules), "PySide6").lower())
from vispy import gloo, app
canvas = app.Canvas(show=False)
canvas.set_current()
print("gl", gloo.gl.glGetParameter(gloo.gl.GL_VERSION))
"""


class CheckResult(NamedTuple):
    """One line of the report."""

    what: str
    """Package or device that was looked at."""
    state: str
    """Version, or what is wrong."""
    mend: str = ""
    """Command that mends it; empty where all is well."""


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "doctor",
        help="say what is installed, what is missing and how to mend it",
        description="Look at this installation.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found and return 0."""
    results = [*_versions(), *_bindings(), *_display(), *_torch(), *_codecs(), *_classifiers()]
    if arguments.json:
        rows = [result._asdict() for result in results]
        print_line(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max(len(result.what) for result in results)
    for result in results:
        mark = "!" if result.mend else " "
        print_line(f"{mark} {result.what:{width}}  {result.state}")
        if result.mend:
            print_line(f"  {'':{width}}  → {result.mend}")
    n_faults = sum(bool(result.mend) for result in results)
    if n_faults == 0:
        print_line("Nothing is missing.")
    else:
        things = "1 thing" if n_faults == 1 else f"{n_faults} things"
        print_line(f"{things} to mend, marked with '!'.")
    return 0


def _versions() -> Iterator[CheckResult]:
    system = f"{platform.system()} {platform.machine()}"
    yield CheckResult("python", f"{platform.python_version()} on {system}, {os.cpu_count()} cores")
    for package in PACKAGES:
        installed = _version(package)
        mend = "" if installed else f"pip install {package}"
        yield CheckResult(package, installed or "missing", mend)


def _bindings() -> Iterator[CheckResult]:
    installed = [f"{name} {_version(name)}" for name in BINDINGS if _version(name)]
    mend = "" if installed else 'pip install "napari-mil[pyqt5]"'
    yield CheckResult("Qt binding", ", ".join(installed) or "missing", mend)


def _display() -> Iterator[CheckResult]:
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not has_display:
        yield CheckResult(
            "display",
            "none",
            "run in a desktop session, or in a virtual display: "
            "xvfb-run -s '-screen 0 1600x1000x24' napari-mil view",
        )
        return
    states, failure = _probe_display()
    reason = (failure.strip().splitlines() or ["the window system refused"])[-1]
    libraries = f"apt-get install --no-install-recommends {WINDOW_LIBRARIES}"
    if "display" not in states:
        yield CheckResult("display", f"cannot open a window ({reason})", libraries)
        return
    yield CheckResult("display", states["display"])
    if "gl" in states:
        yield CheckResult("OpenGL", states["gl"])
    else:
        yield CheckResult("OpenGL", f"no context ({reason})", libraries)


def _probe_display() -> tuple[dict[str, str], str]:
    """Open a window in a process of its own, which a missing library aborts.

    Returns
    -------
    tuple
        States of ``display`` and ``gl`` as far as they work, and the text of the failure.
    """
    try:
        # Nothing but this interpreter and the text above is run.
        probe = subprocess.run(  # noqa: S603
            [sys.executable, "-c", DISPLAY_PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {PROBE_SECONDS} s"
    lines = [line for line in probe.stdout.splitlines() if " " in line]
    return dict(line.split(" ", 1) for line in lines), probe.stderr


def _torch() -> Iterator[CheckResult]:
    try:
        import torch
    except ImportError as error:
        yield CheckResult("GPU", f"unknown: torch does not load ({error})", "pip install torch")
        return
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        yield CheckResult("GPU", ", ".join(names))
    else:
        yield CheckResult("GPU", f"none; the CPU is used ({torch.get_num_threads()} threads)")


def _codecs() -> Iterator[CheckResult]:
    try:
        import openslide
    except (ImportError, OSError) as error:
        yield CheckResult(
            "OpenSlide", f"cannot be loaded ({error})", "pip install openslide-bin openslide-python"
        )
        return
    version_text = openslide.__library_version__
    yield CheckResult("OpenSlide", f"library {version_text}: JPEG, JPEG 2000, Deflate, LZW")


def _classifiers() -> Iterator[CheckResult]:
    from napari_mil.inference.library import list_classifiers

    names = list(list_classifiers())
    mend = "" if names else "install napari-mil again: its bundles are missing"
    yield CheckResult("classifiers", ", ".join(names) or "none", mend)


def _version(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
