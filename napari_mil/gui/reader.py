"""The npe2 reader: a slide becomes a lazy multiscale layer (no torch)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_error

from napari_mil.errors import NapariMilError
from napari_mil.gui.model.placement import placement_of
from napari_mil.slides import Slide, open_slide
from napari_mil.slides.levels import Level

LayerTuple = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerTuple]]

SLIDE_KEY = "napari_mil_slide"
"""Key of the open `Slide` in the metadata of a layer that the reader made."""
UNREADABLE_GREY = 200
AXES = ("y", "x")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the function that reads slides: the manifest asks for their own endings alone."""
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
    data = read_pyramid(slide, show_error)
    arguments = {
        "name": slide.name,
        "rgb": True,
        "axis_labels": AXES,
        "metadata": {SLIDE_KEY: slide},
        "scale": placement_of(slide).unit_yx,
        "units": ("um", "um") if slide.mpp else ("pixel", "pixel"),
        "multiscale": len(data) > 1,
    }
    return data if len(data) > 1 else data[0], arguments, "image"


def read_pyramid(slide: Slide, report: Callable[[str], None]) -> list[Any]:
    """Return the levels of a slide as napari takes them, the coarsest one in memory.

    Parameters
    ----------
    slide
        An open slide; it is closed where it cannot be read.
    report
        Told the first fault in one sentence, in napari's reading thread, which must not fail.

    Raises
    ------
    UnreadableSlideError
        If not even the coarsest level can be read.
    """
    levels = slide.levels
    try:
        coarsest = np.asarray(levels[-1])
    except NapariMilError:
        slide.close()
        raise
    once = _ReportOnce(slide.path.name, report)
    return [*(GuardedLevel(level, once) for level in levels[:-1]), coarsest]


class _ReportOnce:
    """Tells the first fault of a slide."""

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self._name = name
        self._report = report
        self._reported = False
        self._lock = threading.Lock()

    def __call__(self, error: Exception) -> None:
        with self._lock:
            first = not self._reported
            self._reported = True
        if not first:
            return
        sentence = f"{self._name} can no longer be read; it may have been closed or moved."
        if isinstance(error, NapariMilError):
            sentence = str(error)
        self._report(sentence)


class GuardedLevel:
    """A level whose unreadable parts are grey and reported once."""

    ndim = Level.ndim
    dtype = Level.dtype

    def __init__(self, level: Level, report: Callable[[Exception], None]) -> None:
        self.level = level
        """The level itself, whose faults are raised."""
        self._report = report
        self.shape = level.shape
        self.size = level.size
        self.chunks = level.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        try:
            return self.level[key]
        except Exception as error:
            # Whatever it is, the viewer stays alive.
            self._report(error)
            grey = np.broadcast_to(np.uint8(UNREADABLE_GREY), self.shape)
            return np.array(grey[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype)

    def __deepcopy__(self, memo: object) -> GuardedLevel:
        """Return the level itself: a copy of the layer shows the same file."""
        return self
