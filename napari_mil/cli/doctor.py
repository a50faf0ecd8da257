"""``napari-mil doctor``: what is installed, what is missing, and the command that mends it."""

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

from napari_mil.cli.output import say

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
    "libgl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 "
    "libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libegl1 libxcb-cursor0"
)
PROBE_SECONDS = 60

DISPLAY_PROBE = """
from qtpy.QtWidgets import QApplication
application = QApplication([])
size = application.primaryScreen().size()
print("display", application.platformName(), f"{size.width()} x {size.height()}")
from vispy.gloo.context import FakeCanvas
from vispy.app import use_app
use_app("pyqt5" if "PyQt5" in __import__("sys").modules else "pyqt6" if "PyQt6" in __import__("sys").modules else "pyside6")
from vispy import gloo, app
canvas = app.Canvas(show=False)
canvas.set_current()
print("gl", gloo.gl.glGetParameter(gloo.gl.GL_VERSION))
"""


class Finding(NamedTuple):
    """One line of the report."""

    what: str
    state: str
    mend: str = ""
    """What to do; empty where all is well."""


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
    """Print the findings; 0 whatever they are."""
    findings = [*_versions(), *_bindings(), *_display(), *_torch(), *_codecs(), *_classifiers()]
    if arguments.json:
        say(json.dumps([finding._asdict() for finding in findings], indent=2, ensure_ascii=False))
        return 0
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        say(f"{'!' if finding.mend else ' '} {finding.what:{width}}  {finding.state}")
        if finding.mend:
            say(f"  {'':{width}}  → {finding.mend}")
    wanting = sum(bool(finding.mend) for finding in findings)
    say(
        "Nothing is missing."
        if not wanting
        else f"{wanting} thing{'s' * (wanting > 1)} to mend, marked with '!'."
    )
    return 0


def _versions() -> Iterator[Finding]:
    yield Finding(
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    )
    for package in PACKAGES:
        installed = _version(package)
        yield Finding(
            package, installed or "missing", "" if installed else f"pip install {package}"
        )


def _bindings() -> Iterator[Finding]:
    installed = [f"{name} {_version(name)}" for name in BINDINGS if _version(name)]
    yield Finding(
        "Qt binding",
        ", ".join(installed) or "missing",
        "" if installed else 'pip install "napari-mil[pyqt5]"',
    )


def _display() -> Iterator[Finding]:
    """Try a window in a process of its own: a missing library aborts it."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        yield Finding(
            "display",
            "none",
            "run in a desktop session, or in a virtual display: xvfb-run -s '-screen 0 1600x1000x24' napari-mil view",
        )
        return
    try:
        probe = subprocess.run(
            [sys.executable, "-c", DISPLAY_PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        lines, failure = (
            dict(line.split(" ", 1) for line in probe.stdout.splitlines() if " " in line),
            probe.stderr,
        )
    except subprocess.TimeoutExpired:
        lines, failure = {}, f"no answer within {PROBE_SECONDS} s"
    reason = (failure.strip().splitlines() or ["the window system refused"])[-1]
    libraries = f"apt-get install --no-install-recommends {WINDOW_LIBRARIES}"
    yield Finding(
        "display",
        lines.get("display", f"cannot open a window ({reason})"),
        "" if "display" in lines else libraries,
    )
    if "display" in lines:
        yield Finding(
            "OpenGL", lines.get("gl", f"no context ({reason})"), "" if "gl" in lines else libraries
        )


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("GPU", f"unknown: torch does not load ({error})", "pip install torch")
        return
    if torch.cuda.is_available():
        yield Finding(
            "GPU",
            ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())),
        )
    else:
        yield Finding("GPU", f"none; the CPU is used ({torch.get_num_threads()} threads)")


def _codecs() -> Iterator[Finding]:
    try:
        import openslide

        yield Finding(
            "OpenSlide", f"library {openslide.__library_version__}: JPEG, JPEG 2000, Deflate, LZW"
        )
    except (ImportError, OSError) as error:
        yield Finding(
            "OpenSlide", f"cannot be loaded ({error})", "pip install openslide-bin openslide-python"
        )


def _classifiers() -> Iterator[Finding]:
    from napari_mil.inference.library import list_classifiers

    names = list(list_classifiers())
    yield Finding(
        "classifiers",
        ", ".join(names) or "none",
        "" if names else "install napari-mil again: its bundles are missing",
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
