"""Evaluations and scores as they lie on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from napari_mil.errors import OutputError
from napari_mil.training.evaluation.answers import Answers
from napari_mil.training.evaluation.predictions_table import read_predictions
from napari_mil.training.layout import EVALUATION, PREDICTIONS, SCORE


@dataclass(frozen=True)
class StoredFigure:
    """One figure with its interval."""

    name: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class StoredFigures:
    """Figures in a folder, and the answers behind them."""

    headline: str
    figures: tuple[StoredFigure, ...]
    remarks: tuple[str, ...]
    answers: Answers


def read_figures(folder: Path) -> StoredFigures:
    """Read the figures and answers of an evaluation or a score.

    Raises
    ------
    OutputError
        If the folder holds none.
    """
    answers = read_answers(folder)
    path = _file_in(folder)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(
            StoredFigure(name, entry["mean"], entry["low"], entry["high"])
            for name, entry in entries["metrics"].items()
        )
        return StoredFigures(entries["headline"], figures, tuple(entries["remarks"]), answers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path.name} in {folder} cannot be read ({error}); evaluate again."
        ) from error


def read_answers(folder: Path) -> Answers:
    """Read the answers of an evaluation or a score.

    Raises
    ------
    OutputError
        If the folder holds none.
    """
    if not _file_in(folder).is_file():
        raise OutputError(f"{folder} holds no evaluation; give the folder of evaluate or score.")
    path = folder / PREDICTIONS
    if not path.is_file():
        raise OutputError(
            f"{folder} holds an evaluation without {PREDICTIONS}; evaluate again to have it."
        )
    table = read_predictions(path)
    try:
        return table.answers()
    except (ValueError, KeyError) as error:
        raise OutputError(
            f"{PREDICTIONS} in {folder} contradicts itself ({error}); evaluate again."
        ) from error


def _file_in(folder: Path) -> Path:
    """Return the file of the figures, there or not."""
    return folder / (SCORE if (folder / SCORE).is_file() else EVALUATION)
