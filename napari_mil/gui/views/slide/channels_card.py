"""Channels of a fluorescence slide: shown or not, their colours, their contrast."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QColorDialog, QGridLayout, QToolButton, QWidget
from superqt import QDoubleRangeSlider

from napari_mil.gui.model.snapshots.slide import ChannelRow
from napari_mil.gui.views.widgets import Card, secondary

AFTER_DRAG_MS = 120
"""Pause of a slider after which the slide is rendered anew."""
ICON_PX = 14


class ChannelsCard(Card):
    """One row per channel."""

    changed = Signal(int, object)
    """(key of the subject, its channels as a person wants them: tuple of `ShownChannel`)."""

    def __init__(self) -> None:
        super().__init__()
        self._subject: int | None = None
        self._rows: tuple[ChannelRow, ...] = ()
        self.boxes: list[QCheckBox] = []
        self.colour_buttons: list[QToolButton] = []
        self.sliders: list[QDoubleRangeSlider] = []
        self._grid = QGridLayout()
        self._grid.setColumnStretch(2, 1)
        self.setLayout(self._grid)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_DRAG_MS)
        self._timer.timeout.connect(self._tell)

    def render(self, subject: int | None, rows: tuple[ChannelRow, ...]) -> None:
        """Show the channels of a subject; hidden where there are none."""
        self.setVisible(bool(rows))
        if subject != self._subject:
            # What was dragged last is told of the subject it was dragged for.
            if self._timer.isActive():
                self._tell()
            self._subject = subject
        if rows == self._rows or self._timer.isActive():
            return
        if [row.name for row in rows] != [row.name for row in self._rows]:
            self._make_rows(rows)
        self._rows = rows
        for row, box, button, slider in zip(
            rows, self.boxes, self.colour_buttons, self.sliders, strict=True
        ):
            for widget in (box, slider):
                widget.blockSignals(True)
            box.setChecked(row.shown.visible)
            button.setIcon(_icon(row.shown.channel.colour))
            slider.setRange(*row.limits)
            slider.setValue(row.shown.channel.range)
            slider.setToolTip(_range_words(row.shown.channel.range))
            for widget in (box, slider):
                widget.blockSignals(False)

    def _make_rows(self, rows: tuple[ChannelRow, ...]) -> None:
        for widget in self.findChildren(QWidget):
            widget.deleteLater()
        self.boxes = [QCheckBox(row.name) for row in rows]
        self.colour_buttons = [QToolButton() for _ in rows]
        self.sliders = [_slider(row.name) for row in rows]
        self._grid.addWidget(secondary("Channels: shown, colour, contrast"), 0, 0, 1, 3)
        widgets = zip(self.colour_buttons, self.boxes, self.sliders, strict=True)
        for k, (button, box, slider) in enumerate(widgets):
            button.setToolTip(f"Colour of {rows[k].name}")
            button.clicked.connect(lambda _=False, k=k: self._ask_colour(k))
            box.toggled.connect(lambda _: self._tell())
            slider.valueChanged.connect(lambda _: self._timer.start())
            for place, widget in enumerate((button, box, slider)):
                self._grid.addWidget(widget, k + 1, place)

    def _ask_colour(self, k: int) -> None:
        """Ask for the colour of a channel."""
        before = QColor(*self._rows[k].shown.channel.colour)
        colour = QColorDialog.getColor(before, self, f"Colour of {self._rows[k].name}")
        if colour.isValid():
            self.set_colour(k, (colour.red(), colour.green(), colour.blue()))

    def set_colour(self, k: int, colour: tuple[int, int, int]) -> None:
        """Show a channel in another colour: RGB, 0 to 255."""
        row = self._rows[k]
        channel = replace(row.shown.channel, colour=colour)
        changed = replace(row, shown=replace(row.shown, channel=channel))
        self._rows = (*self._rows[:k], changed, *self._rows[k + 1 :])
        self.colour_buttons[k].setIcon(_icon(colour))
        self._tell()

    def _tell(self) -> None:
        self._timer.stop()
        if self._subject is None:
            return
        wanted = []
        for row, box, slider in zip(self._rows, self.boxes, self.sliders, strict=True):
            low, high = (float(value) for value in slider.value())
            channel = replace(row.shown.channel, range=(low, max(high, low + row.smallest_width)))
            wanted.append(replace(row.shown, channel=channel, visible=box.isChecked()))
        self.changed.emit(self._subject, tuple(wanted))


def _slider(name: str) -> QDoubleRangeSlider:
    slider = QDoubleRangeSlider(Qt.Orientation.Horizontal)
    slider.setAccessibleName(f"contrast of {name}")
    slider.setMinimumWidth(110)
    return slider


def _icon(colour: tuple[int, int, int]) -> QIcon:
    pixmap = QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(QColor(*colour))
    return QIcon(pixmap)


def _range_words(limits: tuple[float, float]) -> str:
    low, high = limits
    return f"{low:.4g} is black, {high:.4g} is bright."
