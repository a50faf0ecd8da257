"""Deletion curves: the probability while instances are taken away in the order of each map."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mil.gui.model.snapshots.inspect import DeletionCurve
from napari_mil.gui.views.colours import colours_of

PLOT_PX = 110
LEFT_PX, MARGIN_PX = 26, 6
STYLES = (
    ("#4477AA", Qt.PenStyle.SolidLine),
    ("#EE6677", Qt.PenStyle.DashLine),
    ("#228833", Qt.PenStyle.DashDotLine),
    ("#CCBB44", Qt.PenStyle.DotLine),
)
"""Colour and dashes of the maps' curves; a random order is grey."""
SAMPLE_PX = 18
"""Length of the piece of line before a name."""


class DeletionPlot(QWidget):
    """Shows a curve and its area for each map."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._curves: tuple[DeletionCurve, ...] = ()
        self.hide()

    def render(self, curves: tuple[DeletionCurve, ...]) -> None:
        """Show curves; none hides the plot."""
        if curves != self._curves:
            self._curves = curves
            words = ", ".join(f"{curve.name} {curve.area:.2f}" for curve in curves)
            self.setAccessibleName(f"deletion curves: {words}")
            self.setToolTip(
                "Probability of the predicted class while instances are taken away, the highest "
                "of each map first; the sooner it falls, the more faithful the map"
            )
            self.updateGeometry()
            self.update()
        self.setVisible(bool(curves))

    def sizeHint(self) -> QSize:
        """Return the height of the plot and of a line of words for each curve."""
        lines = len(self._curves) + 1
        return QSize(200, PLOT_PX + MARGIN_PX + lines * self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the axes, the curves and their names."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(LEFT_PX, MARGIN_PX, self.width() - LEFT_PX - MARGIN_PX, PLOT_PX - MARGIN_PX)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        grey = QColor(colours_of(self).secondary)
        painter.setPen(QPen(grey, 1))
        painter.drawRect(area)
        metrics = self.fontMetrics()
        height = metrics.height()
        painter.drawText(QPointF(area.left() - 16, area.top() + metrics.ascent()), "1")
        painter.drawText(QPointF(area.left() - 16, area.bottom()), "0")
        words = "share taken away"
        y = area.bottom() + metrics.ascent() + 2
        painter.drawText(QPointF(area.right() - metrics.horizontalAdvance(words), y), words)
        coloured = iter(STYLES)
        for k, curve in enumerate(self._curves):
            colour, dashes = (
                (grey.name(), Qt.PenStyle.SolidLine)
                if curve.is_reference
                else next(coloured, STYLES[-1])
            )
            pen = QPen(QColor(colour), 1.6, dashes)
            painter.setPen(pen)
            painter.drawPolyline(_line(curve, area))
            at = y + (k + 1) * height
            middle = at - metrics.ascent() / 3
            painter.drawLine(QPointF(area.left(), middle), QPointF(area.left() + SAMPLE_PX, middle))
            painter.setPen(text)
            painter.drawText(
                QPointF(area.left() + SAMPLE_PX + 6, at), f"{curve.name}: {curve.area:.2f}"
            )
        painter.end()


def _line(curve: DeletionCurve, area: QRectF) -> QPolygonF:
    points = zip(curve.shares, curve.probabilities, strict=True)
    width, height = area.width(), area.height()
    return QPolygonF(
        [QPointF(area.left() + x * width, area.bottom() - y * height) for x, y in points]
    )
