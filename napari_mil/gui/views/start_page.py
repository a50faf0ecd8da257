"""What is shown while nothing is open."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_mil.gui.views.widgets import PrimaryButton, column


class StartPage(QWidget):
    """One sentence and what can be done."""

    slides_requested = Signal()
    images_requested = Signal()
    sample_slide_requested = Signal()
    sample_case_requested = Signal()
    train_requested = Signal()
    worklist_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        sentence = QLabel(
            "Drop anything here: slides, a folder of images, features, a classifier or checkpoint."
        )
        sentence.setWordWrap(True)
        buttons = (
            (PrimaryButton("Open a slide…"), self.slides_requested),
            (QPushButton("Open a folder of images…"), self.images_requested),
            (QPushButton("Open the sample slide"), self.sample_slide_requested),
            (QPushButton("Open the sample case"), self.sample_case_requested),
            (QPushButton("Train…"), self.train_requested),
            (QPushButton("Worklist…"), self.worklist_requested),
        )
        for button, signal in buttons:
            button.clicked.connect(lambda _=False, signal=signal: signal.emit())
        self.setLayout(column(sentence, *(button for button, _ in buttons)))
