"""Small widgets that several tabs use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPalette, QPixmap
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QElidingLabel

ACCENT = "#2a9d8f"
"""The one accent: the primary action and the winning class."""
ACCENT_PRESSED = "#21867a"
CAUTION = "#d98324"
"""Readable on the dark and on the light theme."""
LONGEST_TEXT = 32
"""Characters that fit a box at the dock's narrowest."""


class PrimaryButton(QPushButton):
    """The one thing to press on a tab; becomes the way out while work runs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setMinimumHeight(32)
        self.setStyleSheet(
            f"PrimaryButton {{ background: {ACCENT}; color: white; font-weight: bold; border-radius: 4px; padding: 4px 12px; }}"
            f"PrimaryButton:hover, PrimaryButton:pressed {{ background: {ACCENT_PRESSED}; }}"
            "PrimaryButton:disabled { background: palette(mid); color: palette(light); }"
        )


class ProbabilityBar(QWidget):
    """A probability as a bar; the number stands beside it."""

    def __init__(self, probability: float, wins: bool) -> None:
        super().__init__()
        self._probability, self._wins = probability, wins
        self.setMinimumWidth(60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"probability {probability:.2f}")

    def sizeHint(self) -> QSize:
        """Ten pixels high."""
        return QSize(120, 10)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the trough and what is filled of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        trough, filled = QColor(text), QColor(ACCENT) if self._wins else QColor(text)
        trough.setAlphaF(0.15)
        if not self._wins:
            filled.setAlphaF(0.5)
        area = QRectF(0, self.height() / 2 - 4, self.width(), 8)
        painter.setBrush(trough)
        painter.drawRoundedRect(area, 4, 4)
        if self._probability > 0:
            painter.setBrush(filled)
            painter.drawRoundedRect(
                QRectF(area.x(), area.y(), max(8.0, area.width() * self._probability), 8), 4, 4
            )


class Fold(QCollapsible):
    """Shows what is below its title when asked to; its arrow has the colour of the theme's text."""

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the arrow anew with another theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (
            QEvent.Type.PaletteChange,
            QEvent.Type.StyleChange,
        ):
            self.setExpandedIcon(self._arrow("▾"))
            self.setCollapsedIcon(self._arrow("▸"))

    def _arrow(self, text: str) -> QIcon:
        pixmap = QPixmap(32, 32)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        font = painter.font()
        font.setPixelSize(28)
        painter.setFont(font)
        painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, text)
        painter.end()
        return QIcon(pixmap)


class Card(QFrame):
    """A frame around what belongs together."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setStyleSheet("#card { border: 1px solid palette(mid); border-radius: 6px; }")


def grey_line(text: str = "") -> QLabel:
    """Return a wrapped line of secondary facts."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("QLabel { color: rgba(140, 146, 158, 255); }")
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def elided(text: str) -> QElidingLabel:
    """Return one line that elides in the middle, the whole in its tooltip."""
    label = QElidingLabel(text)
    label.setElideMode(Qt.TextElideMode.ElideMiddle)
    label.setToolTip(text)
    return label


def combo() -> QComboBox:
    """Return a box that does not grow with its texts."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(10)
    return box


def scrolling(content: QWidget) -> QScrollArea:
    """Return a vertical scroll area that never scrolls sideways and reserves the bar's width."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard moves between what is inside
    keeper = _WheelKeeper(area)
    for kind in (QComboBox, QAbstractSpinBox, QSlider):
        for box in content.findChildren(kind):
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            box.installEventFilter(keeper)
    return area


class _WheelKeeper(QObject):
    """Lets the wheel scroll past boxes: it changes a value only where the keyboard is."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Pass a wheel's turn over a box without focus on to what scrolls."""
        if (
            event is not None
            and event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return False


def column(*rows: Any, stretch: bool = True) -> QVBoxLayout:
    """Return widgets and layouts below each other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(8, 8, 8, 8)
    layout.setSpacing(8)
    for entry in rows:
        if isinstance(entry, QWidget):
            layout.addWidget(entry)
        else:
            layout.addLayout(entry)
    if stretch:
        layout.addStretch(1)
    return layout


def elided_middle(text: str) -> str:
    """Shorten a text to what a box shows, keeping both ends: names of slides differ at the end."""
    return (
        text
        if len(text) <= LONGEST_TEXT
        else f"{text[: LONGEST_TEXT // 2]}…{text[-LONGEST_TEXT // 2 + 1 :]}"
    )


def fill(box: QComboBox, choices: Sequence[tuple[str, str]], current: str | None) -> None:
    """Replace the entries without telling anyone."""
    box.blockSignals(True)
    box.clear()
    for key, text in choices:
        box.addItem(elided_middle(text), key)
        box.setItemData(box.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
    box.setCurrentIndex(max(0, box.findData(current)))
    box.blockSignals(False)
