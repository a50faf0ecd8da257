"""The Inspect tab: ask more of the answer that is there."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mil.gui.glyphs import ALPHA, PATTERNS, Glyph
from napari_mil.gui.views.widgets import CAUTION, Card, column, combo, elided, grey_line, scrolling

MOST_CLUSTERS = 48
"""Twelve colours in four patterns."""
NOTHING_YET = "Classify a slide first: its answer is looked into here."


class Swatch(QWidget):
    """A group's colour and pattern."""

    def __init__(self, glyph: Glyph) -> None:
        super().__init__()
        self._glyph = glyph
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return a square of a line's height."""
        return QSize(14, 14)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the cell as it lies on the slide."""
        painter, colour = QPainter(self), QColor(self._glyph.colour)
        faint = QColor(colour)
        faint.setAlphaF(0.25)
        painter.fillRect(self.rect(), faint)
        colour.setAlphaF(min(1.0, ALPHA + 0.35))
        pattern = PATTERNS[self._glyph.pattern]
        side = self.width() / len(pattern)
        for row, column_ in zip(*pattern.nonzero(), strict=True):
            painter.fillRect(QRectF(float(column_) * side, float(row) * side, side, side), colour)


class GroupLegend(QWidget):
    """Groups with their glyphs and how many tiles each has."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(4)
        self.hide()

    def set_groups(self, groups: Sequence[tuple[str, Glyph, int]]) -> None:
        """Show (name, glyph, number of tiles), as many beside each other as fit; nothing hides the legend."""
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        texts = [f"{name}: {count}" for name, _, count in groups]
        columns = (
            4 if max(map(len, texts), default=0) <= 7 else 3 if max(map(len, texts)) <= 12 else 2
        )
        for k, (text, (_, glyph, _)) in enumerate(zip(texts, groups, strict=True)):
            row, place = divmod(k, columns)
            self._grid.addWidget(Swatch(glyph), row, 2 * place)
            self._grid.addWidget(QLabel(text), row, 2 * place + 1)
        for place in range(4):
            self._grid.setColumnStretch(2 * place + 1, 1 if place < columns else 0)
        self.setVisible(bool(groups))


class InspectTab(QWidget):
    """Emits what the user did, shows what it is told."""

    clusters_requested = Signal()
    clusters_changed = Signal()
    """The number was changed."""
    masks_requested = Signal(str)
    cancel_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.subject = elided("")
        self.facts = grey_line(NOTHING_YET)
        self.cluster_box = QSpinBox()
        self.cluster_box.setRange(2, MOST_CLUSTERS)
        self.cluster_box.setValue(8)
        self.cluster_box.setKeyboardTracking(False)
        self.cluster_box.setAccessibleName("number of clusters")
        self.cluster_button = QPushButton("Show clusters")
        self.cluster_legend = GroupLegend()
        self.strategy_box = combo()
        self.strategy_box.setAccessibleName("mining strategy")
        self.mask_button = QPushButton("Show masks")
        self.mask_legend = GroupLegend()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setStyleSheet(f"QLabel {{ color: {CAUTION}; }}")
        self.message.hide()
        content = QWidget()
        content.setLayout(
            column(
                self.subject,
                self.facts,
                _section(
                    "Clusters",
                    "Tiles that resemble each other: the merges of the bag's tree, stopped at a number. "
                    "Single linkage: expect one large cluster and tiles that stand apart from it.",
                    (self.cluster_box, self.cluster_button),
                    self.cluster_legend,
                ),
                _section(
                    "Masked hard instances",
                    "What masked mining would hide from its student if this classifier were the teacher.",
                    (self.strategy_box, self.mask_button),
                    self.mask_legend,
                ),
                self.message,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False))
        self.layout().setContentsMargins(0, 0, 0, 0)
        self._working: QPushButton | None = None
        self._labels = {self.cluster_button: "Show clusters", self.mask_button: "Show masks"}
        self.cluster_button.clicked.connect(lambda: self._on_button(self.cluster_button))
        self.mask_button.clicked.connect(lambda: self._on_button(self.mask_button))
        self.cluster_box.valueChanged.connect(lambda _: self.clusters_changed.emit())
        self.set_available(0, "")
        self.set_subject(None, "")

    @property
    def n_clusters(self) -> int:
        """The chosen number."""
        return int(self.cluster_box.value())

    def set_strategies(self, strategies: Sequence[tuple[str, str]]) -> None:
        """Offer mining strategies: (key, text)."""
        for key, text in strategies:
            self.strategy_box.addItem(text, key)

    def set_subject(self, slide: str | None, facts: str) -> None:
        """Say what is looked into; None is nothing."""
        self.subject.setVisible(slide is not None)
        self.subject.setText(slide or "")
        self.subject.setToolTip(slide or "")
        self.facts.setText(facts if slide is not None else NOTHING_YET)

    def set_available(self, n_tiles: int, why_no_masks: str) -> None:
        """Say of how many tiles something can be asked, and why masks cannot."""
        too_few = (
            NOTHING_YET
            if n_tiles == 0
            else "One tile has no others to be compared with."
            if n_tiles == 1
            else ""
        )
        self.cluster_box.setMaximum(max(2, min(MOST_CLUSTERS, n_tiles or MOST_CLUSTERS)))
        for widget, reason in (
            (self.cluster_box, too_few),
            (self.cluster_button, too_few),
            (self.strategy_box, too_few or why_no_masks),
            (self.mask_button, too_few or why_no_masks),
        ):
            widget.setEnabled(not reason)
            widget.setToolTip(reason)
        self.cluster_legend.set_groups([])
        self.mask_legend.set_groups([])
        self.message.hide()

    def set_working(self, clusters: bool) -> None:
        """Offer to cancel where the work was asked for."""
        self.set_idle()
        self._working = self.cluster_button if clusters else self.mask_button
        self._working.setText("Cancel")
        self.message.hide()

    def set_idle(self) -> None:
        """Offer everything again."""
        for button, text in self._labels.items():
            button.setText(text)
        self._working = None

    def set_message(self, text: str) -> None:
        """Say why something is not shown."""
        self.message.setText(text)
        self.message.show()

    def _on_button(self, button: QPushButton) -> None:
        if button is self._working:
            self.cancel_requested.emit()
        elif button is self.cluster_button:
            self.clusters_requested.emit()
        else:
            self.masks_requested.emit(str(self.strategy_box.currentData()))


def _section(title: str, about: str, controls: tuple[QWidget, QWidget], legend: QWidget) -> Card:
    card = Card()
    heading = QLabel(title)
    heading.setStyleSheet("QLabel { font-weight: bold; }")
    row = QHBoxLayout()
    row.addWidget(controls[0], 1)
    row.addWidget(controls[1], 1)
    layout = QVBoxLayout(card)
    layout.setSpacing(6)
    layout.setAlignment(Qt.AlignmentFlag.AlignTop)
    for part in (heading, grey_line(about)):
        layout.addWidget(part)
    layout.addLayout(row)
    layout.addWidget(legend)
    return card
