"""What the Train tab shows of how good a classifier is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.gui.model.judging import Judgement, Judging, Plot
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.words import count, time_left
from napari_mil.inference.card import ClassifierCard

if TYPE_CHECKING:
    from napari_mil.training.evaluation.curves import Curves
    from napari_mil.training.evaluation.stored import StoredFigure

Cell = tuple[int, int]
"""Row and column of a confusion matrix."""
MOST_BAGS = 500
"""Bags of a cell that are listed."""
MOST_CELLS = 400
"""Cells up to which a confusion matrix is shown."""


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix as texts."""

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()
    """Bags in each cell."""
    shares: tuple[tuple[float, ...], ...] = ()
    """Share of the row in each cell."""
    cell: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Drawing:
    """Curves, and which of them are drawn; equal where both are the same."""

    curves: Curves | None = None
    plot: Plot = Plot.ROC

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Drawing):
            return NotImplemented
        return self.curves is other.curves and self.plot is other.plot

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class ListedBag:
    """A bag of the chosen cell."""

    number: int
    text: str


@dataclass(frozen=True)
class FiguresSnapshot:
    """Figures of an evaluation or a score."""

    headline: str = ""
    """Empty while there are none."""
    lines: str = ""
    place: str = ""
    plots: Choices = field(default_factory=Choices)
    drawing: Drawing = field(default_factory=Drawing)
    matrix: Matrix = field(default_factory=Matrix)
    bags_line: str = ""
    bags: tuple[ListedBag, ...] = ()


@dataclass(frozen=True)
class JudgingSnapshot:
    """Figures, and a score that is under way."""

    line: str = ""
    """Whose figures a score would be."""
    can_score: bool = False
    score_tip: str = ""
    mapping: str = ""
    scoring: bool = False
    progress: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    cautions: bool = True
    figures: FiguresSnapshot = field(default_factory=FiguresSnapshot)


def judged_card(state: SessionState) -> ClassifierCard | None:
    """Return the classifier that a score is of: that of the run, or the chosen one."""
    result = state.training.result
    return state.card if result is None else result.card


def judging_snapshot(state: SessionState) -> JudgingSnapshot:
    """Return what is shown of how good a classifier is."""
    judging = state.judging
    card = judged_card(state)
    reason = ""
    if card is None:
        reason = "Choose a classifier in Classify first."
    elif state.training.phase.is_busy:
        reason = "A training is under way."
    return JudgingSnapshot(
        line="" if card is None else f"With {card.name}",
        can_score=not reason and not judging.scoring,
        score_tip=reason
        or "Classify labelled slides or bags that it was not trained on, "
        "and see how well that goes.",
        mapping=judging.mapping,
        scoring=bool(judging.scoring),
        progress=_progress(judging),
        done=judging.done,
        total=judging.total,
        message=judging.message,
        cautions=judging.cautions,
        figures=_kept(_figures, judging.judgement, judging.plot, judging.cell),
    )


_kept = Memo(4)
"""The window is drawn anew whenever a mouse moves, figures hardly ever."""


def _figures(judgement: Judgement | None, plot: Plot, cell: Cell | None) -> FiguresSnapshot:
    if judgement is None:
        return FiguresSnapshot()
    bags = () if cell is None else _bags(judgement, cell)
    return FiguresSnapshot(
        headline=judgement.stored.headline,
        lines="\n".join(map(_figure_words, judgement.stored.figures)),
        place=f"figures.svg and predictions.csv are in {judgement.folder}",
        plots=Choices(tuple(Choice(one, one.value) for one in Plot), plot),
        drawing=Drawing(judgement.curves, plot),
        matrix=_matrix(judgement, cell),
        bags_line=_bags_line(judgement, cell, len(bags)),
        bags=bags[:MOST_BAGS],
    )


def _progress(judging: Judging) -> str:
    if not judging.scoring:
        return ""
    if not judging.total:
        return f"Looking at {judging.scoring}…"
    verb = "Looking at" if judging.what == "files" else "Scoring"
    number = min(judging.done + 1, judging.total)
    left = time_left(judging.eta)
    return f"{verb} {judging.scoring}: bag {number} of {judging.total}{left or '…'}"


def _figure_words(figure: StoredFigure) -> str:
    name = figure.name.replace("_", " ")
    if figure.value is None:
        return f"{name} –"
    interval = ""
    if figure.low is not None and figure.high is not None:
        interval = f" ({figure.low:.2f}–{figure.high:.2f})"
    return f"{name} {figure.value:.2f}{interval}"


def _matrix(judgement: Judgement, cell: Cell | None) -> Matrix:
    confusion = judgement.curves.confusion
    counts = confusion.counts
    if counts.size > MOST_CELLS:
        return Matrix()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return Matrix(
        confusion.rows,
        confusion.columns,
        tuple(tuple(f"{value:.3g}" for value in row) for row in counts),
        tuple(tuple(row) for row in shares.tolist()),
        cell,
    )


def _bags_line(judgement: Judgement, cell: Cell | None, n: int) -> str:
    """Return what the list of bags is of."""
    if cell is None:
        return "Click a number to list its bags; a double click on a bag opens it."
    confusion = judgement.curves.confusion
    row, column = cell
    listed = f", {MOST_BAGS} of them listed" if n > MOST_BAGS else ""
    return f"{confusion.rows[row]} → {confusion.columns[column]}: {count(n, 'bag')}{listed}"


def _bags(judgement: Judgement, cell: Cell) -> tuple[ListedBag, ...]:
    """Return the bags of a cell, the surest answers first."""
    answers = judgement.stored.answers
    row, column = cell
    # Of independent labels, rows are the classes; otherwise columns are.
    shown = row if answers.multi_label else column
    mean = answers.probabilities.mean(0)[:, shown]
    found = judgement.curves.confusion.bags_in(row, column)
    listed = []
    for bag, times in sorted(found, key=lambda pair: -mean[pair[0]]):
        repeats = f", in {times} of {answers.repeats} repeats" if answers.repeats > 1 else ""
        name = PurePosixPath(answers.bags[bag].path).name
        listed.append(ListedBag(bag, f"{name} · {answers.classes[shown]} {mean[bag]:.2f}{repeats}"))
    return tuple(listed)
