"""A run: buttons, progress, messages."""

from __future__ import annotations

from qtpy.QtCore import QElapsedTimer, Signal
from qtpy.QtWidgets import QApplication, QProgressBar, QPushButton, QWidget

from napari_mil.gui.model.snapshots.train import RunSnapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.views.widgets import (
    PrimaryButton,
    TonedLabel,
    column,
    row,
    secondary,
    set_words,
)


class RunView(QWidget):
    """Tells which button was pressed, by what it stands for."""

    start_requested = Signal()
    resume_requested = Signal()
    pause_requested = Signal()
    go_on_requested = Signal()
    cancel_requested = Signal()
    evaluate_requested = Signal()
    setup_requested = Signal()
    """Set up another run, or start afresh."""
    curves_requested = Signal()
    details_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.summary = secondary()
        self.button = PrimaryButton("Start")
        self.button.setToolTip("Ctrl+Return")
        self.cancel_button = QPushButton("Cancel")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.bar.setAccessibleName("progress")
        self.progress_text = secondary()
        self.curves_button = QPushButton("Curves")
        self.curves_button.setToolTip("Show or hide the curves of the run below the canvas.")
        self.message = TonedLabel("caution")
        self.message.hide()
        self.details_button = QPushButton("Details…")
        self.setLayout(
            column(
                self.summary,
                row(self.button, self.cancel_button, stretched=0),
                self.bar,
                row(self.progress_text, self.curves_button, stretched=0),
                self.message,
                self.details_button,
                stretch=False,
                margin=0,
            )
        )
        self._phase = Phase.IDLE
        self._since = QElapsedTimer()
        self._since.start()
        self.button.clicked.connect(self.press)
        self.cancel_button.clicked.connect(self._on_second)
        self.curves_button.clicked.connect(lambda: self.curves_requested.emit())
        self.details_button.clicked.connect(lambda: self.details_requested.emit())

    @property
    def phase(self) -> Phase:
        """What the buttons stand for."""
        return self._phase

    def render(self, snapshot: RunSnapshot) -> None:
        """Show a snapshot."""
        if snapshot.phase is not self._phase:
            self._phase = snapshot.phase
            self._since.restart()
        set_words(self.summary, snapshot.summary)
        self.button.setText(snapshot.button)
        self.button.setVisible(bool(snapshot.button))
        self.button.setEnabled(snapshot.can_press)
        self.cancel_button.setText(snapshot.second)
        self.cancel_button.setVisible(bool(snapshot.second))
        self.cancel_button.setEnabled(snapshot.can_press)
        self.cancel_button.setToolTip(snapshot.second_tip)
        self.bar.setVisible(snapshot.phase.is_busy)
        self.bar.setRange(0, snapshot.total)
        self.bar.setValue(snapshot.done)
        set_words(self.progress_text, snapshot.progress)
        self.curves_button.setVisible(snapshot.has_curves)
        self.message.set_tone("caution" if snapshot.cautions else "secondary")
        set_words(self.message, snapshot.message)
        self.details_button.setVisible(snapshot.has_details)

    def press(self) -> None:
        """Press the first button, by mouse or key."""
        if not self.button.isVisible() or not self.button.isEnabled():
            return
        is_second_of_double = self._since.elapsed() < QApplication.doubleClickInterval()
        if self._phase is Phase.RUNNING and is_second_of_double:
            return
        {
            Phase.IDLE: self.start_requested,
            Phase.RUNNING: self.pause_requested,
            Phase.PAUSED: self.go_on_requested,
            Phase.INTERRUPTED: self.resume_requested,
            Phase.DONE: self.setup_requested,
        }[self._phase].emit()

    def _on_second(self) -> None:
        if self._phase is Phase.INTERRUPTED:
            self.setup_requested.emit()
        elif self._phase is Phase.DONE:
            self.evaluate_requested.emit()
        else:
            self.cancel_requested.emit()
