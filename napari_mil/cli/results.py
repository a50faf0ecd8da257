"""Where results go: one folder a slide below the output folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
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
    try:
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        if not nearest.is_dir():
            raise OutputError(
                f"{nearest.name} is no folder, so results cannot be written to {folder}; choose another folder."
            )
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=nearest):
            pass  # the one way to know on every file system
    except OSError as error:
        raise OutputError(
            f"Results cannot be written to {folder} ({error.strerror or error}); choose another folder."
        ) from error


def result_folder(
    out: Path, name: str, fingerprint: str, taken: Mapping[Path, str]
) -> tuple[Path, Prediction | None]:
    """Return the folder for a slide and what it already holds from that slide; `taken` maps folders of this run to fingerprints.

    A folder of that name that belongs to another slide, in this run or an earlier one, is left alone: the next is ``<name>-2``.
    """
    for folder in _candidates(out, name):
        if taken.get(folder, fingerprint) != fingerprint:
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
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and all(
        entry.name == INSTANCES_FILE or entry.name.startswith(".partial-")
        for entry in folder.iterdir()
    )
