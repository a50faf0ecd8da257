"""The tree panel: the dendrogram of the bag below the canvas, its cut and the replay."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from napari_mil.gui.model.snapshots.tree import TreeSnapshot
from napari_mil.gui.views.dendrogram_plot import DendrogramPlot
from napari_mil.gui.views.widgets import ChoiceBox, elided, row, secondary, set_words

SLIDER_PX = 110
HEIGHT = 260


class TreeView(QWidget):
    """Tells what a person does with the tree, shows a snapshot."""

    linkage_chosen = Signal(object)
    clusters_chosen = Signal(int)
    collapse_chosen = Signal(bool)
    colouring_chosen = Signal(bool)
    """Colour the clusters on the slide, or not any more."""
    merged_chosen = Signal(int)
    """Show the tree after so many merges."""
    play_requested = Signal()
    pause_requested = Signal()
    cut_requested = Signal()
    """End the replay."""
    ask_requested = Signal()
    """Grow the tree, though that came to nothing before."""

    def __init__(self) -> None:
        super().__init__()
        self.linkage_box = ChoiceBox("tree")
        self.cluster_slider = QSlider(Qt.Orientation.Horizontal)
        self.cluster_slider.setAccessibleName("number of clusters")
        self.cluster_slider.setToolTip("Number of clusters; or drag the dashed line to a height")
        self.cluster_number = QLabel()
        self.collapse_box = QCheckBox("Collapse")
        self.collapse_box.setToolTip("Draw each cluster as one leaf with its number of instances")
        self.colour_box = QCheckBox("Colour the slide")
        self.colour_box.setToolTip("Show the clusters on the canvas, in the same colours")
        self.title = elided("")
        self.fit_button = QPushButton("Fit")
        self.fit_button.setToolTip("Show the whole tree; the wheel zooms, dragging moves")
        self.play_button = QPushButton("Replay")
        self.merge_slider = QSlider(Qt.Orientation.Horizontal)
        self.merge_slider.setAccessibleName("merges")
        self.merge_slider.setToolTip("Merges in their order, from the closest to the farthest")
        self.cut_button = QPushButton("End replay")
        self.cut_button.setToolTip("Show the clusters of the cut again")
        self.plot = DendrogramPlot()
        self.plot.setToolTip(
            "Click a branch: select its instances; double click: show them on the slide"
        )
        self.reason = secondary()
        self.ask_button = QPushButton("Grow the tree")
        self._reason_line = QWidget()
        self._reason_line.setLayout(row(self.reason, self.ask_button, stretched=0))
        self._controls = QWidget()
        controls = row(
            self.linkage_box,
            QLabel("Clusters"),
            self.cluster_slider,
            self.cluster_number,
            self.collapse_box,
            self.colour_box,
            self.play_button,
            self.merge_slider,
            self.cut_button,
            self.fit_button,
            self.title,
            stretched=10,
        )
        controls.setContentsMargins(0, 0, 0, 0)
        self._controls.setLayout(controls)
        for slider in (self.cluster_slider, self.merge_slider):
            slider.setMinimumWidth(SLIDER_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(2)
        layout.addWidget(self._controls)
        layout.addWidget(self._reason_line)
        layout.addWidget(self.plot, 1)
        self._shown = TreeSnapshot()
        self._connect()

    def _connect(self) -> None:
        self.linkage_box.chosen.connect(self.linkage_chosen.emit)
        self.cluster_slider.valueChanged.connect(self.clusters_chosen.emit)
        self.collapse_box.toggled.connect(self.collapse_chosen.emit)
        self.colour_box.toggled.connect(self.colouring_chosen.emit)
        self.fit_button.clicked.connect(lambda: self.plot.fit())
        self.merge_slider.valueChanged.connect(self.merged_chosen.emit)
        self.play_button.clicked.connect(self._on_play)
        self.cut_button.clicked.connect(lambda: self.cut_requested.emit())
        self.ask_button.clicked.connect(lambda: self.ask_requested.emit())
        self.plot.clusters_chosen.connect(self.clusters_chosen.emit)

    def sizeHint(self) -> QSize:
        """Return a wide and low size."""
        return QSize(900, HEIGHT)

    def render(self, snapshot: TreeSnapshot) -> None:
        """Show a snapshot; pictures come by `plot.show_pixels`."""
        self._shown = snapshot
        set_words(self.reason, snapshot.reason)
        self._reason_line.setVisible(bool(snapshot.reason))
        self.ask_button.setVisible(snapshot.can_ask)
        self._controls.setVisible(bool(snapshot.linkages.entries))
        self.plot.setVisible(snapshot.drawing is not None)
        self.linkage_box.render(snapshot.linkages)
        self._render_numbers(snapshot)
        is_replayed = snapshot.merged is not None
        self.play_button.setText("Pause" if snapshot.playing else "Replay")
        for widget in (self.play_button, self.merge_slider):
            widget.setEnabled(snapshot.drawing is not None)
        self.cut_button.setEnabled(is_replayed)
        self.title.setText(snapshot.title)
        self.title.setToolTip(snapshot.title)
        self.plot.show_tree(
            snapshot.drawing, snapshot.cut_height, has_pictures=snapshot.has_pictures
        )
        self.plot.show_merged(snapshot.merged)
        self.plot.show_selected(snapshot.selected)

    def _render_numbers(self, snapshot: TreeSnapshot) -> None:
        widgets = (self.cluster_slider, self.merge_slider, self.collapse_box, self.colour_box)
        for widget in widgets:
            widget.blockSignals(True)
        self.cluster_slider.setRange(2, snapshot.most_clusters)
        self.cluster_slider.setValue(snapshot.n_clusters)
        self.cluster_number.setText(str(snapshot.n_clusters))
        self.merge_slider.setRange(0, snapshot.n_merges)
        self.merge_slider.setValue(
            snapshot.n_merges if snapshot.merged is None else snapshot.merged
        )
        self.collapse_box.setChecked(snapshot.collapsed)
        self.colour_box.setChecked(snapshot.colours_slide)
        for widget in widgets:
            widget.blockSignals(False)

    def _on_play(self) -> None:
        if self._shown.playing:
            self.pause_requested.emit()
        else:
            self.play_requested.emit()
