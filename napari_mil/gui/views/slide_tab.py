"""The Slide tab: what the slide is, its scale, its tissue."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_mil.gui.views.widgets import Card, column, elided, grey_line, scrolling
from napari_mil.slides.resolution import LARGEST_MPP, SMALLEST_MPP


class SlideTab(QWidget):
    """Emits what the user did, shows what it is told."""

    mpp_entered = Signal(float)
    tissue_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._facts = QFormLayout()
        facts_card = Card()
        facts_card.setLayout(self._facts)

        self.mpp_field = QDoubleSpinBox()
        self.mpp_field.setRange(0, LARGEST_MPP)
        self.mpp_field.setDecimals(4)
        self.mpp_field.setSingleStep(0.01)
        self.mpp_field.setSuffix(" µm per pixel")
        self.mpp_field.setSpecialValueText("unknown")
        self.mpp_button = QPushButton("Apply")
        self.mpp_button.clicked.connect(self._on_apply)
        self.mpp_field.valueChanged.connect(self._update_button)
        self._mpp_origin = grey_line()
        scale_row = QHBoxLayout()
        scale_row.addWidget(self.mpp_field, 1)
        scale_row.addWidget(self.mpp_button)

        self.tissue_button = QPushButton("Detect tissue")
        self.tissue_button.setToolTip(
            "Adds a layer that can be painted on and erased before classifying."
        )
        self.tissue_button.clicked.connect(lambda: self.tissue_requested.emit())
        self._tissue = grey_line()

        content = QWidget()
        content.setLayout(
            column(
                facts_card,
                QLabel("Scale of level 0"),
                scale_row,
                self._mpp_origin,
                QLabel("Tissue"),
                self.tissue_button,
                self._tissue,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False))
        self.layout().setContentsMargins(0, 0, 0, 0)
        self._shown_mpp = 0.0

    def set_facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show (name, value) pairs."""
        while self._facts.rowCount():
            self._facts.removeRow(0)
        for name, value in rows:
            self._facts.addRow(name, elided(value))

    def set_mpp(self, mpp: float | None, origin: str) -> None:
        """Show the scale and where it comes from."""
        self._shown_mpp = mpp or 0.0
        self.mpp_field.setValue(self._shown_mpp)
        self._mpp_origin.setText(origin)
        self._update_button()

    def set_tissue(self, text: str, busy: bool = False) -> None:
        """Say what is known about tissue."""
        self._tissue.setText(text)
        self.tissue_button.setEnabled(not busy)

    def _update_button(self) -> None:
        value = self.mpp_field.value()
        plausible = SMALLEST_MPP <= value <= LARGEST_MPP
        self.mpp_button.setEnabled(plausible and abs(value - self._shown_mpp) > 1e-9)
        self.mpp_button.setToolTip(
            "Use this scale for the slide that is open."
            if plausible
            else f"A scale lies between {SMALLEST_MPP} and {LARGEST_MPP:g} µm per pixel."
        )

    def _on_apply(self) -> None:
        self.mpp_entered.emit(self.mpp_field.value())
