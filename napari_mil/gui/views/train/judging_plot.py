"""One plot of a judgement: ROC, precision and recall, or calibration."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QPalette

from napari_mil.gui.model.judging import Plot
from napari_mil.gui.model.snapshots.judging import Drawing
from napari_mil.gui.views.widgets import THEME_EVENTS
from napari_mil.training.evaluation.curves import Curve, Curves

HEIGHT = 240
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442", "#999999")
"""Colours of classes, told apart in both themes; then they begin again, dashed."""
LABELS = {
    Plot.ROC: ("false positive rate", "sensitivity"),
    Plot.PRECISION: ("recall", "precision"),
    Plot.CALIBRATION: ("predicted probability", "observed share"),
}
"""Axes of each plot: x and y."""
MOST_LINES = 10
"""Repeats that are drawn."""


class JudgingPlot(pg.PlotWidget):
    """Draws curves in the colours of the theme."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("curve of the figures")
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        self._drawn = Drawing()
        self._legend = item.addLegend(offset=(-8, -8), labelTextSize="8pt")
        self._follow_theme()

    def render(self, drawing: Drawing) -> None:
        """Draw a plot, unless it is drawn already."""
        if drawing == self._drawn or drawing.curves is None:
            return
        self._drawn = drawing
        self._draw(drawing.curves, drawing.plot)

    def _draw(self, curves: Curves, plot: Plot) -> None:
        item = self.getPlotItem()
        item.clear()
        self._legend.clear()
        item.setXRange(0, 1, padding=0.02)
        item.setYRange(0, 1, padding=0.02)
        x, y = LABELS[plot]
        item.setLabel("bottom", x)
        item.setLabel("left", y)
        if plot is not Plot.PRECISION:
            item.plot([0, 1], [0, 1], pen=pg.mkPen("#999999", style=Qt.PenStyle.DotLine))
        if plot is Plot.CALIBRATION:
            self._draw_calibration(curves)
        else:
            area = "AUC" if plot is Plot.ROC else "average precision"
            self._draw_curves(curves.roc if plot is Plot.ROC else curves.precision_recall, area)

    def _draw_curves(self, curves: tuple[Curve, ...], area: str) -> None:
        for k, curve in enumerate(curves):
            style = Qt.PenStyle.SolidLine if k < len(COLOURS) else Qt.PenStyle.DashLine
            pen = self._pen(COLOURS[k % len(COLOURS)], style)
            for n, (x, y) in enumerate(curve.lines[:MOST_LINES]):
                name = f"{curve.name}: {area} {curve.area:.2f}" if n == 0 else None
                self.getPlotItem().plot(x, y, pen=pen, name=name)

    def _draw_calibration(self, curves: Curves) -> None:
        for reliability, colour, style, symbol, name in (
            (curves.uncalibrated, COLOURS[1], Qt.PenStyle.DashLine, "s", "before temperature"),
            (curves.calibrated, COLOURS[0], Qt.PenStyle.SolidLine, "o", "after temperature"),
        ):
            self.getPlotItem().plot(
                reliability.predicted,
                reliability.observed,
                pen=self._pen(colour, style),
                symbol=symbol,
                symbolSize=6,
                symbolBrush=colour,
                symbolPen=None,
                name=name,
            )

    def _pen(self, colour: str, style: Qt.PenStyle) -> Any:
        # Pens are in pixels of the screen.
        return pg.mkPen(colour, width=max(1, round(self.devicePixelRatioF())), style=style)

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in THEME_EVENTS and hasattr(self, "_legend"):
            self._follow_theme()

    def _follow_theme(self) -> None:
        """Take the colours of the theme, which pyqtgraph does not."""
        palette = self.palette()
        ink = palette.color(QPalette.ColorRole.WindowText)
        self.setBackground(palette.color(QPalette.ColorRole.Window))
        self._legend.setLabelTextColor(ink)
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(ink)
            axis.setTextPen(ink)
        if self._drawn.curves is not None:
            # Texts of the legend have the colour that they were made with.
            self._draw(self._drawn.curves, self._drawn.plot)
