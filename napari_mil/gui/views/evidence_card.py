"""What instances count for, and what becomes of the answer without some of them."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_mil.gui.model.snapshots.inspect import EvidenceSnapshot
from napari_mil.gui.views.deletion_plot import DeletionPlot
from napari_mil.gui.views.widgets import Card, bold, column, row, set_words


class EvidenceCard(Card):
    """Asks for the evidence, selects what suffices, takes instances out and puts them back."""

    ask_requested = Signal()
    sufficient_requested = Signal()
    drop_requested = Signal()
    keep_requested = Signal()
    undo_requested = Signal()
    redo_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.ask_button = QPushButton("What counts?")
        self.ask_button.setToolTip(
            "Leave every instance out in turn, ask for each alone, and find how few give the answer"
        )
        self.sufficient = bold()
        self.select_button = QPushButton("Select them")
        self.plot = DeletionPlot()
        self.what_if = bold()
        self.drop_button = QPushButton("Drop selected")
        self.keep_button = QPushButton("Keep only these")
        self.undo_button = QPushButton("Undo")
        self.redo_button = QPushButton("Redo")
        self.drop_button.setToolTip("Answer without the selected instances")
        self.keep_button.setToolTip("Answer for the selected instances alone")
        self.setLayout(
            column(
                self.ask_button,
                self.sufficient,
                self.select_button,
                self.plot,
                row(self.drop_button, self.keep_button),
                row(self.undo_button, self.redo_button),
                self.what_if,
                stretch=False,
            )
        )
        for button, signal in (
            (self.ask_button, self.ask_requested),
            (self.select_button, self.sufficient_requested),
            (self.drop_button, self.drop_requested),
            (self.keep_button, self.keep_requested),
            (self.undo_button, self.undo_requested),
            (self.redo_button, self.redo_requested),
        ):
            button.clicked.connect(lambda _=False, signal=signal: signal.emit())

    def render(self, snapshot: EvidenceSnapshot) -> None:
        """Show a snapshot."""
        self.setVisible(snapshot.visible)
        self.ask_button.setVisible(not snapshot.is_asked)
        self.ask_button.setEnabled(not snapshot.ask)
        if snapshot.ask:
            self.ask_button.setToolTip(snapshot.ask)
        set_words(self.sufficient, snapshot.sufficient)
        self.select_button.setVisible(snapshot.is_asked)
        self.plot.render(snapshot.curves)
        set_words(self.what_if, snapshot.what_if)
        for button in (self.drop_button, self.keep_button):
            button.setEnabled(snapshot.can_change)
        self.undo_button.setEnabled(snapshot.can_undo)
        self.redo_button.setEnabled(snapshot.can_redo)
