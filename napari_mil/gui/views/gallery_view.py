"""The gallery: instances as pictures in order, below the canvas."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QItemSelectionModel, QSize, Qt, Signal
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_mil.gui.model.gallery import MOST_SHOWN
from napari_mil.gui.model.snapshots.gallery import GallerySnapshot, GalleryTile
from napari_mil.gui.views.pixmaps import pixmap_of
from napari_mil.gui.views.widgets import ChoiceBox, elided, row, secondary, set_words

TILE_PX = 72
"""A row of pictures with their words fits into the dock of a small screen."""
INSTANCE = Qt.ItemDataRole.UserRole


class GalleryView(QWidget):
    """Tells which pictures a person selects, shows a snapshot."""

    which_chosen = Signal(str)
    n_chosen = Signal(int)
    selected = Signal(object)
    """Instances that were selected, the newest last: tuple[int, ...]."""
    instance_opened = Signal(int)
    """An instance was double-clicked, or Return pressed on it: show it on the canvas."""
    save_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.which_box = ChoiceBox("instances of the gallery")
        self.n_box = QSpinBox()
        self.n_box.setRange(1, MOST_SHOWN)
        self.n_box.setKeyboardTracking(False)
        self.n_box.setAccessibleName("number of pictures")
        self.title = elided("")
        self.save_button = QPushButton("Save picture…")
        self.save_button.setToolTip("Write the gallery as one picture (PNG)")
        self.list = QListWidget()
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(TILE_PX, TILE_PX))
        self.list.setGridSize(QSize(TILE_PX + 24, TILE_PX + 26))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setAccessibleName("gallery")
        self.list.setToolTip(
            "Click or arrow keys: select; Ctrl or Shift: select several; "
            "double click or Return: show on the slide"
        )
        self.reason = secondary()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.addLayout(row(self.which_box, self.n_box, self.title, self.save_button, stretched=2))
        layout.addWidget(self.reason)
        layout.addWidget(self.list, 1)
        self._shown: tuple[int | None, tuple[GalleryTile, ...]] | None = None
        self._items: dict[int, QListWidgetItem] = {}
        self._blank = QPixmap(TILE_PX, TILE_PX)
        self._blank.fill(Qt.GlobalColor.transparent)
        self.which_box.chosen.connect(self.which_chosen.emit)
        self.n_box.valueChanged.connect(self.n_chosen.emit)
        self.list.itemSelectionChanged.connect(self._tell_selected)
        self.list.itemActivated.connect(lambda item: self.instance_opened.emit(item.data(INSTANCE)))
        self.save_button.clicked.connect(lambda: self.save_requested.emit())

    def render(self, snapshot: GallerySnapshot) -> None:
        """Show a snapshot; pictures come by `show_pixels`."""
        self.which_box.render(snapshot.which)
        self.n_box.blockSignals(True)
        self.n_box.setValue(snapshot.n)
        self.n_box.blockSignals(False)
        set_words(self.title, snapshot.title)
        set_words(self.reason, snapshot.reason)
        self.list.setVisible(not snapshot.reason)
        self.save_button.setEnabled(bool(snapshot.tiles))
        self.list.blockSignals(True)
        if self._shown != (snapshot.subject, snapshot.tiles):
            self._shown = (snapshot.subject, snapshot.tiles)
            self._fill(snapshot.tiles)
        self._mark(snapshot.selected)
        self.list.blockSignals(False)

    def show_pixels(self, instance: int, pixels: np.ndarray) -> None:
        """Put the picture of an instance, uint8 (H, W, 3), where it belongs."""
        item = self._items.get(instance)
        if item is not None:
            item.setIcon(QIcon(pixmap_of(pixels, TILE_PX)))

    def _fill(self, tiles: tuple[GalleryTile, ...]) -> None:
        self.list.clear()
        self._items = {}
        for tile in tiles:
            item = QListWidgetItem(QIcon(self._blank), tile.words)
            item.setData(INSTANCE, tile.instance)
            item.setToolTip(tile.name)
            self.list.addItem(item)
            self._items[tile.instance] = item

    def _mark(self, selected: tuple[int, ...]) -> None:
        """Mark what is selected elsewhere, and bring the newest of it into view."""
        wanted = {instance for instance in selected if instance in self._items}
        if wanted == {item.data(INSTANCE) for item in self.list.selectedItems()}:
            return
        for instance, item in self._items.items():
            item.setSelected(instance in wanted)
        newest = self._items.get(selected[-1]) if selected else None
        if newest is not None:
            self.list.setCurrentItem(newest, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.list.scrollToItem(newest)

    def _tell_selected(self) -> None:
        chosen = [item.data(INSTANCE) for item in self.list.selectedItems()]
        current = self.list.currentItem()
        newest = None if current is None else current.data(INSTANCE)
        # The one that was clicked last is shown by itself.
        chosen.sort(key=lambda instance: instance == newest)
        self.selected.emit(tuple(chosen))
