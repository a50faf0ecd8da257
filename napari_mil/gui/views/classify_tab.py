"""The Classify tab: choose, run, watch, read the answer."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QProgressBar, QPushButton, QWidget

from napari_mil.gui.model.snapshots.classify import ClassifySnapshot
from napari_mil.gui.views.result_card import ResultCard
from napari_mil.gui.views.widgets import (
    ChoiceBox,
    PrimaryButton,
    caution,
    column,
    row,
    scrolling,
    secondary,
    set_words,
)

READY_TEXT = "Classify"
CANCEL_TEXT = "Cancel"
CANCELLING_TEXT = "Cancelling…"


class ClassifyTab(QWidget):
    """Tells what the user did, shows a snapshot."""

    open_requested = Signal()
    classify_requested = Signal()
    cancel_requested = Signal()
    subject_chosen = Signal(int)
    classifier_chosen = Signal(str)
    tissue_chosen = Signal(object)
    tiles_chosen = Signal(object)
    device_chosen = Signal(str)
    about_requested = Signal(str)
    """Name of the classifier that answered."""

    def __init__(self) -> None:
        super().__init__()
        self.subject_box = ChoiceBox("what is classified")
        self.classifier_box = ChoiceBox("classifier")
        self.tissue_box = ChoiceBox("tissue")
        self.tiles_box = ChoiceBox("tiles")
        self.device_box = ChoiceBox("device")
        self.open_button = QPushButton("Open…")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Slide or bag", row(self.subject_box, self.open_button, stretched=0))
        form.addRow("Classifier", self.classifier_box)
        form.addRow("Tissue", self.tissue_box)
        form.addRow("Tiles", self.tiles_box)
        form.addRow("Device", self.device_box)
        self.button = PrimaryButton(READY_TEXT)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.bar.setAccessibleName("progress")
        self.progress_text = secondary()
        self.message = caution()
        self.card = ResultCard()
        self._line = secondary()
        content = QWidget()
        content.setLayout(
            column(
                form,
                self._line,
                self.button,
                self.bar,
                self.progress_text,
                self.message,
                self.card,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False, margin=0))
        self._running = False
        self._connect()

    def _connect(self) -> None:
        self.open_button.clicked.connect(lambda: self.open_requested.emit())
        self.subject_box.chosen.connect(self.subject_chosen.emit)
        self.classifier_box.chosen.connect(self.classifier_chosen.emit)
        self.tissue_box.chosen.connect(self.tissue_chosen.emit)
        self.tiles_box.chosen.connect(self.tiles_chosen.emit)
        self.device_box.chosen.connect(self.device_chosen.emit)
        self.button.clicked.connect(self._on_button)
        self.card.about_requested.connect(self.about_requested.emit)
        self.card.renew_requested.connect(self.classify_requested.emit)

    def render(self, snapshot: ClassifySnapshot) -> None:
        """Show a snapshot."""
        self._running = snapshot.running
        self.subject_box.render(snapshot.subjects)
        self.classifier_box.render(snapshot.classifiers)
        self.tissue_box.render(snapshot.tissue)
        self.tiles_box.render(snapshot.tiles)
        self.device_box.render(snapshot.devices)
        set_words(self._line, snapshot.classifier_line)
        self._render_button(snapshot)
        self.bar.setVisible(snapshot.running)
        if snapshot.running:
            self.bar.setRange(0, snapshot.total)
            self.bar.setValue(snapshot.done)
        set_words(self.progress_text, snapshot.progress)
        set_words(self.message, snapshot.message or snapshot.reason)
        self.card.render(snapshot.card)

    def _render_button(self, snapshot: ClassifySnapshot) -> None:
        text = READY_TEXT
        if snapshot.running:
            text = CANCELLING_TEXT if snapshot.cancelling else CANCEL_TEXT
        self.button.setText(text)
        self.button.setEnabled(not snapshot.cancelling and not snapshot.reason)
        keys = "Alt+X" if snapshot.running else "Alt+R"
        self.button.setToolTip(snapshot.reason or keys)

    def _on_button(self) -> None:
        if self._running:
            self.cancel_requested.emit()
        else:
            self.classify_requested.emit()
