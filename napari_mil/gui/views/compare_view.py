"""The Compare panel: two answers in figures, and the other one beside the canvas."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_mil.gui.model.snapshots.compare import CompareSnapshot, FigureRow
from napari_mil.gui.views.linked_picture import LinkedPicture
from napari_mil.gui.views.widgets import ChoiceBox, elided, row, scrolling, secondary, set_words

CURTAIN_STEPS = 1000
CHOICES_WIDTH = 500
HEIGHT = 250
LEAST_PX = 24
COLUMNS = 4
ROW_PX = 22
WIDEST_PX = 180
"""Width of a column of the table at most: names of classes leave room for figures."""


class CompareView(QWidget):
    """Tells what a person chose of two answers, shows a snapshot."""

    other_chosen = Signal(str)
    first_column_chosen = Signal(str)
    second_column_chosen = Signal(str)
    view_chosen = Signal(object)
    scale_chosen = Signal(object)
    curtain_moved = Signal(float)
    curtain_fetched = Signal()
    """Bring the line into the middle of the view."""
    reference_chosen = Signal(str)
    shapes_requested = Signal()
    swap_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.reason = secondary()
        self.choices = CompareChoices()
        self.table = FigureTable()
        self.sentences = secondary()
        self.sentences.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.picture_title = elided("")
        self.picture = LinkedPicture()
        words = scrolling(_below(self.sentences))
        for widget in (words, self.table):
            # They scroll: a small window keeps its canvas.
            widget.setMinimumHeight(LEAST_PX)
        left = _below(self.choices, words)
        left.setFixedWidth(CHOICES_WIDTH)
        self._body = QWidget()
        body_layout = row(left, self.table, _below(self.picture_title, self.picture))
        body_layout.setContentsMargins(0, 0, 0, 0)
        for place, stretch in enumerate((0, 6, 5)):
            body_layout.setStretch(place, stretch)
        self._body.setLayout(body_layout)
        # Its dock would take room for it for good.
        self._body.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.addWidget(self.reason)
        layout.addWidget(self._body, 1)
        self._connect()

    def _connect(self) -> None:
        choices = self.choices
        choices.other_box.chosen.connect(self.other_chosen.emit)
        choices.first_box.chosen.connect(self.first_column_chosen.emit)
        choices.second_box.chosen.connect(self.second_column_chosen.emit)
        choices.view_box.chosen.connect(self.view_chosen.emit)
        choices.scale_box.chosen.connect(self.scale_chosen.emit)
        choices.reference_box.chosen.connect(self.reference_chosen.emit)
        choices.curtain_slider.valueChanged.connect(
            lambda value: self.curtain_moved.emit(value / CURTAIN_STEPS)
        )
        choices.fetch_button.clicked.connect(lambda: self.curtain_fetched.emit())
        choices.shapes_button.clicked.connect(lambda: self.shapes_requested.emit())
        choices.swap_button.clicked.connect(lambda: self.swap_requested.emit())

    def sizeHint(self) -> QSize:
        """Return a height at which choices and table need no scrolling."""
        return QSize(super().sizeHint().width(), HEIGHT)

    def render(self, snapshot: CompareSnapshot) -> None:
        """Show a snapshot; the picture comes by itself."""
        set_words(self.reason, snapshot.reason)
        self._body.setVisible(not snapshot.reason)
        if snapshot.reason:
            return
        self.choices.render(snapshot)
        self.table.render(snapshot.rows, (snapshot.first, snapshot.second))
        words = ("Comparing the maps…",) if snapshot.is_measuring else snapshot.sentences
        set_words(self.sentences, "\n".join(words))
        set_words(self.picture_title, snapshot.picture_title)
        self.picture_title.setToolTip(snapshot.picture_title)


class CompareChoices(QWidget):
    """Boxes of the panel."""

    def __init__(self) -> None:
        super().__init__()
        self.other_box = ChoiceBox("other answer")
        self.swap_button = QPushButton("Swap")
        self.swap_button.setToolTip("Show the other answer, and compare it with this one")
        self.first_box = ChoiceBox("map of the shown answer")
        self.second_box = ChoiceBox("map of the other answer")
        self.view_box = ChoiceBox("what the canvas shows")
        self.scale_box = ChoiceBox("scale of the difference")
        self.curtain_slider = QSlider(Qt.Orientation.Horizontal)
        self.curtain_slider.setRange(0, CURTAIN_STEPS)
        self.curtain_slider.setAccessibleName("place of the curtain")
        self.fetch_button = QPushButton("Here")
        self.fetch_button.setToolTip("Bring the line into the middle of the view")
        self.reference_box = ChoiceBox("class of the annotated regions")
        for box in (self.other_box, self.reference_box):
            # A button stands beside it.
            box.setMinimumContentsLength(6)
        self.shapes_button = QPushButton("Shapes")
        self.shapes_button.setToolTip(
            "Take what is drawn on the chosen shapes layer as annotated regions; "
            "press again after drawing on"
        )
        self._curtain_line = _line(self.curtain_slider, self.fetch_button)
        self._maps = _form()
        self._maps.addRow("Map", self.first_box)
        self._maps.addRow("With", _line(self.other_box, self.swap_button))
        self._maps.addRow("Its map", self.second_box)
        self._canvas = _form()
        self._canvas.addRow("Canvas", self.view_box)
        self._canvas.addRow("Of", self.scale_box)
        self._canvas.addRow("Line", self._curtain_line)
        self._regions_line = _line(self.reference_box, self.shapes_button)
        self._canvas.addRow("Regions", self._regions_line)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._maps, 1)
        layout.addLayout(self._canvas, 1)

    def render(self, snapshot: CompareSnapshot) -> None:
        """Show the choices of a snapshot."""
        self.other_box.render(snapshot.others)
        self.first_box.render(snapshot.first_columns)
        self.second_box.render(snapshot.second_columns)
        self.view_box.render(snapshot.views)
        self.scale_box.render(snapshot.scales)
        self.reference_box.render(snapshot.references)
        self.reference_box.setVisible(bool(snapshot.references.entries))
        self._show_row(self._regions_line, snapshot.takes_regions)
        self._show_row(self.scale_box, snapshot.shows_scale)
        self._show_row(self._curtain_line, snapshot.shows_curtain)
        self.curtain_slider.blockSignals(True)
        self.curtain_slider.setValue(round(snapshot.curtain * CURTAIN_STEPS))
        self.curtain_slider.blockSignals(False)

    def _show_row(self, widget: QWidget, shown: bool) -> None:
        widget.setVisible(shown)
        label = self._canvas.labelForField(widget)
        if label is not None:
            label.setVisible(shown)


class FigureTable(QTableWidget):
    """Figures of both answers and their difference, one row each."""

    def __init__(self) -> None:
        super().__init__(0, COLUMNS)
        self.setAccessibleName("figures of both answers")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        heads = self.verticalHeader()
        heads.hide()
        heads.setDefaultSectionSize(ROW_PX)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setMaximumSectionSize(WIDEST_PX)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self._shown: tuple[tuple[FigureRow, ...], tuple[str, str]] | None = None

    def render(self, rows: tuple[FigureRow, ...], names: tuple[str, str]) -> None:
        """Show rows below the names of both classifiers."""
        if self._shown == (rows, names):
            return
        self._shown = (rows, names)
        self.setRowCount(len(rows))
        for place, title in enumerate(("", *names, "difference")):
            head = QTableWidgetItem(title)
            head.setToolTip(title)
            self.setHorizontalHeaderItem(place, head)
        for k, each in enumerate(rows):
            for place, text in enumerate((each.name, each.first, each.second, each.difference)):
                item = QTableWidgetItem(text)
                item.setToolTip(each.explained or text)
                self.setItem(k, place, item)

    def texts(self) -> list[list[str]]:
        """Return what the cells say, by row."""
        rows = range(self.rowCount())
        return [[self.item(k, place).text() for place in range(COLUMNS)] for k in rows]


def _line(*widgets: QWidget) -> QWidget:
    """Return widgets beside each other, the first taking what room there is."""
    line = QWidget()
    layout = row(*widgets, stretched=0)
    layout.setContentsMargins(0, 0, 0, 0)
    line.setLayout(layout)
    return line


def _form() -> QFormLayout:
    """Return a form of as little height as it needs."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(3)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def _below(*widgets: QWidget) -> QWidget:
    """Return widgets below each other, the last taking what room there is."""
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for place, widget in enumerate(widgets):
        layout.addWidget(widget, int(place == len(widgets) - 1))
    return whole
