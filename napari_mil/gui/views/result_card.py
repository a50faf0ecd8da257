"""The answer in words, numbers and bars."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout

from napari_mil.gui.model.snapshots.classify import CardSnapshot
from napari_mil.gui.views.colours import colours_of
from napari_mil.gui.views.export_line import ExportLine
from napari_mil.gui.views.widgets import (
    Card,
    ProbabilityBar,
    TonedLabel,
    caution,
    elided,
    row,
    secondary,
    set_words,
)


class ResultCard(Card):
    """Shows one answer; asks for the classifier's card, or to renew it."""

    about_requested = Signal(str)
    """Name of the classifier that answered."""
    renew_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        self._title = TonedLabel("accent", style="font-weight: bold; font-size: 14px;")
        self._about = secondary()
        self._bars = QGridLayout()
        self._bars.setColumnStretch(1, 1)
        self._stale = caution()
        self.renew_button = QPushButton("Classify again")
        self.renew_button.clicked.connect(lambda: self.renew_requested.emit())
        self._remarks = caution()
        self._facts = secondary()
        self._link = TonedLabel("accent")
        self._link.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self._link.linkActivated.connect(self._on_link)
        for part in (self._title, self._about):
            layout.addWidget(part)
        layout.addLayout(self._bars)
        for part in (self._stale, self.renew_button, self._remarks, self._facts):
            layout.addWidget(part)
        layout.addLayout(row(self._link, QLabel("Research use only"), stretched=0))
        self.export_line = ExportLine()
        layout.addWidget(self.export_line)
        self._shown: CardSnapshot | None = None
        self.hide()

    def render(self, snapshot: CardSnapshot | None) -> None:
        """Show an answer; None hides the card."""
        self.setVisible(snapshot is not None)
        if snapshot is None or snapshot == self._shown:
            return
        self._shown = snapshot
        self._title.setText(snapshot.title)
        self._about.setText(snapshot.about)
        colour = colours_of(self).accent
        self._link.setText(
            f'<a href="about" style="color: {colour}">About {snapshot.classifier}</a>'
        )
        self._render_bars(snapshot)
        set_words(self._stale, snapshot.stale)
        self.renew_button.setVisible(bool(snapshot.stale))
        set_words(self._remarks, "\n".join(snapshot.remarks))
        self._facts.setText(snapshot.facts)

    def _on_link(self, _: str) -> None:
        if self._shown is not None:
            self.about_requested.emit(self._shown.classifier)

    def _render_bars(self, snapshot: CardSnapshot) -> None:
        while self._bars.count():
            widget = self._bars.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        for place, (name, probability, wins) in enumerate(snapshot.probabilities):
            label = elided(name)
            label.setMinimumWidth(96)
            number = QLabel(f"{probability:.2f}")
            number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._bars.addWidget(label, place, 0)
            self._bars.addWidget(ProbabilityBar(probability, wins), place, 1)
            self._bars.addWidget(number, place, 2)

    @property
    def texts(self) -> list[str]:
        """Every text on the card, in order: what a reader sees."""
        labels = self.findChildren(QLabel)
        return [label.text() for label in labels if label.text() and not label.isHidden()]
