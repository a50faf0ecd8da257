"""Where results go: one folder a slide below the output folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from napari_mil.errors import OutputError
from napari_mil.inference.prediction import INSTANCES_FILE, PREDICTION_FILE, Prediction


def prepare_output(folder: Path) -> None:
    """Check that the output folder can be written before any work is done; a missing one is made only when there is a result.

    Raises
    ------
    OutputError
        If it cannot.
    """
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"{nearest.name} is a file, so results cannot be written to {folder}; choose another folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"Results cannot be written to {folder} (permission denied in {nearest}); choose another folder.")


def result_folder(out: Path, name: str, fingerprint: str, taken: set[Path]) -> tuple[Path, Prediction | None]:
    """Return the folder for a slide and what it already holds from that slide.

    A folder of that name that belongs to another slide, in this run or an earlier one, is left alone: the next is ``<name>-2``.
    """
    for folder in _candidates(out, name):
        if folder in taken:
            continue
        earlier = _earlier(folder)
        if earlier is None and _is_free(folder):
            return folder, None
        if earlier is not None and earlier.slide.get("fingerprint") == fingerprint:
            return folder, earlier
    raise AssertionError("unreachable: there is always a next name")


def _candidates(out: Path, name: str) -> Iterator[Path]:
    yield out / name
    yield from (out / f"{name}-{k}" for k in count(2))


def _earlier(folder: Path) -> Prediction | None:
    if not (folder / PREDICTION_FILE).is_file():
        return None
    try:
        return Prediction.load(folder)
    except OutputError:
        return None


def _is_free(folder: Path) -> bool:
    """Say whether nothing of somebody else's is there: no folder, or only what an interrupted run of ours left."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(entry.name in (PREDICTION_FILE, INSTANCES_FILE) or entry.name.startswith(".partial-") for entry in folder.iterdir())
