"""The dialog that asks for a format and a file."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_mil.gui.model.snapshots.export import ExportFormSnapshot
from napari_mil.gui.views.widgets import (
    ChoiceBox,
    PrimaryButton,
    caution,
    column,
    row,
    secondary,
    set_words,
)

WIDTH = 520
LABEL_TIP = "They may name the patient."


class ExportDialog(QDialog):
    """Tells what a person chose, shows a snapshot."""

    format_chosen = Signal(object)
    path_entered = Signal(object)
    browse_requested = Signal()
    anonymous_chosen = Signal(bool)
    label_chosen = Signal(bool)
    export_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self.format_box = ChoiceBox("format")
        self.holds = secondary()
        self.path = QLineEdit()
        self.path.setAccessibleName("file to write")
        self.browse_button = QPushButton("Browse…")
        self.anonymous_box = QCheckBox("Leave out the names of slide and images")
        self.label_box = QCheckBox("Show the slide's label and macro image")
        self.warning = caution()
        self.export_button = PrimaryButton("Export")
        self.export_button.setDefault(True)
        self.close_button = QPushButton("Cancel")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Format", self.format_box)
        form.addRow("", self.holds)
        form.addRow("File", row(self.path, self.browse_button, stretched=0))
        form.addRow("", self.anonymous_box)
        form.addRow("", self.label_box)
        buttons = row(self.export_button, self.close_button)
        self.setLayout(column(form, self.warning, buttons))
        self._connect()

    def _connect(self) -> None:
        self.format_box.chosen.connect(self.format_chosen.emit)
        self.path.editingFinished.connect(self._on_path)
        self.browse_button.clicked.connect(lambda: self.browse_requested.emit())
        self.anonymous_box.toggled.connect(self.anonymous_chosen.emit)
        self.label_box.toggled.connect(self.label_chosen.emit)
        self.export_button.clicked.connect(self._on_export)
        self.close_button.clicked.connect(self.reject)

    def render(self, snapshot: ExportFormSnapshot) -> None:
        """Show a snapshot."""
        self.setWindowTitle(snapshot.title)
        self.format_box.render(snapshot.formats)
        set_words(self.holds, snapshot.holds)
        if self.path.text() != snapshot.path:
            self.path.setText(snapshot.path)
        for box, checked in (
            (self.anonymous_box, snapshot.anonymous),
            (self.label_box, snapshot.with_label),
        ):
            box.blockSignals(True)
            box.setChecked(checked)
            box.blockSignals(False)
        self.label_box.setEnabled(not snapshot.label_reason)
        self.label_box.setToolTip(snapshot.label_reason or LABEL_TIP)
        set_words(self.warning, snapshot.warning)

    def _on_path(self) -> None:
        text = self.path.text().strip()
        if text:
            self.path_entered.emit(Path(text))

    def _on_export(self) -> None:
        # A name that was typed and not left yet counts too.
        self._on_path()
        self.export_requested.emit()
        self.accept()
