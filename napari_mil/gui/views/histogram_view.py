"""Histogram of the mapped values, with two handles for the ends of the colours."""

from __future__ import annotations

import math

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mil.gui.model.snapshots.inspect import HistogramSnapshot
from napari_mil.gui.views.colours import colours_of

BARS_PX = 44
MARGIN_PX = 6
HANDLE_PX = 5
STEPS = 50
"""Steps of the arrow keys from one end to the other."""
LEAST_SHARE = 0.01
"""Least distance of the handles, as a share of the scale."""


class HistogramView(QWidget):
    """Tells where a person drags the handles, shows a snapshot."""

    window_chosen = Signal(float, float)
    reset_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("histogram of the values, with the ends of the colours")
        self.setToolTip(
            "Drag the ends of the colours; double click: the whole scale again.\n"
            "Arrow keys move the lower end, with Shift the upper one."
        )
        self._snapshot: HistogramSnapshot | None = None
        self._dragged: int | None = None
        self.hide()

    def sizeHint(self) -> QSize:
        """Return the height of the bars and of one line of numbers."""
        return QSize(200, BARS_PX + HANDLE_PX + self.fontMetrics().height() + 4)

    def render(self, snapshot: HistogramSnapshot | None) -> None:
        """Show a snapshot; None hides the histogram."""
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self.update()
        self.setVisible(snapshot is not None)

    def x_of(self, value: float) -> float:
        """Return the place of a value along x, in points of the widget."""
        shown = self._snapshot
        if shown is None:
            return 0.0
        share = (value - shown.low) / (shown.high - shown.low)
        return MARGIN_PX + min(max(share, 0.0), 1.0) * (self.width() - 2 * MARGIN_PX)

    def _value_at(self, x: float) -> float:
        shown = self._snapshot
        assert shown is not None
        share = (x - MARGIN_PX) / max(1, self.width() - 2 * MARGIN_PX)
        return shown.low + min(max(share, 0.0), 1.0) * (shown.high - shown.low)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take the nearer handle."""
        if event is None or self._snapshot is None:
            return
        x = event.pos().x()
        distances = [abs(self.x_of(end) - x) for end in self._snapshot.window]
        self._dragged = distances.index(min(distances))
        self._move(self._dragged, self._value_at(x))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the handle that was taken."""
        if event is not None and self._dragged is not None and self._snapshot is not None:
            self._move(self._dragged, self._value_at(event.pos().x()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let go of the handle."""
        self._dragged = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Let the colours run over the whole scale."""
        self._dragged = None
        self.reset_requested.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the lower end by arrow keys, the upper one with Shift."""
        shown = self._snapshot
        if event is None or shown is None:
            return
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event.key() == Qt.Key.Key_Home:
            self.reset_requested.emit()
        elif event.key() in steps:
            end = 1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 0
            by = steps[Qt.Key(event.key())] * (shown.high - shown.low) / STEPS
            self._move(end, min(max(shown.window[end] + by, shown.low), shown.high))
        else:
            super().keyPressEvent(event)

    def _move(self, end: int, value: float) -> None:
        shown = self._snapshot
        assert shown is not None
        low, high = shown.window
        least = LEAST_SHARE * (shown.high - shown.low)
        if end == 0:
            low = min(value, high - least)
        else:
            high = max(value, low + least)
        if (low, high) != shown.window:
            self.window_chosen.emit(low, high)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw bars, handles and the values at them."""
        shown = self._snapshot
        if shown is None:
            return
        painter = QPainter(self)
        self._draw_bars(painter, shown)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_handles(painter, shown)
        painter.end()

    def _draw_bars(self, painter: QPainter, shown: HistogramSnapshot) -> None:
        colours = colours_of(self)
        tallest = math.log1p(max(shown.counts))
        width = (self.width() - 2 * MARGIN_PX) / len(shown.counts)
        left, right = (self.x_of(end) for end in shown.window)
        for k, n in enumerate(shown.counts):
            x = MARGIN_PX + k * width
            height = BARS_PX * math.log1p(n) / tallest if tallest else 0.0
            inside = left <= x + width / 2 <= right
            colour = QColor(colours.bar if inside else colours.secondary)
            colour.setAlphaF(1.0 if inside else 0.45)
            painter.fillRect(QRectF(x, BARS_PX - height, width, height), colour)

    def _draw_handles(self, painter: QPainter, shown: HistogramSnapshot) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        metrics = self.fontMetrics()
        for end, value in enumerate(shown.window):
            x = self.x_of(value)
            painter.setPen(QPen(text, 1.5 if self.hasFocus() else 1))
            painter.drawLine(QPointF(x, 0), QPointF(x, BARS_PX))
            tip = QPointF(x, BARS_PX)
            foot = BARS_PX + HANDLE_PX
            painter.setBrush(text)
            painter.drawPolygon(
                QPolygonF([tip, QPointF(x - HANDLE_PX, foot), QPointF(x + HANDLE_PX, foot)])
            )
            words = f"{value:.3g}"
            room = metrics.horizontalAdvance(words)
            # The lower one stands left of its handle where there is room, so that they stay apart.
            at = x - room / 2
            if end == 0:
                at = min(at, self.x_of(shown.window[1]) - 1.5 * room)
            at = min(max(at, 0.0), self.width() - room)
            painter.drawText(QPointF(at, foot + metrics.ascent() + 2), words)
