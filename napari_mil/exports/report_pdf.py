"""Report of one answer as a PDF of one A4 page."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mil.events import CancellationToken
from napari_mil.exports.report_content import Report, Shown, remarks_on, report_of
from napari_mil.exports.source import ExportSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A4_IN = (8.27, 11.69)
MARGIN, RIGHT = 0.06, 0.94
"""Sides of what is printed, as shares of the page."""
SMALL, PLAIN, LARGE, HUGE = 6.5, 8, 10, 14
"""Sizes of letters, in points."""
LINE = 0.0125
"""Distance of two lines of small letters, as a share of the page."""
WIDTH_CHARACTERS = 130
"""Small letters in a line of the whole page."""
INK, GREY, WINNER, OTHER, AMBER = "#1e1e1e", "#5a5a5a", "#00695c", "#8a8a8a", "#8a4700"


def write_report_pdf(
    source: ExportSource, path: Path, cancel: CancellationToken
) -> tuple[str, ...]:
    """Write the page; see `exporting.Writer`. The same answer gives the same file."""
    # Takes a second to load.
    import matplotlib as mpl

    report = report_of(source, cancel)
    # TrueType: texts can be searched and copied.
    with mpl.rc_context({"pdf.fonttype": 42, "text.parse_math": False}):
        figure = draw_report(report)
        metadata = {"Creator": report.generator, "Producer": None, "CreationDate": None}
        figure.savefig(path, format="pdf", metadata=metadata)
    return remarks_on(source)


def draw_report(report: Report) -> Figure:
    """Return the page as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=A4_IN)
    top = _draw_head(figure, report)
    foot = _draw_facts(figure, report)
    foot = _draw_tops(figure, report, foot)
    _draw_middle(figure, report, top, foot)
    return figure


def _draw_head(figure: Figure, report: Report) -> float:
    """Draw title, answer and remarks from the top; return where they end."""
    y = 0.965
    y = _write(figure, MARGIN, y, report.title, HUGE, INK, 60, weight="bold")
    words = f"{report.classifier} · {report.count} · research use only, no diagnosis"
    y = _write(figure, MARGIN, y, words, PLAIN, GREY, 110)
    y = _write(figure, MARGIN, y - 0.004, report.answer, LARGE, INK, 85, weight="bold")
    for remark in report.remarks:
        y = _write(figure, MARGIN, y, f"! {remark}", SMALL, AMBER, WIDTH_CHARACTERS)
    return y - 0.006


