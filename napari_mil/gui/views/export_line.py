"""The button *Export…* with a line of what becomes of it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_mil.gui.model.snapshots.export import ExportSnapshot
from napari_mil.gui.views.widgets import elided, row, secondary, set_words

EXPORT_TEXT = "Export…"
TOOLTIP = "Write the answer for other programs, as a picture or as a report"


class ExportLine(QWidget):
    """Tells that a person wants to export; shows a snapshot."""

    export_requested = Signal()
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton(EXPORT_TEXT)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setAccessibleName("stop exporting")
        self.words = elided("")
        self.remarks = secondary()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.button, self.cancel_button))
        layout.addWidget(self.words)
        layout.addWidget(self.remarks)
        self.button.clicked.connect(lambda: self.export_requested.emit())
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        self.render(ExportSnapshot())

    def render(self, snapshot: ExportSnapshot) -> None:
        """Show a snapshot."""
        self.button.setEnabled(not snapshot.reason)
        self.button.setToolTip(snapshot.reason or TOOLTIP)
        self.cancel_button.setVisible(snapshot.is_running)
        set_words(self.words, snapshot.words)
        self.words.setToolTip(snapshot.words)
        set_words(self.remarks, snapshot.remarks)
