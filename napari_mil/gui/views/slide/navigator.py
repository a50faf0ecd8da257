"""The navigator: the whole subject with the part in view as a rectangle to drag."""

from __future__ import annotations

import math

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget

from napari_mil.gui.model.snapshots.navigator import NavigatorSnapshot, Preset
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.views.pixmaps import image_of
from napari_mil.gui.views.widgets import Card, column, row, secondary, set_words

HEIGHT = 150
"""Height of the picture in pixels of the screen, at most."""
SMALLEST_MARK = 6.0
"""Side of the rectangle in pixels of the screen, at least: it can be seen and dragged."""
MARK = QColor("#d4006a")
"""Stands out on tissue, glass and black."""
STEP = 0.25
"""Share of the view by which an arrow key moves."""
STEPS = {
    Qt.Key.Key_Left: (-STEP, 0.0),
    Qt.Key.Key_Right: (STEP, 0.0),
    Qt.Key.Key_Up: (0.0, -STEP),
    Qt.Key.Key_Down: (0.0, STEP),
}


class Thumbnail(QWidget):
    """The whole subject; a press or a drag moves the middle of the view there."""

    pointed = Signal(float, float)
    """Middle of the view wanted, as shares of width and height."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("navigator")
        self.setToolTip("Drag to move the view; arrow keys move it by a quarter.")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._pixels: np.ndarray | None = None
        self._pixmap: QPixmap | None = None
        self._scaled: QPixmap | None = None
        self._shape = 1.0
        self._view: Place | None = None

    def sizeHint(self) -> QSize:
        """Return the height it always has."""
        return QSize(200, HEIGHT)

    def show_whole(self, pixels: np.ndarray | None, shape: float, anew: bool) -> None:
        """Show another subject, or the same one with other pixels."""
        if pixels is self._pixels and shape == self._shape and not anew:
            return
        self._pixels = pixels
        self._shape = shape
        self._pixmap = None if pixels is None else QPixmap.fromImage(image_of(pixels[..., :3]))
        self._scaled = None
        self.update()

    def show_view(self, view: Place | None) -> None:
        """Show which part is in view, as shares of the whole."""
        if view != self._view:
            self._view = view
            self.update()

    @property
    def picture_rectangle(self) -> QRectF:
        """Where the whole is drawn."""
        width = min(float(self.width()), self.height() / self._shape)
        height = width * self._shape
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    @property
    def mark(self) -> QRectF:
        """Where the part in view is drawn; it stays within the picture and is never too small."""
        if self._view is None:
            return QRectF()
        whole = self.picture_rectangle
        view = QRectF(
            whole.x() + self._view.x * whole.width(),
            whole.y() + self._view.y * whole.height(),
            self._view.width * whole.width(),
            self._view.height * whole.height(),
        )
        centre = view.center()
        shown = view.intersected(whole.adjusted(0, 0, -1, -1))
        if min(shown.width(), shown.height()) >= SMALLEST_MARK:
            return shown
        width = max(shown.width(), SMALLEST_MARK)
        height = max(shown.height(), SMALLEST_MARK)
        return QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the whole and the rectangle."""
        if self._pixmap is None:
            return
        painter = QPainter(self)
        whole = self.picture_rectangle
        painter.drawPixmap(whole.topLeft(), self._picture(whole))
        painter.setPen(QPen(MARK, 2))
        painter.drawRect(self.mark)

    def _picture(self, whole: QRectF) -> QPixmap:
        """Return the whole at the size of the screen, shrunk once for every size."""
        assert self._pixmap is not None
        ratio = self.devicePixelRatioF()
        size = QSize(math.ceil(whole.width() * ratio), math.ceil(whole.height() * ratio))
        if self._scaled is None or self._scaled.size() != size:
            self._scaled = self._pixmap.scaled(
                size,
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
            self._scaled.setDevicePixelRatio(ratio)
        return self._scaled

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Move the view to where the mouse is."""
        self._point(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the view with the mouse."""
        self._point(event)

    def _point(self, event: QMouseEvent | None) -> None:
        whole = self.picture_rectangle
        if event is None or self._pixmap is None or whole.isEmpty():
            return
        if not event.buttons() & Qt.MouseButton.LeftButton:
            return
        at: QPointF = event.position() if hasattr(event, "position") else event.localPos()
        x = (at.x() - whole.x()) / whole.width()
        y = (at.y() - whole.y()) / whole.height()
        self.pointed.emit(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the view by a part of itself."""
        if event is None:
            return
        step = STEPS.get(Qt.Key(event.key()))
        if step is None or self._view is None:
            super().keyPressEvent(event)
            return
        x, y = self._view.centre
        x += step[0] * self._view.width
        y += step[1] * self._view.height
        self.pointed.emit(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))


class Navigator(Card):
    """The picture of the whole, the magnification, and presets of it."""

    pointed = Signal(float, float)
    """Middle of the view wanted, as shares of width and height."""
    magnification_chosen = Signal(float)
    fit_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.thumbnail = Thumbnail()
        self.thumbnail.pointed.connect(self.pointed.emit)
        self.readout = secondary()
        self.readout.setAccessibleName("magnification")
        self.fit_button = _small_button("Fit")
        self.fit_button.setToolTip("Show the whole of it")
        self.fit_button.clicked.connect(lambda: self.fit_requested.emit())
        self._buttons = row(self.fit_button)
        self._buttons.setSpacing(2)
        self.preset_buttons: list[QPushButton] = []
        self._presets: tuple[Preset, ...] = ()
        presets = QWidget()
        presets.setLayout(self._buttons)
        self.setLayout(column(self.thumbnail, self.readout, presets, stretch=False))

    def render(self, snapshot: NavigatorSnapshot, anew: bool = False) -> None:
        """Show a snapshot; `anew` where pixels changed in their array."""
        self.setVisible(snapshot.pixels is not None)
        self.thumbnail.show_whole(snapshot.pixels, snapshot.shape, anew)
        self.thumbnail.show_view(snapshot.view)
        set_words(self.readout, snapshot.readout)
        if snapshot.presets != self._presets:
            self._presets = snapshot.presets
            self._make_presets()

    def _make_presets(self) -> None:
        for button in self.preset_buttons:
            button.deleteLater()
        self.preset_buttons = [self._preset_button(preset) for preset in self._presets]
        for place, button in enumerate(self.preset_buttons):
            self._buttons.insertWidget(place + 1, button)

    def _preset_button(self, preset: Preset) -> QPushButton:
        button = _small_button(preset.text)
        button.setEnabled(not preset.reason)
        button.setToolTip(preset.reason or f"Show it as an objective of {preset.text} does")
        value = preset.magnification
        button.clicked.connect(lambda: self.magnification_chosen.emit(value))
        return button


def _small_button(text: str) -> QPushButton:
    """Return a button of which seven stand in a row of the narrowest dock."""
    button = QPushButton(text)
    button.setStyleSheet("padding: 2px 3px; min-width: 30px;")
    return button
