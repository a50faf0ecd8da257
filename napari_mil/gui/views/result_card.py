"""The answer in words, numbers and bars."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout

from napari_mil.gui.views.widgets import ACCENT, CAUTION, Card, ProbabilityBar, elided, grey_line


class ResultCard(Card):
    """Shows one answer; asks for the classifier's card."""

    about_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setSpacing(6)
        self._title = QLabel()
        self._title.setStyleSheet(
            f"QLabel {{ color: {ACCENT}; font-weight: bold; font-size: 14px; }}"
        )
        self._title.setWordWrap(True)
        self._bars = QGridLayout()
        self._bars.setColumnStretch(1, 1)
        self._facts = grey_line()
        self._remarks = QLabel()
        self._remarks.setWordWrap(True)
        self._remarks.setStyleSheet(f"QLabel {{ color: {CAUTION}; }}")
        about = QLabel(f'<a href="about" style="color: {ACCENT}">About this classifier</a>')
        about.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        about.linkActivated.connect(lambda _: self.about_requested.emit())
        foot = QHBoxLayout()
        foot.addWidget(about)
        foot.addStretch(1)
        foot.addWidget(QLabel("Research use only"))
        self._layout.addWidget(self._title)
        self._layout.addLayout(self._bars)
        self._layout.addWidget(self._remarks)
        self._layout.addWidget(self._facts)
        self._layout.addLayout(foot)

    def show_answer(
        self,
        title: str,
        probabilities: list[tuple[str, float, bool]],
        facts: str,
        remarks: list[str],
    ) -> None:
        """Show an answer.

        Parameters
        ----------
        title
            The predicted class in words.
        probabilities
            (class, probability, whether it is predicted), in the order of the classes.
        facts
            One grey line.
        remarks
            What is less certain than it looks, one sentence each.
        """
        while self._bars.count():
            widget = self._bars.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        self._title.setText(title)
        for row, (name, probability, wins) in enumerate(probabilities):
            label = elided(name)
            label.setMinimumWidth(96)
            number = QLabel(f"{probability:.2f}")
            number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for where, widget in enumerate((label, ProbabilityBar(probability, wins), number)):
                self._bars.addWidget(widget, row, where)
        self._facts.setText(facts)
        self._remarks.setText("\n".join(remarks))
        self._remarks.setVisible(bool(remarks))

    @property
    def texts(self) -> list[str]:
        """Every text on the card, in order: what a reader sees."""
        return [
            label.text()
            for label in self.findChildren(QLabel)
            if label.text() and not label.isHidden()
        ]
