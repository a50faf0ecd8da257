"""A picture that follows the canvas, and moves it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mil.gui.model.subjects import Place

SELECTED = ((3, "white"), (1, "black"))
"""Width and colour of the lines around the selected instance, seen on any tissue."""
WHEEL_STEP = 120
"""Turn of a wheel by one notch, in Qt's eighths of a degree."""
ZOOM_PER_NOTCH = 1.25
SLOP_PX = 4
"""Movement between press and release that is still a click."""


class LinkedPicture(QWidget):
    """Shows pixels; a drag moves, the wheel zooms, a click points."""

    resized = Signal()
    dragged = Signal(float, float)
    """Movement of the mouse, as shares of width and height."""
    zoomed = Signal(float)
    """Factor by which the wheel enlarges."""
    pointed = Signal(float, float)
    """Place of a click, as shares of width and height."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("picture of the other answer")
        self.setToolTip("Follows the canvas; drag to move both, wheel to zoom, click to select")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 90)
        self._pixmap: QPixmap | None = None
        self._mark: Place | None = None
        self._pressed: QPointF | None = None
        self._last: QPointF | None = None

    def sizeHint(self) -> QSize:
        """Return a size that leaves room for the table."""
        return QSize(360, 220)

    @property
    def pixel_size(self) -> tuple[int, int]:
        """(width, height) in pixels of the screen."""
        ratio = self.devicePixelRatioF()
        return max(1, math.ceil(self.width() * ratio)), max(1, math.ceil(self.height() * ratio))

    def show_picture(self, pixels: np.ndarray | None, mark: Place | None = None) -> None:
        """Show pixels, uint8 (h, w, 3), with a mark around a part, as shares of the whole."""
        self._pixmap = None if pixels is None else _pixmap(pixels)
        self._mark = mark
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the picture, and the outline of what is selected."""
        if self._pixmap is None:
            return
        painter = QPainter(self)
        painter.drawPixmap(self.rect(), self._pixmap)
        mark = self._mark
        if mark is None:
            return
        outline = QRectF(
            mark.x * self.width(),
            mark.y * self.height(),
            mark.width * self.width(),
            mark.height * self.height(),
        )
        for width, colour in SELECTED:
            painter.setPen(QPen(QColor(colour), width))
            painter.drawRect(outline)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Ask for a picture of the new size."""
        super().resizeEvent(event)
        self.resized.emit()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a drag or a click."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = self._last = _position(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move with the mouse, once it left the place of a click."""
        if event is None or self._pressed is None or self._last is None:
            return
        at = _position(event)
        if self._is_click(at) and self._last == self._pressed:
            return
        moved = at - self._last
        self._last = at
        self.dragged.emit(moved.x() / self.width(), moved.y() / self.height())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End a drag, or tell a click."""
        if event is not None and self._pressed is not None:
            at = _position(event)
            if self._is_click(at) and self._last == self._pressed:
                self.pointed.emit(at.x() / self.width(), at.y() / self.height())
        self._pressed = self._last = None

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom around the middle."""
        if event is not None and event.angleDelta().y():
            self.zoomed.emit(ZOOM_PER_NOTCH ** (event.angleDelta().y() / WHEEL_STEP))
            event.accept()

    def _is_click(self, at: QPointF) -> bool:
        assert self._pressed is not None
        moved = at - self._pressed
        return max(abs(moved.x()), abs(moved.y())) <= SLOP_PX


def _position(event: Any) -> QPointF:
    return QPointF(event.position() if hasattr(event, "position") else event.localPos())


def _pixmap(pixels: np.ndarray) -> QPixmap:
    rgb = np.ascontiguousarray(pixels)
    height, width = rgb.shape[:2]
    image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image)