def _draw_facts(figure: Figure, report: Report) -> float:
    """Draw the provenance at the foot, in two columns; return where it begins."""
    wrapped = [
        textwrap.wrap(f"{fact.name}: {fact.value}", WIDTH_CHARACTERS // 2) for fact in report.facts
    ]
    half = (sum(map(len, wrapped)) + 1) // 2
    columns: tuple[list[str], list[str]] = ([], [])
    for lines in wrapped:
        columns[len(columns[0]) >= half].extend(lines)
    height = LINE * max(map(len, columns), default=0)
    y = 0.035 + height
    for x, lines in zip((MARGIN, 0.51), columns, strict=True):
        for k, line in enumerate(lines):
            figure.text(x, y - k * LINE, line, fontsize=SMALL, color=INK, va="top")
    figure.text(MARGIN, y + LINE, "Provenance", fontsize=PLAIN, color=INK, weight="bold", va="top")
    figure.text(RIGHT, 0.02, report.generator, fontsize=SMALL, color=GREY, ha="right")
    return y + 2 * LINE


def _draw_tops(figure: Figure, report: Report, foot: float) -> float:
    """Draw the instances with the highest values in a row above a place; return their top."""
    if not report.tops:
        return foot
    step = (RIGHT - MARGIN) / max(8, len(report.tops))
    has_pixels = any(tile.pixels is not None for tile in report.tops)
    side = 0.92 * step * A4_IN[0] / A4_IN[1] if has_pixels else 0.0
    captions = 3 * LINE
    for k, tile in enumerate(report.tops):
        x = MARGIN + k * step
        if tile.pixels is not None:
            _show(figure, (x, foot + captions, 0.92 * step, side), tile)
        words = "\n".join([*textwrap.wrap(tile.title, 18)[:2], tile.value])
        figure.text(x, foot + captions - 0.003, words, fontsize=5.5, color=GREY, va="top")
    y = foot + captions + side + 1.3 * LINE
    title = f"Highest {report.top_title}"
    figure.text(MARGIN, y, title, fontsize=PLAIN, color=INK, weight="bold", va="top")
    return y + 0.6 * LINE


def _draw_middle(figure: Figure, report: Report, top: float, foot: float) -> None:
    """Draw the slide and the probabilities on the left, the overlay on the right."""
    left_width = 0.26
    y = top
    if report.thumbnail is not None:
        height = min(0.2, (top - foot) / 2)
        _show(figure, (MARGIN, y - height, left_width, height), Shown("Slide", report.thumbnail))
        y -= height + 2 * LINE
    y = _draw_probabilities(figure, report, y, left_width)
    for picture in report.labels:
        height = min(0.12, y - foot)
        if height > 0.03:
            _show(figure, (MARGIN, y - height, left_width, height), picture)
            y -= height + LINE
    x = MARGIN + left_width + 0.03
    if report.overlay is None:
        _write(figure, x, top, report.no_overlay, SMALL, GREY, 80)
        return
    legend = 0.05 if report.legend is not None else 0.0
    figure.text(x, top, report.map_title, fontsize=PLAIN, color=INK, weight="bold", va="top")
    box = (x, foot + legend + LINE, RIGHT - x, top - foot - legend - 2.6 * LINE)
    _show(figure, box, Shown("overlay", report.overlay))
    if report.legend is not None:
        _show(figure, (x, foot + LINE, RIGHT - x, legend), Shown("legend", report.legend))


def _draw_probabilities(figure: Figure, report: Report, y: float, width: float) -> float:
    """Draw a bar and a number for each class; return where they end."""
    from matplotlib.patches import Rectangle

    figure.text(MARGIN, y, "Probabilities", fontsize=PLAIN, color=INK, weight="bold", va="top")
    y -= 1.8 * LINE
    for row in report.probabilities:
        weight = "bold" if row.wins else "normal"
        name = textwrap.shorten(row.name, 32, placeholder="…")
        look: dict[str, Any] = {"fontsize": SMALL, "color": INK, "weight": weight, "va": "top"}
        figure.text(MARGIN, y, name, **look)
        figure.text(MARGIN + width, y, f"{row.value:.2f}", ha="right", **look)
        y -= 1.5 * LINE
        colour = WINNER if row.wins else OTHER
        for share, fill in ((1.0, "#e6e6e6"), (row.value, colour)):
            bar = Rectangle((MARGIN, y), share * width, 0.4 * LINE, color=fill, linewidth=0)
            figure.add_artist(bar)
        y -= 0.6 * LINE
    return _write(figure, MARGIN, y - 0.2 * LINE, report.calibration, SMALL, GREY, 44) - LINE


def _write(
    figure: Figure,
    x: float,
    y: float,
    words: str,
    size: float,
    colour: str,
    width: int,
    **look: Any,
) -> float:
    """Write wrapped words below a place; return where they end."""
    for line in textwrap.wrap(words, width):
        figure.text(x, y, line, fontsize=size, color=colour, va="top", **look)
        y -= size * 1.45 / 72 / A4_IN[1]
    return y


def _show(figure: Figure, box: tuple[float, float, float, float], picture: Shown) -> None:
    """Show a picture in a box (left, bottom, width, height), as large as it fits."""
    assert picture.pixels is not None
    axes = figure.add_axes(box)
    axes.imshow(picture.pixels, interpolation="antialiased")
    axes.set_anchor("NW")
    axes.axis("off")
