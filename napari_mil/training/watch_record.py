"""Answers of every epoch for the watched slide, in the folder of its run.

Read without torch: the window replays them.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.layout import Layout, layout_of_grid
from napari_mil.events import Fallback, OnEvent, Watched, Watching
from napari_mil.files import whole_or_nothing

FOLDER = "watched"
"""Folder in that of a run."""
SLIDE = "slide.npz"
MASK = "mask_"
"""Beginning of the names of masks, before their kind."""
UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class WatchRecord:
    """What a model in training said of a slide, epoch by epoch."""

    path: Path
    """The slide."""
    part: str
    """See `events.Watching.part`."""
    layout: Layout
    epochs: tuple[tuple[int, Watched], ...]
    """(epoch, answer), oldest first."""


class WatchRecorder:
    """Keeps the answer of every epoch for one slide.

    A run goes on where nothing can be kept; that is said once.

    Parameters
    ----------
    run
        Folder of the run.
    slide
        The slide that is watched; answers for another one are removed.
    watching
        Its tiles and its part.
    on_event
        Hears that nothing is kept.
    """

    def __init__(self, run: Path, slide: Path, watching: Watching, on_event: OnEvent) -> None:
        self._folder = run / FOLDER
        self._on_event = on_event
        self._is_kept = True
        self._keep(lambda: self._begin(slide, watching))

    def keep(self, epoch: int, watched: Watched) -> None:
        """Keep the answer of an epoch, counted from 1."""
        masks = {f"{MASK}{kind}": mask for kind, mask in watched.masks.items()}
        arrays = {
            "values": watched.values,
            "what": np.array(watched.what),
            "probabilities": watched.probabilities,
            **masks,
        }
        self._keep(lambda: _write(self._folder / f"epoch-{epoch:05d}.npz", arrays))

    def _begin(self, slide: Path, watching: Watching) -> None:
        layout = layout_of_grid(watching.grid)
        earlier = _read_slide(self._folder)
        if earlier is None or not (
            earlier.path == slide and earlier.layout.covers_the_same_as(layout)
        ):
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        arrays = {
            "path": np.array(str(slide)),
            "part": np.array(watching.part),
            "coords": layout.coords,
            "cells": layout.cells,
            "shape": np.array(layout.shape),
            "sizes": np.array([layout.tile_size0, layout.stride0, layout.aspect]),
        }
        _write(self._folder / SLIDE, arrays)

    def _keep(self, write: Callable[[], None]) -> None:
        if not self._is_kept:
            return
        try:
            write()
        except OSError as error:
            self._is_kept = False
            reason = error.strerror or str(error)
            self._on_event(
                Fallback(f"The overlays of the epochs are not kept for a replay ({reason}).")
            )


def read_record(run: Path) -> WatchRecord | None:
    """Return what a run kept of a watched slide, or None; epochs that are damaged are left out."""
    record = _read_slide(run / FOLDER)
    if record is None:
        return None
    epochs = []
    for file in sorted((run / FOLDER).glob("epoch-*.npz")):
        try:
            watched = _read_epoch(file)
        except UNREADABLE:
            continue
        if len(watched.values) == len(record.layout):
            epochs.append((int(file.stem.partition("-")[2]), watched))
    return WatchRecord(record.path, record.part, record.layout, tuple(epochs))


def _read_slide(folder: Path) -> WatchRecord | None:
    try:
        with (folder / SLIDE).open("rb") as opened, np.load(opened) as arrays:
            tile_size0, stride0, aspect = arrays["sizes"].tolist()
            rows, columns = arrays["shape"].tolist()
            layout = Layout(
                coords=arrays["coords"],
                cells=arrays["cells"],
                shape=(rows, columns),
                tile_size0=tile_size0,
                stride0=stride0,
                aspect=aspect,
            )
            return WatchRecord(Path(str(arrays["path"])), str(arrays["part"]), layout, ())
    except UNREADABLE:
        return None


def _read_epoch(file: Path) -> Watched:
    with file.open("rb") as opened, np.load(opened) as arrays:
        masks = {
            name.removeprefix(MASK): arrays[name] for name in arrays.files if name.startswith(MASK)
        }
        return Watched(arrays["values"], str(arrays["what"]), arrays["probabilities"], masks)


def _write(path: Path, arrays: Mapping[str, Any]) -> None:
    with whole_or_nothing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
