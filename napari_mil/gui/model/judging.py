"""How good a classifier is: figures that the Train tab shows, and a score that is under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_mil.training.evaluation.curves import Curves
    from napari_mil.training.evaluation.stored import StoredFigures


class Plot(StrEnum):
    """Curve that is drawn."""

    ROC = "ROC"
    PRECISION = "Precision and recall"
    CALIBRATION = "Calibration"


@dataclass(frozen=True, eq=False)
class Judgement:
    """Figures of an evaluation or a score."""

    folder: Path
    """Folder that they are read from."""
    root: Path | None
    """Folder of the cohort, below which bags lie; None where it is not known."""
    stored: StoredFigures
    curves: Curves

    def path_of(self, bag: int) -> Path | None:
        """Return where a bag lies, or None where that is not known."""
        name = self.stored.answers.bags[bag].path
        if Path(name).is_absolute():
            return Path(name)
        return None if self.root is None else self.root / name


@dataclass(frozen=True, eq=False)
class Judging:
    """Everything that is shown about how good a classifier is."""

    judgement: Judgement | None = None
    plot: Plot = Plot.ROC
    cell: tuple[int, int] | None = None
    """Cell of the confusion matrix whose bags are listed."""
    mapping: str = ""
    """Classes of a cohort that are called otherwise, as a person wrote them."""
    scoring: str = ""
    """Name of the cohort that is scored; empty while none is."""
    what: str = ""
    done: int = 0
    total: int = 0
    eta: float | None = None
    message: str = ""
    cautions: bool = True
    """Whether the message says that something is wrong."""


def show(judging: Judging, judgement: Judgement | None) -> Judging:
    """Show figures; None shows none."""
    return replace(judging, judgement=judgement, cell=None)


def choose_plot(judging: Judging, plot: Plot) -> Judging:
    """Choose the curve that is drawn."""
    return replace(judging, plot=plot)


def choose_cell(judging: Judging, row: int, column: int) -> Judging:
    """List the bags of a cell of the confusion matrix."""
    return judging if judging.judgement is None else replace(judging, cell=(row, column))


def write_mapping(judging: Judging, mapping: str) -> Judging:
    """Take what a person wrote about classes that are called otherwise."""
    return replace(judging, mapping=mapping)


def start_scoring(judging: Judging, name: str) -> Judging:
    """Begin to score a cohort."""
    return replace(judging, scoring=name, what="", done=0, total=0, eta=None, message="")


def count(judging: Judging, what: str, done: int, total: int, eta: float | None = None) -> Judging:
    """Say how far the score is."""
    return replace(judging, what=what, done=done, total=total, eta=eta)


def end_scoring(judging: Judging, message: str = "", *, cautions: bool = True) -> Judging:
    """End the score; the message says what came of it, if it is not the figures."""
    return replace(judging, scoring="", message=message, cautions=cautions)
