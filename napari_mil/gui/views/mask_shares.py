"""Shares of a bag that masked mining hides, by kind, as sliders."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSlider, QWidget

from napari_mil.aggregators.mining.cards import KINDS
from napari_mil.gui.model.mining import LARGEST_SHARE
from napari_mil.gui.model.snapshots.inspect import ShareSnapshot

STEPS = 200
"""Steps of a slider for the whole: half a percent each."""
SETTLED_MS = 250
"""Time without a move after which a share is chosen."""


class ShareSliders(QWidget):
    """Tells which share of a kind a person chose, once the slider rests."""

    share_chosen = Signal(str, float)
    """(kind, share of all instances)."""
    published_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sliders = {kind: self._slider(kind) for kind in KINDS}
        self.numbers = {kind: QLabel() for kind in KINDS}
        self._names = {kind: QLabel(kind) for kind in KINDS}
        self.published_button = QPushButton("As published")
        self.published_button.setToolTip("Take the published shares of this strategy again")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for row, kind in enumerate(KINDS):
            self.numbers[kind].setMinimumWidth(44)
            grid.addWidget(self._names[kind], row, 0)
            grid.addWidget(self.sliders[kind], row, 1)
            grid.addWidget(self.numbers[kind], row, 2)
        grid.addWidget(self.published_button, len(KINDS), 1, 1, 2)
        grid.setColumnStretch(1, 1)
        self._moved = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self._timer.timeout.connect(self.tell)
        self.published_button.clicked.connect(lambda: self.published_requested.emit())

    def _slider(self, kind: str) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, round(LARGEST_SHARE * STEPS))
        slider.setAccessibleName(f"share that is masked: {kind}")
        slider.valueChanged.connect(lambda value: self._on_moved(kind, value))
        return slider

    def render(self, shares: tuple[ShareSnapshot, ...], *, published: bool) -> None:
        """Show the shares of a strategy; a slider that is being moved stays where it is."""
        by_kind = {share.kind: share for share in shares}
        for kind, slider in self.sliders.items():
            share = by_kind.get(kind)
            for widget in (slider, self.numbers[kind], self._names[kind]):
                widget.setVisible(share is not None)
            if share is None or kind == self._moved:
                continue
            slider.blockSignals(True)
            slider.setValue(round(share.share * STEPS))
            slider.blockSignals(False)
            slider.setToolTip(share.tip)
            self.numbers[kind].setText(_percent(share.share))
        self.published_button.setVisible(not published)

    def tell(self) -> None:
        """Tell the share of the slider that was moved last."""
        self._timer.stop()
        kind, self._moved = self._moved, ""
        if kind:
            self.share_chosen.emit(kind, self.sliders[kind].value() / STEPS)

    def _on_moved(self, kind: str, value: int) -> None:
        if self._moved not in ("", kind):
            self.tell()
        self._moved = kind
        self.numbers[kind].setText(_percent(value / STEPS))
        self._timer.start()


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
