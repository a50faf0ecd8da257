"""Page of figures, as SVG and PNG: ROC, precision and recall, calibration, confusion matrix."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mil.errors import OutputError
from napari_mil.files import whole_or_nothing
from napari_mil.training.evaluation.curves import Curve, Curves, Reliability
from napari_mil.training.layout import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE_IN = (9.6, 9.6)
DPI = 150
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours of classes, told apart by colour-blind people too; then they begin again."""
DASHES = ("-", "--", ":", "-.")
"""Line styles of classes, each for one round of colours."""
LONGEST_NAME = 24
TITLE_WIDTH = 110
"""Characters of a line of the title."""
MOST_LINES = 10
"""Repeats that are drawn."""
MOST_COUNTS = 12
"""Classes up to which the cells of a confusion matrix hold numbers."""


def write_page(curves: Curves, title: str, folder: Path) -> tuple[Path, ...]:
    """Write ``figures.svg`` and ``figures.png``.

    Parameters
    ----------
    curves
        What is drawn.
    title
        How the figures were obtained, in one line.
    folder
        Gets the files.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    # Takes a second to load.
    import matplotlib as mpl

    paths = tuple(folder / name for name in FIGURES)
    # Texts stay texts, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "napari-mil"}):
        figure = draw_page(curves, title)
        for path in paths:
            form = path.suffix.removeprefix(".")
            metadata: dict[str, Any] = {"Date": None} if form == "svg" else {}
            try:
                with whole_or_nothing(path) as part:
                    figure.savefig(part, format=form, dpi=DPI, metadata=metadata)
            except OSError as error:
                raise OutputError(
                    f"{path.name} cannot be written to {folder} ({error.strerror or error}); "
                    "make room, or choose another folder."
                ) from error
    return paths


def draw_page(curves: Curves, title: str) -> Figure:
    """Return the page as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, layout="constrained")
    ((roc, recall), (calibration, confusion)) = figure.subplots(2, 2)
    figure.suptitle(_plain(textwrap.fill(title, TITLE_WIDTH)), fontsize=9)
    _draw_curves(roc, curves.roc, "AUC")
    roc.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    roc.set(title="ROC", xlabel="false positive rate", ylabel="sensitivity")
    _draw_curves(recall, curves.precision_recall, "average precision")
    recall.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    _draw_calibration(calibration, curves)
    _draw_confusion(confusion, curves)
    for axes in (roc, recall, calibration):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure


def _draw_curves(axes: Any, curves: tuple[Curve, ...], area: str) -> None:
    for k, curve in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        style = DASHES[k // len(COLOURS) % len(DASHES)]
        lines = curve.lines[:MOST_LINES]
        label = f"{_elided(curve.name)}: {area} {curve.area:.2f}"
        if not lines:
            axes.plot([], [], color=colour, linestyle=style, label=f"{_elided(curve.name)}: –")
        for n, (x, y) in enumerate(lines):
            axes.plot(
                x,
                y,
                color=colour,
                linestyle=style,
                linewidth=1.6 if len(lines) == 1 else 0.9,
                alpha=1.0 if len(lines) == 1 else 0.6,
                label=label if n == 0 else None,
            )
    axes.legend(loc="lower left" if area != "AUC" else "lower right", fontsize=8)


def _draw_calibration(axes: Any, curves: Curves) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    for reliability, colour, style, marker, label in (
        (curves.uncalibrated, COLOURS[1], "--", "s", "before temperature"),
        (curves.calibrated, COLOURS[0], "-", "o", "after temperature"),
    ):
        axes.plot(
            reliability.predicted,
            reliability.observed,
            style,
            color=colour,
            marker=marker,
            markersize=4,
            label=label,
        )
    _number_bins(axes, curves.calibrated)
    axes.legend(loc="upper left", fontsize=8)
    of = "of the positive class" if curves.of_positive else "of the predicted class"
    axes.set(title="Calibration", xlabel=f"probability {of}", ylabel="observed share")


def _number_bins(axes: Any, reliability: Reliability) -> None:
    """Write the number of bags beside each point."""
    for x, y, count in zip(
        reliability.predicted, reliability.observed, reliability.count, strict=True
    ):
        axes.annotate(
            f"{count:.0f}", (x, y), (4, -9), textcoords="offset points", fontsize=6, color="0.3"
        )


def _draw_confusion(axes: Any, curves: Curves) -> None:
    confusion = curves.confusion
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    size = 8 if len(confusion.rows) <= MOST_COUNTS else 5
    axes.set_xticks(range(len(confusion.columns)), map(_elided, confusion.columns), fontsize=size)
    axes.set_yticks(range(len(confusion.rows)), map(_elided, confusion.rows), fontsize=size)
    if max(map(len, confusion.columns)) * len(confusion.columns) > 2 * LONGEST_NAME:
        axes.tick_params(axis="x", rotation=60)
    if len(confusion.rows) <= MOST_COUNTS:
        for row, column in np.ndindex(counts.shape):
            axes.text(
                column,
                row,
                f"{counts[row, column]:.3g}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    title = "Confusion, bags"
    if len(confusion.members) > 1:
        title += f", mean over {len(confusion.members)} repeats"
    axes.set(title=title, xlabel="answer", ylabel="truth")


def _elided(text: str) -> str:
    """Return a text that is cut in the middle where it is too long."""
    half = (LONGEST_NAME - 1) // 2
    return _plain(text if len(text) <= LONGEST_NAME else f"{text[:half]}…{text[-half:]}")


def _plain(text: str) -> str:
    """Return a text in which ``$`` stays a sign and begins no formula."""
    return text.replace("$", r"\$")
