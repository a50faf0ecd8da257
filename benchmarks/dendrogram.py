"""Panning a dendrogram of 10 000 leaves, beside matplotlib's drawing of the same lines.

`python -m benchmarks.dendrogram` writes the table into docs/tree.md. Without a display a virtual
one is used; either way the tree is drawn by software.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from benchmarks.coverage import replace_part
from napari_mil.aggregators.agglomeration import average_tree, ward_tree
from napari_mil.aggregators.merge_tree import MergeTree, single_linkage
from scripts.window_driver import has_display, rerun_in_virtual_display

PAGE = Path("docs/tree.md")
BEGIN = "<!-- dendrogram -->"
END = "<!-- end of dendrogram -->"
N_LEAVES = 10_000
WIDTH = 24
N_CLUMPS = 12
SIZE = (1000, 400)
"""Pixels of the drawing, and of matplotlib's."""
N_CLUSTERS = 8
STEPS = 60
"""Redraws that are measured for each view."""
PEER_STEPS = 10
"""Redraws of matplotlib between them."""
PAN_SHARE = 0.01
"""Share of the view that a step of the pan moves."""
VIEWS = {"9 000": 0.9, "1 000": 0.1, "300": 0.03}
"""Share of the leaves that is seen."""
LEAST_RATE = 20
LEAST_RATIO = 8
TREES: dict[str, Callable[[np.ndarray], MergeTree]] = {
    "Ward": ward_tree,
    "average linkage": average_tree,
    "single linkage": single_linkage,
}


@dataclass(frozen=True)
class Taken:
    """What one redraw took, in seconds."""

    clock: float
    cpu: float
    """Of this process."""


@dataclass(frozen=True)
class Row:
    """What one view of one tree came to, in seconds."""

    tree: str
    view: str
    lines: int
    """Lines that were drawn."""
    ours: float
    """CPU time of a redraw, median."""
    slowest: float
    """Time of the slowest redraw but for one in twenty, by the clock."""
    peer: float
    """CPU time of a redraw by matplotlib, median."""


def main() -> None:
    """Measure every tree in every view, and write the table."""
    if not has_display():
        rerun_in_virtual_display("benchmarks.dendrogram", [])
    from qtpy.QtWidgets import QApplication

    faults: list[type[BaseException]] = []
    # An exception while Qt paints would go unseen, and nothing be painted.
    sys.excepthook = lambda kind, fault, trace: faults.append(kind)
    application = QApplication([])
    matplotlib.use("agg")
    random = np.random.default_rng(0)
    clumps = random.normal(scale=3, size=(N_CLUMPS, WIDTH))
    points = clumps[random.integers(0, N_CLUMPS, N_LEAVES)] + random.normal(size=(N_LEAVES, WIDTH))
    rows = [
        row
        for name, grow in TREES.items()
        for row in measure(application, name, grow(points.astype(np.float32)))
    ]
    if faults:
        raise RuntimeError(f"painting failed {len(faults)} times: {faults[0]}")
    replace_part(PAGE, BEGIN, END, table(rows))
    print(f"written to {PAGE}")


