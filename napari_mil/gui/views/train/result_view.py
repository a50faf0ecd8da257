"""The classifier that a run came to."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_mil.gui.model.snapshots.train import ResultSnapshot
from napari_mil.gui.views.widgets import Card, bold, column, elided, row, secondary


class ResultView(Card):
    """Shows name and figures; leads to Classify and to the card."""

    use_requested = Signal()
    about_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title = elided("")
        self.title.setStyleSheet(bold().styleSheet())
        self.line = secondary()
        self.use_button = QPushButton("Use in Classify")
        self.about_button = QPushButton("About…")
        buttons = row(self.use_button, self.about_button, stretched=0)
        self.setLayout(column(self.title, self.line, buttons, stretch=False))
        self.use_button.clicked.connect(lambda: self.use_requested.emit())
        self.about_button.clicked.connect(lambda: self.about_requested.emit())

    def render(self, snapshot: ResultSnapshot) -> None:
        """Show a snapshot; without a name the card is hidden."""
        self.setVisible(bool(snapshot.name))
        self.title.setText(snapshot.name)
        self.title.setToolTip(snapshot.name)
        self.line.setText(snapshot.line)
        self.use_button.setToolTip(snapshot.use_tip)
