"""Adapting the encoder: one button, its progress, what came of it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QPushButton, QWidget

from napari_mil.gui.model.snapshots.adapt import AdaptSnapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.views.widgets import TonedLabel, column, row, secondary, set_words


class AdaptView(QWidget):
    """Tells that the button was pressed, by what it stands for."""

    start_requested = Signal()
    resume_requested = Signal()
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.bar.setAccessibleName("progress of adapting the encoder")
        self.progress_text = secondary()
        self.message = TonedLabel("secondary")
        self.message.hide()
        self.setLayout(
            column(
                row(self.button, stretched=-1),
                self.bar,
                self.progress_text,
                self.message,
                stretch=False,
                margin=0,
            )
        )
        self._phase = Phase.IDLE
        self.button.clicked.connect(self._on_pressed)

    def render(self, snapshot: AdaptSnapshot) -> None:
        """Show a snapshot."""
        self._phase = snapshot.phase
        self.setVisible(snapshot.visible)
        self.button.setText(snapshot.button)
        self.button.setEnabled(snapshot.can_press)
        self.button.setToolTip(snapshot.tip)
        self.bar.setVisible(snapshot.phase.is_busy)
        self.bar.setRange(0, snapshot.total)
        self.bar.setValue(snapshot.done)
        set_words(self.progress_text, snapshot.progress)
        self.message.set_tone("caution" if snapshot.cautions else "secondary")
        set_words(self.message, snapshot.message)

    def _on_pressed(self) -> None:
        {
            Phase.IDLE: self.start_requested,
            Phase.DONE: self.start_requested,
            Phase.INTERRUPTED: self.resume_requested,
            Phase.RUNNING: self.cancel_requested,
        }[self._phase].emit()
