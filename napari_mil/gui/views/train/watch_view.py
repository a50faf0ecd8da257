"""The bag that is watched while a model learns."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSlider

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
        self.facts = secondary()
        self.mask_legend = GroupLegend()
        self.setLayout(
            column(
                row(bold("Watched slide"), self.bag_box, stretched=1),
                row(QLabel("Epoch"), self.epoch_slider, self.epoch_label, stretched=1),
                self.facts,
                self.mask_legend,
                stretch=False,
            )
        )
        self.bag_box.chosen.connect(self.bag_chosen.emit)
        self.epoch_slider.valueChanged.connect(self.epoch_chosen.emit)

    def render(self, snapshot: WatchSnapshot) -> None:
        """Show a snapshot."""
        self.setVisible(snapshot.visible)
        self.bag_box.render(snapshot.bags)
        self.epoch_slider.blockSignals(True)
        self.epoch_slider.setRange(snapshot.first, snapshot.last)
        self.epoch_slider.setValue(snapshot.shown)
        self.epoch_slider.setEnabled(snapshot.last > snapshot.first)
        self.epoch_slider.blockSignals(False)
        self.epoch_label.setText(str(snapshot.shown) if snapshot.last else "–")
        set_words(self.facts, snapshot.facts)
        self.mask_legend.render(snapshot.masks)

    def step(self, by: int) -> None:
        """Show another epoch."""
        if self.epoch_slider.isEnabled() and self.epoch_slider.isVisible():
            self.epoch_slider.setValue(self.epoch_slider.value() + by)
