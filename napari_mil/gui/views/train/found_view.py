"""What a folder of annotated bags holds."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_mil.gui.model.snapshots.train import FoundSnapshot
from napari_mil.gui.views.widgets import Card, bold, column, elided, row, secondary, set_words


class FoundView(QWidget):
    """Asks for folder, table or run; shows what is in it."""

    folder_requested = Signal()
    table_requested = Signal()
    run_requested = Signal()
    details_requested = Signal()
    pattern_accepted = Signal(str)
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.folder_button = QPushButton("Folder…")
        self.table_button = QPushButton("Table…")
        self.run_button = QPushButton("Open a run…")
        self.facts = bold()
        self.classes = secondary()
        self.remark = secondary()
        self.patients = secondary()
        self.pattern_button = QPushButton()
        self.details_button = QPushButton("Details…")
        self._pattern = ""
        card = Card()
        card.setLayout(
            column(
                self.facts,
                self.classes,
                self.remark,
                self.patients,
                self.pattern_button,
                self.details_button,
                stretch=False,
            )
        )
        self.looking = elided("")
        self.stop_button = QPushButton("Cancel")
        self.stop_button.setAccessibleName("stop looking at the folder")
        self._looking_line = QWidget()
        looking_layout = row(self.looking, self.stop_button, stretched=0)
        looking_layout.setContentsMargins(0, 0, 0, 0)
        self._looking_line.setLayout(looking_layout)
        buttons = row(self.folder_button, self.table_button, self.run_button)
        self.setLayout(column(buttons, self._looking_line, card, stretch=False, margin=0))
        self.folder_button.clicked.connect(lambda: self.folder_requested.emit())
        self.table_button.clicked.connect(lambda: self.table_requested.emit())
        self.run_button.clicked.connect(lambda: self.run_requested.emit())
        self.details_button.clicked.connect(lambda: self.details_requested.emit())
        self.pattern_button.clicked.connect(lambda: self.pattern_accepted.emit(self._pattern))
        self.stop_button.clicked.connect(lambda: self.cancel_requested.emit())

    def render(self, snapshot: FoundSnapshot, busy_reason: str) -> None:
        """Show a snapshot; a reason disables the buttons."""
        for button in (self.folder_button, self.table_button, self.run_button):
            button.setEnabled(not busy_reason)
            button.setToolTip(busy_reason)
        set_words(self.facts, snapshot.facts)
        set_words(self.classes, snapshot.classes)
        set_words(self.remark, snapshot.remark)
        set_words(self.patients, snapshot.patients)
        self._pattern = snapshot.pattern
        self.pattern_button.setText("Use these patients")
        self.pattern_button.setToolTip(f"Pattern on the names: {snapshot.pattern}")
        self.pattern_button.setVisible(bool(snapshot.pattern))
        self.details_button.setVisible(snapshot.has_details)
        self.looking.setText(snapshot.looking)
        self._looking_line.setVisible(bool(snapshot.looking))
