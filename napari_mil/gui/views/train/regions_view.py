"""Drawn shapes that become regions of a class."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_mil.gui.model.snapshots.train import RegionsSnapshot
from napari_mil.gui.views.widgets import Card, ChoiceBox, column, row, secondary, set_words


class RegionsView(Card):
    """Chooses the class, and keeps the shapes."""

    class_chosen = Signal(str)
    keep_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.line = secondary()
        self.class_box = ChoiceBox("class of drawn shapes")
        self.button = QPushButton("Keep drawn shapes")
        self.setLayout(
            column(self.line, row(self.class_box, self.button, stretched=0), stretch=False)
        )
        self.class_box.chosen.connect(self.class_chosen.emit)
        self.button.clicked.connect(lambda: self.keep_requested.emit())

    def render(self, snapshot: RegionsSnapshot) -> None:
        """Show a snapshot."""
        self.setVisible(snapshot.visible)
        set_words(self.line, snapshot.line)
        self.class_box.render(snapshot.classes)
