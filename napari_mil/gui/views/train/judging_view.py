"""How good a classifier is: figures, curves, confusion matrix and its bags."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_mil.gui.model.snapshots.judging import (
    FiguresSnapshot,
    JudgingSnapshot,
    ListedBag,
    Matrix,
)
from napari_mil.gui.views.widgets import (
    Card,
    ChoiceBox,
    TonedLabel,
    bold,
    column,
    elided_middle,
    row,
    secondary,
    set_words,
)

PLOT = "napari_mil.gui.views.train.judging_plot"
"""Brings pyqtgraph, which loads once there are figures."""
ROW_HEIGHT = 24
LIST_HEIGHT = 120
SHADE = (42, 157, 143)
"""Colour of a cell that holds all bags of its row; others are fainter."""
FAINTEST = 20
STRONGEST = 150
"""Opacity of cells, of 255: texts stay readable in both themes."""


class JudgingView(Card):
    """Tells that a cohort is to be scored, which cell was chosen and which bag opened."""

    score_requested = Signal()
    cancel_requested = Signal()
    mapping_written = Signal(str)
    plot_chosen = Signal(object)
    cell_chosen = Signal(int, int)
    bag_opened = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.line = secondary()
        self.score_button = QPushButton("Score a labelled folder…")
        self.cancel_button = QPushButton("Cancel")
        self.mapping_edit = QLineEdit()
        self.mapping_edit.setPlaceholderText("Classes called otherwise: Tumor=malignant")
        self.mapping_edit.setToolTip(
            "Classes of the folder that are the classifier's, where names differ: "
            "Tumor=malignant, Stroma=benign. Nothing after = leaves a class out."
        )
        self.mapping_edit.setAccessibleName("classes called otherwise")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.bar.setAccessibleName("progress of the score")
        self.progress_text = secondary()
        self.message = TonedLabel("caution")
        self._make_figures()
        self.setLayout(
            column(
                bold("How good it is"),
                self.line,
                row(self.score_button, self.cancel_button, stretched=0),
                self.mapping_edit,
                self.bar,
                self.progress_text,
                self.message,
                self._figures,
                stretch=False,
            )
        )
        self.score_button.clicked.connect(lambda: self.score_requested.emit())
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        self.mapping_edit.editingFinished.connect(
            lambda: self.mapping_written.emit(self.mapping_edit.text())
        )
        self.plot_box.chosen.connect(lambda plot: self.plot_chosen.emit(plot))
        self.table.cellClicked.connect(lambda row, column: self.cell_chosen.emit(row, column))
        self.table.cellActivated.connect(lambda row, column: self.cell_chosen.emit(row, column))
        self.bag_list.itemActivated.connect(
            lambda item: self.bag_opened.emit(item.data(Qt.ItemDataRole.UserRole))
        )

    def _make_figures(self) -> None:
        self.headline = bold()
        self.lines = secondary()
        self.place = secondary()
        self.plot_box = ChoiceBox("curve")
        self._plot: Any = None
        self._plot_place = QWidget()
        self._plot_place.setLayout(column(stretch=False, margin=0))
        self.table = QTableWidget()
        self.table.setAccessibleName("confusion matrix: truth in rows, answers in columns")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.bags_line = secondary()
        self.bag_list = QListWidget()
        self.bag_list.setAccessibleName("bags of the chosen number")
        self.bag_list.setFixedHeight(LIST_HEIGHT)
        self.bag_list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.bag_list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._matrix = Matrix()
        self._bags: tuple[ListedBag, ...] = ()
        self._figures = QWidget()
        self._figures.setLayout(
            column(
                self.headline,
                self.lines,
                self.place,
                self.plot_box,
                self._plot_place,
                self.table,
                self.bags_line,
                self.bag_list,
                stretch=False,
                margin=0,
            )
        )

    def render(self, snapshot: JudgingSnapshot) -> None:
        """Show a snapshot."""
        set_words(self.line, snapshot.line)
        self.score_button.setEnabled(snapshot.can_score)
        self.score_button.setToolTip(snapshot.score_tip)
        self.cancel_button.setVisible(snapshot.scoring)
        self.mapping_edit.setEnabled(snapshot.can_score)
        if not self.mapping_edit.hasFocus():
            self.mapping_edit.setText(snapshot.mapping)
        self.bar.setVisible(snapshot.scoring)
        self.bar.setRange(0, snapshot.total)
        self.bar.setValue(snapshot.done)
        set_words(self.progress_text, snapshot.progress)
        self.message.set_tone("caution" if snapshot.cautions else "secondary")
        set_words(self.message, snapshot.message)
        self._figures.setVisible(bool(snapshot.figures.headline))
        if snapshot.figures.headline:
            self._render_figures(snapshot.figures)

    def _render_figures(self, figures: FiguresSnapshot) -> None:
        set_words(self.headline, figures.headline)
        set_words(self.lines, figures.lines)
        set_words(self.place, figures.place)
        self.plot_box.render(figures.plots)
        if self._plot is None:
            self._plot = import_module(PLOT).JudgingPlot()
            self._plot_place.layout().addWidget(self._plot)
        self._plot.render(figures.drawing)
        if figures.matrix != self._matrix:
            self._matrix = figures.matrix
            self._fill_table(figures.matrix)
        set_words(self.bags_line, figures.bags_line)
        self.bag_list.setVisible(bool(figures.bags))
        if figures.bags != self._bags:
            self._bags = figures.bags
            self._fill_list(figures.bags)

    def _fill_table(self, matrix: Matrix) -> None:
        self.table.setVisible(bool(matrix.rows))
        self.table.setRowCount(len(matrix.rows))
        self.table.setColumnCount(len(matrix.columns))
        self.table.setHorizontalHeaderLabels(list(map(elided_middle, matrix.columns)))
        self.table.setVerticalHeaderLabels(list(map(elided_middle, matrix.rows)))
        for across in (self.table.horizontalHeader(), self.table.verticalHeader()):
            across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for place, texts in enumerate(matrix.texts):
            for other, text in enumerate(texts):
                self.table.setItem(place, other, self._cell(matrix, place, other, text))
        header = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(header + ROW_HEIGHT * len(matrix.rows) + 4)
        if matrix.cell is not None:
            self.table.setCurrentCell(*matrix.cell)

    def _cell(self, matrix: Matrix, place: int, other: int, text: str) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        item.setToolTip(f"{matrix.rows[place]} → {matrix.columns[other]}: {text}")
        share = matrix.shares[place][other]
        item.setBackground(QColor(*SHADE, round(FAINTEST + (STRONGEST - FAINTEST) * share)))
        return item

    def _fill_list(self, bags: tuple[ListedBag, ...]) -> None:
        self.bag_list.clear()
        for bag in bags:
            item = QListWidgetItem(bag.text)
            item.setToolTip(bag.text)
            item.setData(Qt.ItemDataRole.UserRole, bag.number)
            self.bag_list.addItem(item)
