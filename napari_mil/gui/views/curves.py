"""Curves of a training run: one epoch cursor through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_mil.gui.views.widgets import ACCENT

BAG_TERM, RATE_FIGURE = "loss: bag", "learning_rate"
HEIGHT = 150
"""A fifth of a small screen."""
LOSS, AUC, RATE, MASKED = "loss", "validation AUC", "learning rate", "masked share"
PLOTS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    LOSS: (
        ("loss", "#56B4E9", Qt.PenStyle.DashLine),
        ("validation_loss", "#56B4E9", Qt.PenStyle.SolidLine),
    ),
    AUC: (
        ("validation_auc", "#E69F00", Qt.PenStyle.SolidLine),
        ("tile_auc", "#E69F00", Qt.PenStyle.DotLine),
    ),
    RATE: (("learning_rate", "#999999", Qt.PenStyle.SolidLine),),
    MASKED: (("mask_ratio", "#D55E00", Qt.PenStyle.SolidLine),),
}
"""Figures of each plot: training is dashed, validation solid, in one hue; annotated tiles are dotted."""
TITLES = {
    LOSS: "loss: training – –, validation —",
    AUC: "AUC: validation —, tiles ···",
    RATE: RATE,
    MASKED: MASKED,
}


class EpochAxis(pg.AxisItem):
    """Counts in whole epochs."""

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        """Return pyqtgraph's spacings, none below one."""
        return [
            (max(1.0, spacing), offset) for spacing, offset in super().tickSpacing(low, high, size)
        ]


class Curves(QWidget):
    """A row of small plots; clicking one chooses an epoch."""

    epoch_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("napari-mil-curves")
        self._canvas = pg.GraphicsLayoutWidget()
        self._canvas.setMinimumHeight(100)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._canvas)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._lines: dict[str, Any] = {}
        self._cursors: list[Any] = []
        self._plots: dict[str, Any] = {}
        self._last = 0
        self.setAccessibleName("training curves")
        width = max(1, round(self.devicePixelRatioF()))  # pens are in pixels of the screen
        for column, (name, figures) in enumerate(PLOTS.items()):
            plot = self._canvas.addPlot(
                row=0, col=column, axisItems={"bottom": EpochAxis("bottom")}
            )
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.setMouseEnabled(x=False, y=False)
            self._plots[name] = plot
            for figure, colour, style in figures:
                self._lines[figure] = plot.plot(
                    pen=pg.mkPen(colour, width=width, style=style), symbol=None
                )
            cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(ACCENT, width=width))
            cursor.hide()
            plot.addItem(cursor, ignoreBounds=True)
            self._cursors.append(cursor)
        self._canvas.scene().sigMouseClicked.connect(self._on_click)
        self.follow_palette()

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(900, HEIGHT)

    def show_history(self, rows: Sequence[Mapping[str, float | None]], epochs: int) -> None:
        """Draw all epochs so far; plots without a figure stay away."""
        self._last = len(rows)
        for name, figures in PLOTS.items():
            drawn = False
            for figure, _, _ in figures:
                # Of a loss with several terms the bag's own can be compared with the validation loss.
                shown = BAG_TERM if figure == "loss" and rows and BAG_TERM in rows[0] else figure
                points = [
                    (float(row["epoch"] or 0), float(row[shown] or 0.0))
                    for row in rows
                    if row.get(shown) is not None
                ]
                self._lines[figure].setData([x for x, _ in points], [y for _, y in points])
                if len(points) == 1:
                    self._lines[figure].setData(
                        [points[0][0] - 0.25, points[0][0] + 0.25], [points[0][1]] * 2
                    )
                drawn |= bool(points)
            self._plots[name].setVisible(drawn or name == LOSS)
            if name == AUC:
                areas = [
                    float(row[figure] or 0.0)
                    for figure, _, _ in figures
                    for row in rows
                    if row.get(figure) is not None
                ]
                self._plots[name].setYRange(min([0.5, *areas]), 1, padding=0.05)
            if name == RATE:
                rates = [
                    float(row[RATE_FIGURE] or 0.0)
                    for row in rows
                    if row.get(RATE_FIGURE) is not None
                ]
                top = (
                    max(rates, default=1.0) or 1.0
                )  # from 0: a constant rate would otherwise sink into its axis
                self._plots[name].setYRange(0, top * 1.15, padding=0)
            self._plots[name].setXRange(
                1, max(2, min(epochs, max(10, 2 * len(rows)))), padding=0.02
            )

    def set_epoch(self, epoch: int | None) -> None:
        """Move the cursor."""
        for cursor in self._cursors:
            cursor.setVisible(epoch is not None)
            if epoch is not None:
                cursor.setValue(epoch)

    def follow_palette(self) -> None:
        """Take the colours of the theme, which pyqtgraph does not."""
        palette = self.palette()
        ground, ink = (
            palette.color(QPalette.ColorRole.Window),
            palette.color(QPalette.ColorRole.WindowText),
        )
        self._canvas.setBackground(ground)
        for name, plot in self._plots.items():
            plot.setTitle(TITLES[name], color=ink, size="9pt")
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(ink)
                axis.setTextPen(ink)

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(
            self, "_plots"
        ):
            self.follow_palette()

    def _on_click(self, event: Any) -> None:
        for plot in self._plots.values():
            if plot.isVisible() and plot.sceneBoundingRect().contains(event.scenePos()):
                if self._last:
                    self.epoch_chosen.emit(
                        min(max(1, round(plot.vb.mapSceneToView(event.scenePos()).x())), self._last)
                    )
                return
