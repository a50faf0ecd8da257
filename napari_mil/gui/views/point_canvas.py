"""Many points in the plane: zoom, move, draw a line around some, point at one."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_mil.gui.model.point_map import (
    HALO_PX,
    PlaneView,
    draw_points,
    fitting_view,
    nearest_point,
    points_inside,
    side_of,
)

DRAG_PX = 4
"""Way of the mouse from which a press is a drag."""
ZOOM_STEP = 1.2
NOTCH = 120.0
"""Angle of one notch of a wheel, in Qt's units."""
CURRENT_RADIUS = 7
LOWEST = 84
"""Beside napari's own docks no more fits a small screen; a floating panel has any height."""
GROUND = "#5d6068"
"""Both ends of viridis and of magma stand out from it, on both themes."""


class PointCanvas(QWidget):
    """Draws points into one picture, so that many cost little, and tells what the mouse means.

    Parameters
    ----------
    selection_colour
        Colour around selected points, #RRGGBB.
    """

    lassoed = Signal(object, bool)
    """(indices inside the line, int64 (n,); whether they are added to what is selected)."""
    clicked = Signal(int, bool)
    """(index of the nearest point, or -1; whether it is added)."""
    opened = Signal(int)
    """A point was double-clicked."""
    hovered = Signal(int)
    """Index of the point under the mouse, or -1."""

    def __init__(self, selection_colour: str) -> None:
        super().__init__()
        self.setMouseTracking(True)
        self.setMinimumHeight(LOWEST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName("instances in two dimensions")
        self._selection_colour = QColor(selection_colour)
        self._points = np.empty((0, 2), np.float32)
        self._colours = np.empty((0, 3), np.uint8)
        self._order = np.empty(0, int)
        self._selected: tuple[int, ...] = ()
        self._view: PlaneView | None = None
        self._places: np.ndarray | None = None
        self._base: np.ndarray | None = None
        self._image: np.ndarray | None = None
        self._pressed: QPointF | None = None
        self._moving: QPointF | None = None
        self._line: list[QPointF] = []
        self._hovered = -1

    def sizeHint(self) -> QSize:
        """Return a wide and low size."""
        return QSize(900, 220)

    @property
    def view(self) -> PlaneView:
        """Part of the plane that is seen, in pixels of the widget."""
        width, height = max(1, self.width()), max(1, self.height())
        if self._view is None:
            if not len(self._points):
                return PlaneView((0.0, 0.0), (1.0, 1.0), width, height)
            self._view = fitting_view(self._points, width, height)
        if (self._view.width, self._view.height) != (width, height):
            self._view = self._view.resized(width, height)
        return self._view

    def show_points(self, points: np.ndarray) -> None:
        """Show other points, float32 (N, 2), all of them in view."""
        self._points = points
        self._hovered = -1
        self.fit()

    def show_colours(self, colours: np.ndarray, order: np.ndarray) -> None:
        """Colour the points, uint8 (N, 3), and draw them in an order, int (N,)."""
        self._colours = np.column_stack([colours, np.full(len(colours), 255, np.uint8)])
        self._order = order
        self._redraw()

    def show_selected(self, selected: tuple[int, ...]) -> None:
        """Mark points; the last one gets a ring."""
        self._selected = selected
        self._image = None
        self.update()

    def fit(self) -> None:
        """Bring all points into view."""
        self._view = None
        self._move_to(None)

    def places(self) -> np.ndarray:
        """Return where the points lie, float32 (N, 2) in pixels of the widget."""
        view = self.view
        if self._places is None:
            self._places = view.to_pixels(self._points)
        return self._places

    def picture(self) -> np.ndarray:
        """Return the points as drawn, uint8 (H, W, 4) in pixels of the screen: blue first."""
        if self._image is None:
            ratio = self.devicePixelRatioF()
            if self._base is None:
                self._base = self._drawn(self._order, ratio)
            self._image = self._with_selected(self._base, ratio)
        return self._image

    def _drawn(self, order: np.ndarray, ratio: float) -> np.ndarray:
        shape = (max(1, round(self.height() * ratio)), max(1, round(self.width() * ratio)))
        image = np.zeros((*shape, 4), np.uint8)
        if len(order) == len(self._points):
            draw_points(
                image,
                self.places()[order] * np.float32(ratio),
                self._colours[order][:, [2, 1, 0, 3]],
                self._side(ratio),
            )
        return image

    def _side(self, ratio: float) -> int:
        return round(side_of(len(self._points)) * ratio)

    def _with_selected(self, base: np.ndarray, ratio: float) -> np.ndarray:
        if not self._selected or len(self._colours) != len(self._points):
            return base
        image = base.copy()
        chosen = np.array(self._selected)
        places = self.places()[chosen] * np.float32(ratio)
        colour = self._selection_colour
        halo = np.array([colour.blue(), colour.green(), colour.red(), 255], np.uint8)
        side = self._side(ratio)
        draw_points(image, places, halo, side + 2 * round(HALO_PX * ratio))
        draw_points(image, places, self._colours[chosen][:, [2, 1, 0, 3]], side)
        return image

    def _redraw(self) -> None:
        self._base = None
        self._image = None
        self.update()

    def _move_to(self, view: PlaneView | None) -> None:
        self._view = view
        self._places = None
        self._redraw()

    def resizeEvent(self, event: Any) -> None:
        """Keep what is in the middle there; before anybody zoomed, all stays in view."""
        super().resizeEvent(event)
        self._move_to(None)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw ground, points, the line that is being drawn, and a ring around the current one."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(GROUND))
        picture = self.picture()
        height, width = picture.shape[:2]
        data = picture.tobytes()
        image = QImage(data, width, height, 4 * width, QImage.Format.Format_ARGB32)
        image.setDevicePixelRatio(self.devicePixelRatioF())
        painter.drawImage(0, 0, image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = QColor("white")
        if self._selected and self._selected[-1] < len(self._points):
            x, y = self.places()[self._selected[-1]].tolist()
            radius = CURRENT_RADIUS + side_of(len(self._points)) / 2
            painter.setPen(QPen(ink, 2))
            painter.drawEllipse(QPointF(x, y), radius, radius)
        if self._line:
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DashLine))
            faint = QColor(ink)
            faint.setAlphaF(0.1)
            painter.setBrush(faint)
            painter.drawPolygon(QPolygonF(self._line))
        painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Begin a line with the left button; begin to move the plane with another one."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position()
        else:
            self._moving = event.position()

    def mouseMoveEvent(self, event: Any) -> None:
        """Go on with the line or the move, or tell what is under the mouse."""
        place = event.position()
        if self._moving is not None:
            way = place - self._moving
            self._moving = place
            self._move_to(self.view.moved(way.x(), way.y()))
            return
        if self._pressed is None:
            self._tell_hovered(place)
            return
        if not self._line and (place - self._pressed).manhattanLength() < DRAG_PX:
            return
        self._line = [*self._line, place] if self._line else [self._pressed, place]
        self.update()

    def mouseReleaseEvent(self, event: Any) -> None:
        """Tell which points are inside the line, or which one is meant."""
        self._moving = None
        if event.button() != Qt.MouseButton.LeftButton or self._pressed is None:
            return
        adds = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        line, self._line = self._line, []
        place, self._pressed = self._pressed, None
        self.update()
        if line:
            corners = np.array([(corner.x(), corner.y()) for corner in line])
            self.lassoed.emit(points_inside(corners, self.places()), adds)
            return
        nearest = nearest_point(self.places(), place.x(), place.y())
        self.clicked.emit(-1 if nearest is None else nearest, adds)

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Tell which point is opened."""
        nearest = nearest_point(self.places(), event.position().x(), event.position().y())
        if event.button() == Qt.MouseButton.LeftButton and nearest is not None:
            self.opened.emit(nearest)

    def keyPressEvent(self, event: Any) -> None:
        """Give up the line with Escape."""
        if event.key() == Qt.Key.Key_Escape and self._line:
            self._line = []
            self._pressed = None
            self.update()
            return
        super().keyPressEvent(event)

    def wheelEvent(self, event: Any) -> None:
        """Zoom about the mouse."""
        place = event.position()
        factor = ZOOM_STEP ** (event.angleDelta().y() / NOTCH)
        self._move_to(self.view.zoomed(factor, place.x(), place.y()))
        event.accept()

    def leaveEvent(self, event: Any) -> None:
        """Tell that nothing is under the mouse."""
        super().leaveEvent(event)
        self._tell_hovered(None)

    def _tell_hovered(self, place: QPointF | None) -> None:
        nearest = None
        if place is not None:
            nearest = nearest_point(self.places(), place.x(), place.y())
        hovered = -1 if nearest is None else nearest
        if hovered != self._hovered:
            self._hovered = hovered
            self.hovered.emit(hovered)
