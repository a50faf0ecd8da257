"""Small widgets that several tabs use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPaintEvent, QPalette, QPixmap
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QElidingLabel

from napari_mil.exports.glyphs import ALPHA, PATTERNS, Glyph
from napari_mil.gui.model.snapshots.choices import Choices
from napari_mil.gui.views.colours import BUTTON, BUTTON_PRESSED, colours_of

DISABLED = "#80838a"
"""Text of what cannot be pressed: 3.8 : 1 on both of napari's themes."""
SWITCH_CHARACTERS = 4
"""Characters that a switch before a text is wide."""
LONGEST_TEXT = 28
"""Characters that fit a box at the dock's narrowest."""
THEME_EVENTS = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)


class PrimaryButton(QPushButton):
    """The one thing to press on a tab; becomes the way out while work runs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setMinimumHeight(32)
        self.setStyleSheet(
            f"PrimaryButton {{ background: {BUTTON}; color: white; font-weight: bold;"
            " border-radius: 4px; padding: 4px 12px; }"
            f"PrimaryButton:hover, PrimaryButton:pressed {{ background: {BUTTON_PRESSED}; }}"
            # Grey, readable on both themes: a palette's colours are not those of napari's style.
            f"PrimaryButton:disabled {{ background: transparent; color: {DISABLED};"
            f" border: 1px solid {DISABLED}; }}"
        )


class TonedLabel(QLabel):
    """A wrapped text in one of the theme's colours.

    Parameters
    ----------
    tone
        Name of a field of `Colours`.
    text
        What it says.
    style
        Further style of the text.
    """

    def __init__(self, tone: str, text: str = "", style: str = "") -> None:
        super().__init__(text)
        self._tone = tone
        self._style = style
        self._colour = ""
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._follow_theme()

    @property
    def tone(self) -> str:
        """Name of its colour."""
        return self._tone

    def set_tone(self, tone: str) -> None:
        """Take another colour of the theme."""
        self._tone = tone
        self._follow_theme()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() in THEME_EVENTS:
            self._follow_theme()

    def _follow_theme(self) -> None:
        colour = getattr(colours_of(self.parentWidget() or self), self._tone)
        if colour != self._colour:
            self._colour = colour
            self.setStyleSheet(f"TonedLabel {{ color: {colour}; {self._style} }}")


class ProbabilityBar(QWidget):
    """A probability as a bar; the number stands beside it."""

    def __init__(self, probability: float, wins: bool) -> None:
        super().__init__()
        self._probability = probability
        self._wins = wins
        self.setMinimumWidth(60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"probability {probability:.2f}")

    def sizeHint(self) -> QSize:
        """Return a height of ten pixels."""
        return QSize(120, 10)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the trough and what is filled of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        trough = QColor(text)
        trough.setAlphaF(0.15)
        filled = QColor(colours_of(self).bar) if self._wins else QColor(text)
        if not self._wins:
            filled.setAlphaF(0.5)
        area = QRectF(0, self.height() / 2 - 4, self.width(), 8)
        painter.setBrush(trough)
        painter.drawRoundedRect(area, 4, 4)
        if self._probability > 0:
            painter.setBrush(filled)
            width = max(8.0, area.width() * self._probability)
            painter.drawRoundedRect(QRectF(area.x(), area.y(), width, 8), 4, 4)


class Fold(QCollapsible):
    """Shows what is below its title when asked to; its arrow follows the theme."""

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw the arrow anew with another theme."""
        super().changeEvent(event)
        if event is not None and event.type() in THEME_EVENTS:
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