def measure(application: Any, name: str, tree: MergeTree) -> list[Row]:
    """Pan over one tree in every view, and let matplotlib do the same."""
    from napari_mil.gui.model.dendrogram import visible_lines
    from napari_mil.gui.model.snapshots.tree import drawing_of
    from napari_mil.gui.views.dendrogram_plot import DendrogramPlot

    class CountingPlot(DendrogramPlot):
        """Counts how often it is painted."""

        painted = 0

        def paintEvent(self, event: Any) -> None:
            super().paintEvent(event)
            self.painted += 1

    drawing = drawing_of(tree, N_CLUSTERS, False)
    plot = CountingPlot()
    plot.resize(*SIZE)
    plot.show()
    plot.show_tree(drawing, float(tree.heights[-N_CLUSTERS]), has_pictures=False)
    figure, axes = draw_with_matplotlib(drawing)
    rows = []
    for view, share in VIEWS.items():
        width = share * tree.n_leaves
        travel = min(tree.n_leaves - width, STEPS * PAN_SHARE * width)
        starts = (tree.n_leaves - width - travel) / 2 + np.linspace(0, travel, STEPS)
        ours, peer = [], []
        for k, left in enumerate(starts):
            ours.append(redraw_ours(application, plot, left, left + width))
            if k % (STEPS // PEER_STEPS) == 0:
                peer.append(redraw_matplotlib(figure, axes, left, left + width))
        lines = visible_lines(drawing.dendrogram, plot.view, drawing.colours)
        rows.append(
            Row(
                tree=name,
                view=view,
                lines=sum(len(each.x) // 2 for each in lines.values()),
                ours=statistics.median(taken.cpu for taken in ours),
                slowest=sorted(taken.clock for taken in ours)[round(0.95 * STEPS) - 1],
                peer=statistics.median(taken.cpu for taken in peer),
            )
        )
    plot.close()
    return rows


def redraw_ours(application: Any, plot: Any, left: float, right: float) -> Taken:
    """Show a part of our drawing; return what it takes until it is painted."""
    painted = plot.painted

    def redraw() -> None:
        plot.getPlotItem().vb.setXRange(left, right, padding=0)
        application.processEvents()

    taken = measure_one(redraw)
    if plot.painted == painted:
        raise RuntimeError("nothing was painted")
    return taken


def draw_with_matplotlib(drawing: Any) -> tuple[Figure, Any]:
    """Draw the same branches in the same colours: four points a merge, one collection."""
    dendrogram = drawing.dendrogram
    n = dendrogram.n_leaves
    left, right = dendrogram.children.T
    x, height = dendrogram.x(np.arange(2 * n - 1)), dendrogram.height
    top = height[n:]
    corners = np.stack(
        [
            np.stack([x[left], x[left], x[right], x[right]], 1),
            np.stack([height[left], top, top, height[right]], 1),
        ],
        2,
    )
    colours = np.array([f"C{(colour + 1) % 10}" for colour in drawing.colours[n:]])
    figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.05, 0.05, 0.94, 0.94))
    axes.add_collection(LineCollection(corners, colors=colours, linewidths=0.7, antialiaseds=False))
    axes.set_ylim(0, 1.08 * dendrogram.top)
    return figure, axes


def redraw_matplotlib(figure: Figure, axes: Any, left: float, right: float) -> Taken:
    """Show a part of matplotlib's drawing; return what it takes until it is painted."""

    def redraw() -> None:
        axes.set_xlim(left, right)
        figure.canvas.draw()

    return measure_one(redraw)


def measure_one(redraw: Callable[[], None]) -> Taken:
    """Measure one redraw."""
    clock, cpu = time.perf_counter(), time.process_time()
    redraw()
    return Taken(time.perf_counter() - clock, time.process_time() - cpu)


def table(rows: list[Row]) -> list[str]:
    """Return the lines of the page."""
    rates = [1 / row.slowest for row in rows]
    ratios = [row.peer / row.ours for row in rows]
    return [
        f"`python -m benchmarks.dendrogram`: {N_LEAVES} leaves in {N_CLUSTERS} clusters, a drawing "
        f"of {SIZE[0]} × {SIZE[1]} pixels, software drawing, {STEPS} redraws while panning. CPU "
        "time: the median of the redraws, and of matplotlib's in the same rounds, which draws the "
        "same branches in the same colours as one `LineCollection` (Agg, no smoothing). "
        "Frames/s: by the clock, of the slowest redraw but for one in twenty.",
        "",
        "| tree | leaves in view | lines drawn | CPU, ms | matplotlib, ms | ratio | frames/s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row.tree} | {row.view} | {row.lines} | {1e3 * row.ours:.1f} | "
            f"{1e3 * row.peer:.0f} | {row.peer / row.ours:.1f} × | {1 / row.slowest:.0f} |"
            for row in rows
        ),
        "",
        f"At least {min(rates):.0f} frames/s (wanted: {LEAST_RATE}) and {min(ratios):.1f} × "
        f"(wanted: {LEAST_RATIO} ×).",
    ]


if __name__ == "__main__":
    main()
