"""The embedding: all instances in two dimensions, below the canvas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_mil.gui.model.snapshots.embedding import (
    NO_COLOUR,
    EmbeddingSnapshot,
    PointColours,
)
from napari_mil.gui.views.point_canvas import PointCanvas
from napari_mil.gui.views.widgets import ChoiceBox, elided, row, secondary, set_words
from napari_mil.inference.projections import Projection

HOW = (
    "Drag: select what is inside; Shift: add; click: select one; double click: show on the slide; "
    "wheel: zoom; right drag: move"
)


class EmbeddingView(QWidget):
    """Tells which points a person selects, shows a snapshot.

    Parameters
    ----------
    colours_of
        Returns the colours of a colour map by its name, uint8 (n, 3).
    selection_colour
        Colour around selected points, #RRGGBB.
    """

    method_chosen = Signal(object)
    cancel_requested = Signal()

    def __init__(self, colours_of: Callable[[str], np.ndarray], selection_colour: str) -> None:
        super().__init__()
        self._colours_of = colours_of
        self.method_box = ChoiceBox("layout in two dimensions")
        self.method_box.setMinimumContentsLength(6)
        self.cancel_button = QPushButton("Cancel")
        self.fit_button = QPushButton("Fit")
        self.fit_button.setToolTip("Bring all instances into view")
        self.title = elided("")
        self.reason = secondary()
        self.canvas = PointCanvas(selection_colour)
        self.canvas.setToolTip(HOW)
        self.words = elided("")
        self._note = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(3)
        head = row(self.method_box, self.cancel_button, self.fit_button, stretched=-1)
        head.addWidget(self.title, 2)
        head.addWidget(self.words, 3)
        layout.addLayout(head)
        layout.addWidget(self.reason)
        layout.addWidget(self.canvas, 1)
        self._projection: Projection | None = None
        self._colours: PointColours | None = None
        self._selected: tuple[int, ...] = ()
        self.method_box.chosen.connect(self.method_chosen.emit)
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        self.fit_button.clicked.connect(self.canvas.fit)

    def render(self, snapshot: EmbeddingSnapshot) -> None:
        """Show a snapshot."""
        self.method_box.render(snapshot.methods)
        self.cancel_button.setVisible(snapshot.can_cancel)
        self.fit_button.setEnabled(snapshot.projection is not None)
        set_words(self.title, snapshot.title)
        set_words(self.reason, snapshot.reason)
        self.canvas.setVisible(snapshot.projection is not None)
        self._note = snapshot.note
        self.show_words("")
        projection = snapshot.projection
        if projection is None or snapshot.colours is None:
            return
        if projection is not self._projection:
            self._projection = projection
            self.canvas.show_points(projection.points)
        if snapshot.colours is not self._colours:
            self._colours = snapshot.colours
            self.canvas.show_colours(self._coloured(snapshot.colours), snapshot.colours.order)
        if snapshot.selected != self._selected:
            self._selected = snapshot.selected
            self.canvas.show_selected(snapshot.selected)

    def show_words(self, words: str) -> None:
        """Describe the instance under the mouse; without one, the selected instance."""
        self.words.setText(words or self._note)
        self.words.setToolTip(self._note)

    def _coloured(self, colours: PointColours) -> np.ndarray:
        """Return the colour of every instance, uint8 (N, 3)."""
        if colours.fixed is not None:
            return colours.fixed
        assert colours.shares is not None
        table = self._colours_of(colours.colormap)
        is_known = ~np.isnan(colours.shares)
        places = np.where(is_known, colours.shares, 0) * (len(table) - 1)
        coloured: np.ndarray = table[np.rint(places).astype(int)]
        coloured[~is_known] = NO_COLOUR
        return coloured