class ChoiceBox(QComboBox):
    """A box that shows `Choices` and tells what a person chose.

    Parameters
    ----------
    name
        What is chosen, for people who do not see it.
    """

    chosen = Signal(object)
    """Key of the entry that a person chose."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        # It does not grow with its texts.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self._shown = Choices()
        self.currentIndexChanged.connect(self._on_index)

    @property
    def key(self) -> Any:
        """Key of the chosen entry."""
        return self._shown.current

    @property
    def choices(self) -> Choices:
        """Entries that are shown."""
        return self._shown

    def keys(self) -> list[Any]:
        """Return the keys of the entries that can be chosen."""
        return [entry.key for entry in self._shown.entries if not entry.reason]

    def choose(self, key: Any) -> None:
        """Choose an entry as a person would."""
        keys = [entry.key for entry in self._shown.entries]
        self.setCurrentIndex(keys.index(key))

    def render(self, choices: Choices) -> None:
        """Show entries and the chosen one, without telling it."""
        keys = [entry.key for entry in choices.entries]
        place = keys.index(choices.current) if choices.current in keys else -1
        # What a person chose need not have been taken.
        if choices == self._shown and place == self.currentIndex():
            return
        self.blockSignals(True)
        if choices.entries != self._shown.entries:
            self._fill(choices)
        self.setCurrentIndex(place)
        self.blockSignals(False)
        self.setEnabled(not choices.reason)
        self.setToolTip(choices.reason)
        self._shown = choices

    def _fill(self, choices: Choices) -> None:
        self.clear()
        for place, entry in enumerate(choices.entries):
            self.addItem(elided_middle(entry.text))
            tip = f"{entry.text}: {entry.reason}" if entry.reason else entry.text
            self.setItemData(place, tip, Qt.ItemDataRole.ToolTipRole)
            self.model().item(place).setEnabled(not entry.reason)

    def _on_index(self, index: int) -> None:
        if 0 <= index < len(self._shown.entries):
            self.chosen.emit(self._shown.entries[index].key)


class Swatch(QWidget):
    """A group's colour and pattern."""

    def __init__(self, glyph: Glyph) -> None:
        super().__init__()
        self._glyph = glyph
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return a square of a line's height."""
        return QSize(14, 14)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the cell as it lies on the slide."""
        painter = QPainter(self)
        colour = QColor(self._glyph.colour)
        faint = QColor(colour)
        faint.setAlphaF(0.25)
        painter.fillRect(self.rect(), faint)
        colour.setAlphaF(min(1.0, ALPHA + 0.35))
        pattern = PATTERNS[self._glyph.pattern]
        side = self.width() / len(pattern)
        for row, column in zip(*pattern.nonzero(), strict=True):
            painter.fillRect(QRectF(float(column) * side, float(row) * side, side, side), colour)


class GroupLegend(QWidget):
    """Groups with their glyphs and how many instances each has; a click switches one.

    Parameters
    ----------
    switches
        Whether groups can be switched off and on by a click.
    """

    switched = Signal(str)

    def __init__(self, *, switches: bool = False) -> None:
        super().__init__()
        self._switches = switches
        self._buttons: dict[str, QCheckBox] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(4)
        self._shown: tuple[tuple[str, Glyph, int], ...] = ()
        self.hide()

    def render(
        self, groups: Sequence[tuple[str, Glyph, int]], hidden: Collection[str] = ()
    ) -> None:
        """Show (name, glyph, instances), as many beside each other as fit; none hides it."""
        if tuple(groups) != self._shown:
            self._fill(groups)
        for name, button in self._buttons.items():
            button.setChecked(name not in hidden)

    def _fill(self, groups: Sequence[tuple[str, Glyph, int]]) -> None:
        self._shown = tuple(groups)
        self._buttons = {}
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        texts = [f"{name}: {count}" for name, _, count in groups]
        switch = SWITCH_CHARACTERS if self._switches else 0
        columns = _columns_for(switch + max(map(len, texts), default=0))
        for k, (text, (_, glyph, _)) in enumerate(zip(texts, groups, strict=True)):
            row, place = divmod(k, columns)
            self._grid.addWidget(Swatch(glyph), row, 2 * place)
            self._grid.addWidget(self._label(groups[k][0], text), row, 2 * place + 1)
        for place in range(4):
            self._grid.setColumnStretch(2 * place + 1, 1 if place < columns else 0)
        self.setVisible(bool(groups))

    def _label(self, name: str, text: str) -> QWidget:
        """Return the words of a group, on a switch where it can be switched."""
        if not self._switches:
            return QLabel(text)
        button = QCheckBox(text)
        button.setChecked(True)
        button.setToolTip(f"Hide or show {name} on the slide")
        button.setAccessibleName(f"show {name}")
        button.clicked.connect(lambda: self.switched.emit(name))
        self._buttons[name] = button
        return button


def _columns_for(longest: int) -> int:
    if longest <= 7:
        return 4
    return 3 if longest <= 12 else 2


def secondary(text: str = "") -> TonedLabel:
    """Return a wrapped line of secondary facts."""
    return TonedLabel("secondary", text)


def caution() -> TonedLabel:
    """Return a wrapped line for what is wrong or uncertain; empty ones are hidden."""
    return TonedLabel("caution")


def set_words(label: QLabel, text: str) -> None:
    """Show a text, or nothing at all where it is empty."""
    if label.text() != text:
        label.setText(text)
    if label.isHidden() == bool(text):
        label.setVisible(bool(text))


def bold(text: str = "") -> QLabel:
    """Return a wrapped heading."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("QLabel { font-weight: bold; }")
    return label


def elided(text: str) -> QElidingLabel:
    """Return one line that elides in the middle, the whole in its tooltip."""
    label = QElidingLabel(text)
    label.setElideMode(Qt.TextElideMode.ElideMiddle)
    label.setToolTip(text)
    return label


def scrolling(content: QWidget) -> QScrollArea:
    """Return a vertical scroll area that never scrolls sideways and reserves the bar's width."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    # The keyboard moves between what is inside.
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
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


def column(*entries: Any, stretch: bool = True, margin: int = 8) -> QVBoxLayout:
    """Return widgets and layouts below each other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(8)
    for entry in entries:
        if isinstance(entry, QWidget):
            layout.addWidget(entry)
        else:
            layout.addLayout(entry)
    if stretch:
        layout.addStretch(1)
    return layout


def row(*widgets: QWidget, stretched: int | None = None) -> QHBoxLayout:
    """Return widgets beside each other; one or all of them take what room there is."""
    layout = QHBoxLayout()
    layout.setSpacing(6)
    for place, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if stretched in (None, place) else 0)
    return layout


def elided_middle(text: str) -> str:
    """Shorten a text to what a box shows, keeping both ends: names of slides differ there."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[: LONGEST_TEXT // 2]}…{text[-LONGEST_TEXT // 2 + 1 :]}"
