"""The npe2 reader: a path becomes a lazy multiscale layer (no torch)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_error

from napari_mil.errors import NapariMilError
from napari_mil.slides import Slide, open_slide
from napari_mil.slides.levels import Level
from napari_mil.slides.slide import BACKENDS

LayerTuple = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerTuple]]

SLIDE_KEY = "napari_mil_slide"
"""Key of the open `Slide` in the metadata of its layer."""
SHARED_EXTENSIONS = (".tif", ".tiff", ".dcm")
"""Endings that also belong to files which are no slides: those are left to other readers."""
UNREADABLE_GREY = 200
AXES = ("y", "x")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return a function that reads the path(s), or None where another reader should try."""
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    if not all(_is_ours(Path(one)) for one in paths):
        return None
    return read_slides


def read_slides(path: str | Sequence[str]) -> list[LayerTuple]:
    """Open slides as layers; only headers and the coarsest level are read.

    Raises
    ------
    UnreadableSlideError
        In one sentence, which napari shows as a notification.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    return [slide_layer(open_slide(one)) for one in paths]


def slide_layer(slide: Slide) -> LayerTuple:
    """Return the layer of an open slide: multiscale, RGB, in µm where the slide has a scale.

    Raises
    ------
    UnreadableSlideError
        If not even the coarsest level can be read.
    """
    levels = slide.levels
    try:
        coarsest = np.asarray(
            levels[-1]
        )  # what napari needs before it can show anything; a damaged file fails here, once
    except NapariMilError:
        slide.close()
        raise
    reporter = _ReportOnce(slide.path.name)
    data = [*(_GuardedLevel(level, reporter) for level in levels[:-1]), coarsest]
    return (
        data if len(data) > 1 else coarsest,
        {**slide_arguments(slide), "multiscale": len(data) > 1},
        "image",
    )


def slide_arguments(slide: Slide) -> dict[str, Any]:
    """Return name, placement and metadata of a slide's layer."""
    placement = (
        {"scale": (slide.mpp, slide.mpp), "units": ("um", "um")}
        if slide.mpp
        else {"scale": (1, 1), "units": ("pixel", "pixel")}
    )
    return {
        "name": slide.name,
        "rgb": True,
        "axis_labels": AXES,
        "metadata": {SLIDE_KEY: slide},
        **placement,
    }


def _is_ours(path: Path) -> bool:
    """Files with a slide's own ending are ours to read or to refuse; others only if a slide is in them."""
    if path.suffix.lower() not in SHARED_EXTENSIONS:
        return True
    try:
        return path.is_file() and any(backend.recognises(path) for backend in BACKENDS)
    except OSError:
        return False


class _ReportOnce:
    """Says the first fault of a slide as a notification; napari's reading thread must not fail."""

    def __init__(self, name: str) -> None:
        self._name, self._said, self._lock = name, False, threading.Lock()

    def __call__(self, error: Exception) -> None:
        with self._lock:
            first, self._said = not self._said, True
        if first:
            show_error(
                str(error)
                if isinstance(error, NapariMilError)
                else f"{self._name} can no longer be read; it may have been closed or moved."
            )


class _GuardedLevel:
    """A level whose unreadable parts are grey and reported once."""

    ndim, dtype = Level.ndim, Level.dtype

    def __init__(self, level: Level, report: Callable[[Exception], None]) -> None:
        self._level, self._report = level, report
        self.shape, self.size, self.chunks = level.shape, level.size, level.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        try:
            return self._level[key]
        except Exception as error:  # whatever it is, the viewer stays alive
            self._report(error)
            grey = np.broadcast_to(np.uint8(UNREADABLE_GREY), self.shape)
            return np.array(grey[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype)

    def __deepcopy__(self, memo: object) -> _GuardedLevel:
        return self  # a copy of the layer shows the same file
