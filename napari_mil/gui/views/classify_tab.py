"""The Classify tab: choose, run, watch, read the answer."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QProgressBar, QWidget

from napari_mil.gui.views.result_card import ResultCard
from napari_mil.gui.views.widgets import (
    CAUTION,
    PrimaryButton,
    column,
    combo,
    fill,
    grey_line,
    scrolling,
)

READY_TEXT, CANCEL_TEXT, CANCELLING_TEXT = "Classify", "Cancel", "Cancelling…"


class ClassifyTab(QWidget):
    """Emits what the user did, shows what it is told."""

    classify_requested = Signal()
    cancel_requested = Signal()
    slide_chosen = Signal(str)
    about_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slide_box, self.classifier_box, self.tissue_box, self.device_box, self.tiles_box = (
            combo() for _ in range(5)
        )
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, box in (
            ("Slide", self.slide_box),
            ("Classifier", self.classifier_box),
            ("Tissue", self.tissue_box),
            ("Tiles", self.tiles_box),
            ("Device", self.device_box),
        ):
            form.addRow(name, box)
        self.button = PrimaryButton(READY_TEXT)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.progress_text = grey_line()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setStyleSheet(f"QLabel {{ color: {CAUTION}; }}")
        self.card = ResultCard()
        self._details = grey_line()
        content = QWidget()
        content.setLayout(
            column(
                form,
                self._details,
                self.button,
                self.bar,
                self.progress_text,
                self.message,
                self.card,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False))
        self.layout().setContentsMargins(0, 0, 0, 0)

        self.slide_box.currentIndexChanged.connect(
            lambda _: self._on_slide(str(self.slide_box.currentData() or ""))
        )
        self.classifier_box.currentIndexChanged.connect(lambda _: self._show_details())
        self.button.clicked.connect(self._on_button)
        self.card.about_requested.connect(lambda: self.about_requested.emit())
        self._running = False
        self._classifier_details: dict[str, str] = {}
        self.set_idle()
        self.card.hide()

    def set_slides(self, names: Sequence[str], current: str | None) -> None:
        """Offer the open slides."""
        fill(self.slide_box, [(name, name) for name in names], current)

    def set_classifiers(self, entries: Sequence[tuple[str, str, str]], current: str | None) -> None:
        """Offer classifiers: (name, group, one line about it)."""
        self._classifier_details = {name: about for name, _, about in entries}
        fill(
            self.classifier_box,
            [(name, f"{name} · {group}" if group else name) for name, group, _ in entries],
            current,
        )
        self._show_details()

    def set_tissue_choices(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        """Offer ways to find tissue: (key, text)."""
        fill(self.tissue_box, choices, current)

    def set_tile_choices(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        """Offer scales of tiles: (key, text)."""
        fill(self.tiles_box, choices, current)

    def set_devices(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        """Offer devices: (key, text)."""
        fill(self.device_box, choices, current)

    @property
    def classifier(self) -> str:
        """Name of the chosen classifier."""
        return str(self.classifier_box.currentData() or "")

    @property
    def tissue(self) -> str:
        """Key of the chosen way to find tissue."""
        return str(self.tissue_box.currentData() or "")

    @property
    def tiles(self) -> str:
        """Key of the chosen scale of tiles."""
        return str(self.tiles_box.currentData() or "")

    @property
    def device(self) -> str:
        """Key of the chosen device."""
        return str(self.device_box.currentData() or "")

    def set_idle(self) -> None:
        """Offer to classify."""
        self._running = False
        self.button.setText(READY_TEXT)
        self.button.setEnabled(True)
        self.bar.hide()
        self.progress_text.hide()
        self.message.hide()

    def set_running(self, text: str) -> None:
        """Offer to cancel; the last answer is out of date."""
        self._running = True
        self.button.setText(CANCEL_TEXT)
        self.button.setEnabled(True)
        self.bar.setRange(0, 0)
        self.bar.show()
        self.progress_text.setText(text)
        self.progress_text.show()
        self.message.hide()
        self.card.hide()

    def set_cancelling(self) -> None:
        """Say that the work was asked to stop."""
        self.button.setText(CANCELLING_TEXT)
        self.button.setEnabled(False)

    def set_progress(self, done: int, total: int, text: str) -> None:
        """Show how far the work is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.progress_text.setText(text)

    def set_message(self, text: str) -> None:
        """Say why there is no answer."""
        self.message.setText(text)
        self.message.show()

    def _on_slide(self, name: str) -> None:
        if name:
            self.slide_chosen.emit(name)

    def _on_button(self) -> None:
        (self.cancel_requested if self._running else self.classify_requested).emit()

    def _show_details(self) -> None:
        self._details.setText(self._classifier_details.get(self.classifier, ""))
