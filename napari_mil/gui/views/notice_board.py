"""Refusals and faults, whole, until they are closed; and what is being opened."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_mil.gui.model.subjects import Notice
from napari_mil.gui.views.widgets import Card, caution, column, row, secondary, set_words

SHOWN = 3
"""Newest notices that are shown; the others follow when they are closed."""


class NoticeBoard(QWidget):
    """Shows notices and a line about what is being opened."""

    close_requested = Signal(int)
    """Key of a notice."""
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 4, 8, 0)
        self._busy = secondary()
        self._cancel = QPushButton("Cancel")
        self._cancel.setAccessibleName("stop opening")
        self._cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self._line = QWidget()
        self._line.setLayout(row(self._busy, self._cancel, stretched=0))
        self._line.hide()
        self._layout.addWidget(self._line)
        self._shown: tuple[Notice, ...] = ()
        self._cards: list[_NoticeCard] = []

    @property
    def texts(self) -> list[str]:
        """Sentences that are shown, the newest first."""
        return [card.notice.text for card in self._cards]

    def render(self, notices: Sequence[Notice], busy: str) -> None:
        """Show notices, the newest first, and what is being opened."""
        set_words(self._busy, busy)
        self._line.setVisible(bool(busy))
        if tuple(notices) == self._shown:
            return
        self._shown = tuple(notices)
        for card in self._cards:
            card.hide()
            card.deleteLater()
        self._cards = [_NoticeCard(notice) for notice in reversed(notices[-SHOWN:])]
        for card in self._cards:
            card.close_button.clicked.connect(
                lambda _=False, key=card.notice.key: self.close_requested.emit(key)
            )
            self._layout.addWidget(card)
        more = len(notices) - len(self._cards)
        if more > 0:
            self._cards[-1].close_button.setToolTip(f"{more} more follow")


class _NoticeCard(Card):
    """One notice with its buttons."""

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self.notice = notice
        text = caution()
        text.setText(notice.text)
        copy_button = QPushButton("Copy details")
        copy_button.clicked.connect(self._copy)
        self.close_button = QPushButton("Close")
        self.setLayout(column(text, row(copy_button, self.close_button), stretch=False))

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n\n".join(filter(None, (self.notice.text, self.notice.details))))
