"""Instances that a person took out of a saved answer, beside it on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.errors import OutputError
from napari_mil.files import whole_or_nothing
from napari_mil.inference.prediction import Prediction

WHAT_IF_FILE = "what_if.json"
SCHEMA = "napari-mil/what-if/1"


@dataclass(frozen=True, eq=False)
class SavedWhatIf:
    """What was taken out of an answer, and what the answer is without it."""

    removed: tuple[int, ...]
    """Indices of instances, ascending."""
    probabilities: np.ndarray
    """float32 (C,)."""


def write_what_if(
    folder: Path, prediction: Prediction, removed: Sequence[int], probabilities: np.ndarray
) -> None:
    """Keep what was taken out of a saved answer; nothing taken out leaves no file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = folder / WHAT_IF_FILE
    entries = {
        "schema": SCHEMA,
        "logits": [float(value) for value in prediction.logits],
        "n_instances": prediction.n_instances,
        "removed": [int(instance) for instance in removed],
        "probabilities": {
            name: float(p) for name, p in zip(prediction.classes, probabilities, strict=True)
        },
    }
    try:
        if not removed:
            path.unlink(missing_ok=True)
            return
        with whole_or_nothing(path) as part:
            part.write_text(json.dumps(entries) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{WHAT_IF_FILE} cannot be written to {folder} ({error.strerror or error}); what was "
            "taken out is not kept."
        ) from error


def read_what_if(folder: Path, prediction: Prediction) -> SavedWhatIf | None:
    """Read what was taken out of a saved answer; None where there is nothing of this answer."""
    try:
        entries = json.loads((folder / WHAT_IF_FILE).read_text(encoding="utf-8"))
        if entries["schema"] != SCHEMA or entries["n_instances"] != prediction.n_instances:
            return None
        if entries["logits"] != [float(value) for value in prediction.logits]:
            # The slide was classified anew since.
            return None
        removed = tuple(sorted({int(instance) for instance in entries["removed"]}))
        probabilities = [float(entries["probabilities"][name]) for name in prediction.classes]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if not 0 < len(removed) < prediction.n_instances:
        return None
    if removed[0] < 0 or removed[-1] >= prediction.n_instances:
        return None
    return SavedWhatIf(removed, np.array(probabilities, np.float32))
