"""What is shown while no slide is open."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_mil.gui.views.widgets import PrimaryButton, column


class StartPage(QWidget):
    """One sentence and what can be done."""

    open_requested = Signal()
    sample_requested = Signal()
    train_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        sentence = QLabel("Drop a slide onto the canvas, or open one here.")
        sentence.setWordWrap(True)
        open_button = PrimaryButton("Open a slide…")
        sample_button = QPushButton("Open the sample")
        train_button = QPushButton("Train on annotated folders…")
        train_button.clicked.connect(lambda: self.train_requested.emit())
        open_button.clicked.connect(lambda: self.open_requested.emit())
        sample_button.clicked.connect(lambda: self.sample_requested.emit())
        self.setLayout(column(sentence, open_button, sample_button, train_button))
