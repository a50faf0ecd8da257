"""The bag that is watched while a model learns."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QSlider

from napari_mil.gui.model.snapshots.train import WatchSnapshot
from napari_mil.gui.views.widgets import (
    Card,
    ChoiceBox,
    GroupLegend,
    bold,
    column,
    row,
    secondary,
    set_words,
)

PLAY_MS = 400
"""Time for which an epoch is seen while all are played."""


class WatchView(Card):
    """Chooses the bag and the epoch that is shown on it."""

    bag_chosen = Signal(str)
    epoch_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.bag_box = ChoiceBox("watched slide")
        self.epoch_slider = QSlider(Qt.Orientation.Horizontal)
        self.epoch_slider.setAccessibleName("epoch of the overlay")
        self.epoch_slider.setToolTip("Alt+Left and Alt+Right: the epoch before and after")
        self.epoch_label = QLabel("–")
        self.play_button = QPushButton("▸ Play")
        self.play_button.setCheckable(True)
        self.play_button.setToolTip("Show the epochs one after the other")
        self.facts = secondary()
        self.mask_legend = GroupLegend()
        self.setLayout(
            column(
                row(bold("Watched slide"), self.bag_box, stretched=1),
                row(
                    QLabel("Epoch"),
                    self.epoch_slider,
                    self.epoch_label,
                    self.play_button,
                    stretched=1,
                ),
                self.facts,
                self.mask_legend,
                stretch=False,
            )
        )
        self.bag_box.chosen.connect(self.bag_chosen.emit)
        self.epoch_slider.valueChanged.connect(self.epoch_chosen.emit)
        self._playing = QTimer(self)
        self._playing.setInterval(PLAY_MS)
        self._playing.timeout.connect(self._play_on)
        self.play_button.toggled.connect(self._on_play)

    def render(self, snapshot: WatchSnapshot) -> None:
        """Show a snapshot."""
        self.setVisible(snapshot.visible)
        self.bag_box.render(snapshot.bags)
        self.epoch_slider.blockSignals(True)
        self.epoch_slider.setRange(snapshot.first, snapshot.last)
        self.epoch_slider.setValue(snapshot.shown)
        self.epoch_slider.setEnabled(snapshot.last > snapshot.first)
        self.epoch_slider.blockSignals(False)
        self.play_button.setEnabled(snapshot.last > snapshot.first)
        if not self.epoch_slider.isEnabled():
            self.play_button.setChecked(False)
        self.epoch_label.setText(str(snapshot.shown) if snapshot.last else "–")
        set_words(self.facts, snapshot.facts)
        self.mask_legend.render(snapshot.masks)

    def _on_play(self, plays: bool) -> None:
        """Play from the shown epoch on, from the first one again at the end; or stop."""
        self.play_button.setText("◾ Stop" if plays else "▸ Play")
        if not plays:
            self._playing.stop()
            return
        slider = self.epoch_slider
        if slider.value() == slider.maximum():
            slider.setValue(slider.minimum())
        self._playing.start()

    def _play_on(self) -> None:
        slider = self.epoch_slider
        if slider.value() < slider.maximum():
            slider.setValue(slider.value() + 1)
        if slider.value() == slider.maximum():
            self.play_button.setChecked(False)

    def step(self, by: int) -> None:
        """Show another epoch."""
        if self.epoch_slider.isEnabled() and self.epoch_slider.isVisible():
            self.epoch_slider.setValue(self.epoch_slider.value() + by)
