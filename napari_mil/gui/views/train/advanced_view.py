"""The rows of the form below the fold."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import create_widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLineEdit, QWidget

from napari_mil.gui.model.snapshots.train import SetupSnapshot
from napari_mil.gui.model.training_form import ENTRIES, Entry


class AdvancedView(QWidget):
    """Tells the row that a person changed."""

    changed = Signal(str, object)
    """(row, value as it is written)."""

    def __init__(self) -> None:
        super().__init__()
        self._widgets = {name: _make_widget(name, entry) for name, entry in ENTRIES.items()}
        self._rows = QFormLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rendering = False
        for name, widget in self._widgets.items():
            self._rows.addRow(ENTRIES[name].label, widget.native)
            widget.changed.connect(lambda value, name=name: self._on_change(name, value))
            if isinstance(widget.native, QLineEdit):
                # A dropped folder would leave its name as the text.
                widget.native.setAcceptDrops(False)

    def __getitem__(self, name: str) -> Any:
        """Return the widget of a row."""
        return self._widgets[name]

    def render(self, snapshot: SetupSnapshot) -> None:
        """Show what is entered, and which rows the method has."""
        self._rendering = True
        settled = dict(snapshot.settled)
        for name, widget in self._widgets.items():
            value = snapshot.form.advanced.get(name, ENTRIES[name].default)
            if widget.value != value:
                widget.value = value
            shown = name in snapshot.rows
            widget.native.setVisible(shown)
            label = self._rows.labelForField(widget.native)
            if label is not None:
                label.setVisible(shown)
            widget.enabled = name not in settled
            widget.native.setToolTip(settled.get(name, ""))
        self._rendering = False

    def _on_change(self, name: str, value: Any) -> None:
        if not self._rendering:
            self.changed.emit(name, value)


def _make_widget(name: str, entry: Entry) -> Any:
    options = dict(entry.options)
    widget = create_widget(
        value=entry.default,
        annotation=type(entry.default),
        name=name,
        label=entry.label,
        widget_type=options.pop("widget_type", None),
        options=options,
    )
    native = widget.native
    if entry.empty:
        native.setPlaceholderText(entry.empty)
    if hasattr(native, "setMinimumContentsLength"):
        policy = native.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        native.setSizeAdjustPolicy(policy)
        native.setMinimumContentsLength(8)
    native.setAccessibleName(entry.label)
    return widget
