"""Curves of a training run: one epoch cursor through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_mil.gui.model.snapshots.train import HistorySnapshot
from napari_mil.gui.model.training import loss_of
from napari_mil.gui.views.colours import colours_of
from napari_mil.gui.views.widgets import THEME_EVENTS, secondary, set_words

HEIGHT = 150
"""A fifth of a small screen."""
TRAINING_LOSS = "loss"
LOSS = "loss"
AUC = "validation AUC"
RATE = "learning rate"
MASKED = "masked share"
PLOTS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    LOSS: (
        (TRAINING_LOSS, "#56B4E9", Qt.PenStyle.DashLine),
        ("validation_loss", "#56B4E9", Qt.PenStyle.SolidLine),
    ),
    AUC: (
        ("validation_auc", "#E69F00", Qt.PenStyle.SolidLine),
        ("tile_auc", "#E69F00", Qt.PenStyle.DotLine),
    ),
    RATE: (("learning_rate", "#999999", Qt.PenStyle.SolidLine),),
    MASKED: (("mask_ratio", "#D55E00", Qt.PenStyle.SolidLine),),
}
"""Figures of each plot: training dashed, validation solid, annotated tiles dotted, in one hue."""
TITLES = {
    LOSS: "loss: training – –, validation —",
    AUC: "AUC: validation —, tiles ···",
    RATE: RATE,
    MASKED: MASKED,
}

Row = Mapping[str, float | None]


class EpochAxis(pg.AxisItem):
    """Axis that counts in whole epochs."""

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        """Return pyqtgraph's spacings, none below one."""
        spacings = super().tickSpacing(low, high, size)
        return [(max(1.0, spacing), offset) for spacing, offset in spacings]


class Curves(QWidget):
    """A row of small plots; clicking one chooses an epoch."""

    epoch_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("napari-mil-curves")
        self.setAccessibleName("training curves")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._run = secondary()
        self._canvas = pg.GraphicsLayoutWidget()
        self._canvas.setMinimumHeight(100)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._run)
        layout.addWidget(self._canvas)
        self._lines: dict[str, Any] = {}
        self._cursors: list[Any] = []
        self._plots: dict[str, Any] = {}
        self._last = 0
        for place, name in enumerate(PLOTS):
            self._add_plot(place, name)
        self._canvas.scene().sigMouseClicked.connect(self._on_click)
        self._follow_theme()

    def _add_plot(self, place: int, name: str) -> None:
        # Pens are in pixels of the screen.
        width = max(1, round(self.devicePixelRatioF()))
        plot = self._canvas.addPlot(row=0, col=place, axisItems={"bottom": EpochAxis("bottom")})
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        self._plots[name] = plot
        for figure, colour, style in PLOTS[name]:
            pen = pg.mkPen(colour, width=width, style=style)
            self._lines[figure] = plot.plot(pen=pen, symbol=None)
        cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(colours_of(self).accent, width=width))
        cursor.hide()
        plot.addItem(cursor, ignoreBounds=True)
        self._cursors.append(cursor)

    def sizeHint(self) -> QSize:
        """Return a wide and low size."""
        return QSize(900, HEIGHT)

    def render(self, snapshot: HistorySnapshot) -> None:
        """Draw all epochs so far; plots without a figure stay away."""
        rows = snapshot.rows
        set_words(self._run, snapshot.run)
        self._last = len(rows)
        longest = max(2, min(snapshot.epochs, max(10, 2 * len(rows))))
        for name, plot in self._plots.items():
            drawn = [self._draw_line(figure, rows) for figure, _, _ in PLOTS[name]]
            plot.setVisible(any(drawn) or name == LOSS)
            plot.setXRange(1, longest, padding=0.02)
        self._fit_heights(rows)
        for cursor in self._cursors:
            cursor.setVisible(snapshot.cursor is not None)
            if snapshot.cursor is not None:
                cursor.setValue(snapshot.cursor)

    def _draw_line(self, figure: str, rows: Sequence[Row]) -> bool:
        """Draw one figure; say whether there is anything of it."""
        points = [
            (float(row["epoch"] or 0), value)
            for row in rows
            if (value := _figure(row, figure)) is not None
        ]
        x = [epoch for epoch, _ in points]
        y = [value for _, value in points]
        if len(points) == 1:
            # A short bar: one point would not be seen.
            x = [x[0] - 0.25, x[0] + 0.25]
            y = y * 2
        self._lines[figure].setData(x, y)
        return bool(points)

    def _fit_heights(self, rows: Sequence[Row]) -> None:
        areas = [
            value
            for figure, _, _ in PLOTS[AUC]
            for row in rows
            if (value := row.get(figure)) is not None
        ]
        self._plots[AUC].setYRange(min([0.5, *areas]), 1, padding=0.05)
        rates = [value for row in rows if (value := row.get("learning_rate")) is not None]
        # From 0: a constant rate would otherwise sink into its axis.
        top = max(rates, default=1.0) or 1.0
        self._plots[RATE].setYRange(0, top * 1.15, padding=0)

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in THEME_EVENTS and hasattr(self, "_plots"):
            self._follow_theme()

    def _follow_theme(self) -> None:
        """Take the colours of the theme, which pyqtgraph does not."""
        palette = self.palette()
        ink = palette.color(QPalette.ColorRole.WindowText)
        self._canvas.setBackground(palette.color(QPalette.ColorRole.Window))
        for name, plot in self._plots.items():
            plot.setTitle(TITLES[name], color=ink, size="9pt")
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(ink)
                axis.setTextPen(ink)

    def _on_click(self, event: Any) -> None:
        if not self._last:
            return
        for plot in self._plots.values():
            if plot.isVisible() and plot.sceneBoundingRect().contains(event.scenePos()):
                epoch = round(plot.vb.mapSceneToView(event.scenePos()).x())
                self.epoch_chosen.emit(min(max(1, epoch), self._last))
                return


def _figure(row: Row, figure: str) -> float | None:
    """Return a figure of an epoch; the loss is the one that the text says too."""
    value = loss_of(row) if figure == TRAINING_LOSS else row.get(figure)
    return None if value is None else float(value)
