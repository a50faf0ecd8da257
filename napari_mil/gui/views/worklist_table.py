"""The table of a worklist: rows with thumbnails, sorted and filtered, smooth with many rows."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from qtpy.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtGui import QBrush, QColor, QIcon, QKeyEvent, QPainter, QPalette, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_mil.gui.model.snapshots.worklist import (
    HEADER_TIPS,
    HEADERS,
    Column,
    cell_text,
    is_cautioned,
    is_faint,
    matches,
    progress_of,
    row_tip,
    sort_value,
)
from napari_mil.gui.model.worklist import Row
from napari_mil.gui.views.colours import colours_of
from napari_mil.gui.views.pixmaps import image_of

THUMBNAIL = (32, 38)
"""(width, height) of a thumbnail in pixels."""
KEPT_THUMBNAILS = 400
"""Thumbnails in memory: 2.7 MB."""
ROW_HEIGHT = 42
NARROWEST = 34
"""Width of the narrowest column in pixels."""
WIDTHS = {
    Column.SLIDE: 112,
    Column.STATE: 54,
    Column.CLASS: 56,
    Column.PROBABILITY: 38,
    Column.UNLIKE: 44,
    Column.NOTE: NARROWEST,
}
"""Widths in pixels: all columns fit the dock at its narrowest."""
BESIDE_THUMBNAIL, BESIDE_TEXT = 6, 7
"""Pixels around a thumbnail, and around a text."""
ANYWHERE = "\u200b"
"""Character without a width, at which a line may break."""
SETTLED_AFTER_MS = 120
"""Scrolling asks for thumbnails once it rests so long."""
SORT_ROLE = Qt.ItemDataRole.UserRole
PROGRESS_ROLE = Qt.ItemDataRole.UserRole + 1


class WorklistModel(QAbstractTableModel):
    """Rows of a worklist; words are made when a cell is shown."""

    note_written = Signal(int, str)
    """(number of the row, note)."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._view = parent
        self._rows: tuple[Row, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._thumbnails: OrderedDict[int, QIcon] = OrderedDict()
        self._no_thumbnail = framed(None)

    @property
    def rows(self) -> tuple[Row, ...]:
        """Rows that are shown."""
        return self._rows

    def set_rows(self, rows: tuple[Row, ...], columns: tuple[str, ...]) -> None:
        """Show rows; where the slides are the same ones, only what changed is drawn anew."""
        before = self._rows
        is_same_list = len(rows) == len(before) and all(
            row.item is other.item for row, other in zip(rows, before, strict=True)
        )
        if not is_same_list:
            self.beginResetModel()
            self._rows = rows
            self._columns = columns
            self._thumbnails.clear()
            self.endResetModel()
            return
        self._rows = rows
        for number, (row, other) in enumerate(zip(rows, before, strict=True)):
            if row is not other:
                self.dataChanged.emit(
                    self.index(number, 0), self.index(number, self.columnCount() - 1)
                )

    def has_thumbnail(self, number: int) -> bool:
        """Say whether the thumbnail of a row is there."""
        return number in self._thumbnails

    def set_thumbnail(self, number: int, pixels: np.ndarray | None) -> None:
        """Show the thumbnail of a row, uint8 (h, w, 3); None where it has none."""
        if not 0 <= number < len(self._rows):
            return
        self._thumbnails[number] = framed(pixels)
        self._thumbnails.move_to_end(number)
        while len(self._thumbnails) > KEPT_THUMBNAILS:
            self._thumbnails.popitem(last=False)
        index = self.index(number, Column.SLIDE)
        self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the name of a column and what it means."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[Column(section)]
        return HEADER_TIPS[Column(section)] if role == Qt.ItemDataRole.ToolTipRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let notes be edited."""
        flags = super().flags(index)
        if index.isValid() and index.column() == Column.NOTE:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        column = Column(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return cell_text(row, column)
        if role == SORT_ROLE:
            return sort_value(row, column)
        if role == PROGRESS_ROLE:
            return progress_of(row) if column is Column.STATE else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return row_tip(row, self._columns)
        if role == Qt.ItemDataRole.DecorationRole and column is Column.SLIDE:
            return self._thumbnails.get(index.row(), self._no_thumbnail)
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (
            Column.PROBABILITY,
            Column.UNLIKE,
        ):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _colour(self, row: Row, column: Column) -> QBrush | None:
        colours = colours_of(self._view)
        if is_cautioned(row, column):
            return QBrush(QColor(colours.caution))
        return QBrush(QColor(colours.secondary)) if is_faint(row, column) else None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tell the note that a person wrote; the session gives it back."""
        if role != Qt.ItemDataRole.EditRole or index.column() != Column.NOTE:
            return False
        self.note_written.emit(index.row(), str(value).strip())
        return True


class WorklistProxy(QSortFilterProxyModel):
    """Rows in the order and of the kind that a person wants."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._text = ""
        self._state = ""
        self.setSortRole(SORT_ROLE)
        self.setDynamicSortFilter(True)

    def filter_by(self, text: str, state: str) -> None:
        """Show the rows that hold a text and have a state; empty ones fit all."""
        if (text, state) != (self._text, self._state):
            self._text = text
            self._state = state
            self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Say whether a row is shown."""
        model = self.sourceModel()
        return isinstance(model, WorklistModel) and matches(
            model.rows[row], self._text, self._state
        )


class TwoLineDelegate(QStyledItemDelegate):
    """Draws a text on two lines, both ends kept: names of slides differ there."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Shorten the text to two lines that may break anywhere."""
        super().initStyleOption(option, index)
        beside = 0 if option.icon.isNull() else THUMBNAIL[0] + BESIDE_THUMBNAIL
        width = option.rect.width() - beside - BESIDE_TEXT
        # The first line ends up to a wide letter early.
        room = max(24, 2 * width - option.fontMetrics.maxWidth() // 2)
        name = option.fontMetrics.elidedText(option.text, Qt.TextElideMode.ElideMiddle, room)
        option.text = ANYWHERE.join(name)


class StateDelegate(QStyledItemDelegate):
    """Draws how far a row is below its state."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw the cell, and a bar where the row is running."""
        super().paint(painter, option, index)
        share = index.data(PROGRESS_ROLE)
        if share is None or painter is None:
            return
        area: QRect = option.rect.adjusted(4, option.rect.height() - 8, -4, -4)
        ground = option.palette.color(QPalette.ColorRole.WindowText)
        ground.setAlphaF(0.15)
        painter.fillRect(area, ground)
        area.setWidth(max(2, round(area.width() * share)))
        painter.fillRect(area, QColor(colours_of(self.parent()).bar))


class WorklistTable(QTableView):
    """Shows a worklist, tells what a person does in it."""

    row_opened = Signal(int)
    """Number of a row that was double-clicked, or of the current one on Return."""
    note_written = Signal(int, str)
    """(number of the row, note)."""
    thumbnails_wanted = Signal(object)
    """Numbers of the rows in view whose thumbnails are missing, from the top."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("worklist")
        self.source = WorklistModel(self)
        self.proxy = WorklistProxy(self)
        self.proxy.setSourceModel(self.source)
        self.setModel(self.proxy)
        for column in (Column.SLIDE, Column.CLASS, Column.NOTE):
            self.setItemDelegateForColumn(column, TwoLineDelegate(self))
        self.setItemDelegateForColumn(Column.STATE, StateDelegate(self))
        self.setIconSize(QSize(*THUMBNAIL))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self._lay_out()
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_AFTER_MS)
        self._settled.timeout.connect(self._ask_for_thumbnails)
        self.doubleClicked.connect(self._on_double_click)
        self.source.note_written.connect(self.note_written.emit)
        for signal in (
            self.proxy.layoutChanged,
            self.proxy.modelReset,
            self.proxy.rowsInserted,
            self.proxy.rowsRemoved,
        ):
            signal.connect(lambda *_: self._settled.start())

    def _lay_out(self) -> None:
        rows = self.verticalHeader()
        rows.setDefaultSectionSize(ROW_HEIGHT)
        # Rows that are all alike need not be measured.
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.hide()
        header = self.horizontalHeader()
        header.setMinimumSectionSize(NARROWEST)
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)
        self.setSortingEnabled(True)
        # In the order of the list until a person sorts.
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)

    @property
    def numbers(self) -> list[int]:
        """Numbers of the rows that are shown, from the top."""
        return [
            self.proxy.mapToSource(self.proxy.index(place, 0)).row()
            for place in range(self.proxy.rowCount())
        ]

    @property
    def current_number(self) -> int | None:
        """Number of the row that the keyboard is on, or None."""
        index = self.currentIndex()
        return self.proxy.mapToSource(index).row() if index.isValid() else None

    @property
    def current_row(self) -> Row | None:
        """Row that the keyboard is on."""
        number = self.current_number
        return None if number is None else self.source.rows[number]

    def render(self, rows: tuple[Row, ...], columns: tuple[str, ...]) -> None:
        """Show rows."""
        if rows is not self.source.rows:
            self.source.set_rows(rows, columns)

    def filter_by(self, text: str, state: str) -> None:
        """Show the rows that hold a text and have a state; empty ones fit all."""
        self.proxy.filter_by(text, state)
        self._settled.start()

    def set_thumbnail(self, number: int, pixels: np.ndarray | None) -> None:
        """Show the thumbnail of a row, uint8 (h, w, 3); None where it has none."""
        self.source.set_thumbnail(number, pixels)

    def choose(self, number: int) -> None:
        """Make a row the current one."""
        self.setCurrentIndex(self.proxy.mapFromSource(self.source.index(number, 0)))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Open the current row on Return."""
        is_return = event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_return and self.state() != QAbstractItemView.State.EditingState:
            index = self.currentIndex()
            if index.isValid():
                self.row_opened.emit(self.proxy.mapToSource(index).row())
            return
        super().keyPressEvent(event)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Ask for the thumbnails that come into view."""
        super().scrollContentsBy(dx, dy)
        self._settled.start()

    def resizeEvent(self, event: Any) -> None:
        """Ask for the thumbnails that come into view."""
        super().resizeEvent(event)
        self._settled.start()

    def showEvent(self, event: Any) -> None:
        """Ask for the thumbnails that come into view."""
        super().showEvent(event)
        self._settled.start()

    def changeEvent(self, event: QEvent | None) -> None:
        """Draw in the colours of the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self.viewport().update()

    def visible_numbers(self) -> list[int]:
        """Return the numbers of the rows in view, from the top."""
        if not self.isVisible() or not self.proxy.rowCount():
            return []
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        last = self.proxy.rowCount() - 1 if last < 0 else last
        return [
            self.proxy.mapToSource(self.proxy.index(place, 0)).row()
            for place in range(first, last + 1)
        ]

    def _ask_for_thumbnails(self) -> None:
        missing = [k for k in self.visible_numbers() if not self.source.has_thumbnail(k)]
        if missing:
            self.thumbnails_wanted.emit(missing)

    def _on_double_click(self, index: QModelIndex) -> None:
        if index.column() != Column.NOTE:
            self.row_opened.emit(self.proxy.mapToSource(index).row())
        else:
            self.edit(index)


def framed(pixels: np.ndarray | None) -> QIcon:
    """Return a thumbnail in the middle of a frame that is as large for all."""
    pixmap = QPixmap(*THUMBNAIL)
    pixmap.fill(Qt.GlobalColor.transparent)
    if pixels is not None:
        _draw_in_middle(pixmap, pixels)
    icon = QIcon(pixmap)
    # Qt would tint it in a selected row.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _draw_in_middle(pixmap: QPixmap, pixels: np.ndarray) -> None:
    fitted = image_of(pixels).scaled(
        QSize(*THUMBNAIL),
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    painter = QPainter(pixmap)
    painter.drawImage(
        (THUMBNAIL[0] - fitted.width()) // 2, (THUMBNAIL[1] - fitted.height()) // 2, fitted
    )
    painter.end()
