"""The Inspect tab: choose what is coloured, look at single instances."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

from napari_mil.gui.model.display import MOST_CLUSTERS
from napari_mil.gui.model.panels import TITLES, TOOLTIPS, Panel
from napari_mil.gui.model.session import Surroundings
from napari_mil.gui.model.snapshots.inspect import InspectSnapshot, InstanceSnapshot
from napari_mil.gui.views.evidence_card import EvidenceCard
from napari_mil.gui.views.export_line import ExportLine
from napari_mil.gui.views.histogram_view import HistogramView
from napari_mil.gui.views.mask_shares import ShareSliders
from napari_mil.gui.views.pixmaps import pixmap_of
from napari_mil.gui.views.widgets import (
    Card,
    ChoiceBox,
    GroupLegend,
    bold,
    column,
    elided,
    row,
    scrolling,
    secondary,
    set_words,
)

OPACITY_STEPS = 100
PICTURE_PX = 224
SURROUNDINGS_PX = 144
PADDING_LETTERS = 4
"""Width of what is around the name on a button, in letters."""

PANELS = (Panel.GALLERY, Panel.TREE, Panel.EMBEDDING, Panel.COMPARE)
"""Panels that a button opens."""


class InspectTab(QWidget):
    """Tells what the user did, shows a snapshot."""

    kind_chosen = Signal(object)
    name_chosen = Signal(str)
    scale_chosen = Signal(object)
    opacity_chosen = Signal(float)
    visibility_chosen = Signal(bool)
    window_chosen = Signal(float, float)
    """Let the colours run from a value to another, on the scale of the map."""
    window_reset = Signal()
    papers_chosen = Signal(bool)
    group_switched = Signal(str)
    clusters_chosen = Signal(int)
    linkage_chosen = Signal(object)
    strategy_chosen = Signal(str)
    cancel_requested = Signal()
    step_requested = Signal(int)
    """Show the next (1) or the previous (-1) instance by rank."""
    clear_requested = Signal()
    panel_requested = Signal(object)
    """Show a panel below the canvas."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = elided("")
        self.facts = secondary()
        self.visible_box = QCheckBox("Show")
        self.visible_box.setToolTip("Alt+O: overlay on or off")
        self.kind_box = ChoiceBox("what is coloured")
        self.name_box = ChoiceBox("class or head")
        self.name_box.setToolTip("Alt+N: next class")
        self.scale_box = ChoiceBox("scale of the colours")
        self.opacity_slider = QSlider(Qt.Orientation.Horizontal)
        self.opacity_slider.setRange(0, OPACITY_STEPS)
        self.opacity_slider.setAccessibleName("opacity")
        self.opacity_number = QLabel()
        self.cluster_box = QSpinBox()
        self.cluster_box.setRange(2, MOST_CLUSTERS)
        self.cluster_box.setKeyboardTracking(False)
        self.cluster_box.setAccessibleName("number of clusters")
        self.linkage_box = ChoiceBox("tree that is cut")
        self.strategy_box = ChoiceBox("mining strategy")
        self.histogram = HistogramView()
        self.papers_box = QCheckBox("As in the papers")
        self.papers_box.setToolTip(
            "Attention: pixels times (a − min) / (max − min); scores: mean of overlapping tiles"
        )
        self.legend = GroupLegend(switches=True)
        self.shares = ShareSliders()
        self.working = secondary()
        self.cancel_button = QPushButton("Cancel")
        self._lay_out_map()
        self.instance = InstanceCard()
        self.evidence = EvidenceCard()
        self.export_line = ExportLine()
        self.panel_buttons = {panel: QPushButton(TITLES[panel]) for panel in PANELS}
        self._panel_row = self._make_panel_row()
        content = QWidget()
        content.setLayout(
            column(
                self.subject,
                self.facts,
                self._map,
                self._panel_row,
                self.export_line,
                self.instance,
                self.evidence,
            )
        )
        self.setLayout(column(scrolling(content), stretch=False, margin=0))
        self._connect()

    def _lay_out_map(self) -> None:
        """Lay out what chooses and explains what is coloured."""
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow(self.visible_box, self.kind_box)
        self._form.addRow("Class or head", self.name_box)
        self._form.addRow("Scale", self.scale_box)
        self._form.addRow("Clusters", self.cluster_box)
        self._form.addRow("Tree", self.linkage_box)
        self._form.addRow("Strategy", self.strategy_box)
        self._form.addRow("Shares", self.shares)
        self._opacity_row = QWidget()
        opacity_layout = row(self.opacity_slider, self.opacity_number, stretched=0)
        opacity_layout.setContentsMargins(0, 0, 0, 0)
        self._opacity_row.setLayout(opacity_layout)
        self._form.addRow(self.histogram)
        self._form.addRow("", self.papers_box)
        self._form.addRow("Opacity", self._opacity_row)
        self._working_line = QWidget()
        self._working_line.setLayout(row(self.working, self.cancel_button, stretched=0))
        self._map = Card()
        self._map.setLayout(column(self._form, self._working_line, self.legend, stretch=False))

    def _make_panel_row(self) -> QWidget:
        """Lay out the buttons that open panels; the narrowest dock has room for their names."""
        buttons = row()
        for button in self.panel_buttons.values():
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            buttons.addWidget(button, len(button.text()) + PADDING_LETTERS)
        buttons.setContentsMargins(0, 0, 0, 0)
        panel_row = QWidget()
        panel_row.setLayout(buttons)
        return panel_row

    def _connect(self) -> None:
        self.kind_box.chosen.connect(self.kind_chosen.emit)
        self.name_box.chosen.connect(self.name_chosen.emit)
        self.scale_box.chosen.connect(self.scale_chosen.emit)
        self.linkage_box.chosen.connect(self.linkage_chosen.emit)
        self.strategy_box.chosen.connect(self.strategy_chosen.emit)
        self.opacity_slider.valueChanged.connect(
            lambda value: self.opacity_chosen.emit(value / OPACITY_STEPS)
        )
        self.visible_box.toggled.connect(self.visibility_chosen.emit)
        self.histogram.window_chosen.connect(self.window_chosen.emit)
        self.histogram.reset_requested.connect(self.window_reset.emit)
        self.papers_box.clicked.connect(self.papers_chosen.emit)
        self.legend.switched.connect(self.group_switched.emit)
        self.cluster_box.valueChanged.connect(self.clusters_chosen.emit)
        self.cancel_button.clicked.connect(lambda: self.cancel_requested.emit())
        for panel, button in self.panel_buttons.items():
            button.setToolTip(TOOLTIPS[panel])
            button.clicked.connect(lambda _=False, panel=panel: self.panel_requested.emit(panel))
        self.instance.step_requested.connect(self.step_requested.emit)
        self.instance.clear_requested.connect(self.clear_requested.emit)

    def render(self, snapshot: InspectSnapshot) -> None:
        """Show a snapshot."""
        set_words(self.subject, snapshot.subject)
        self.subject.setToolTip(snapshot.subject)
        set_words(self.facts, snapshot.facts)
        self._map.setVisible(not snapshot.reason)
        self._panel_row.setVisible(not snapshot.reason)
        self.export_line.setVisible(not snapshot.reason)
        self.kind_box.render(snapshot.kinds)
        self.name_box.render(snapshot.names)
        self.scale_box.render(snapshot.scales)
        self.linkage_box.render(snapshot.linkages)
        self.strategy_box.render(snapshot.strategies)
        for widget, shown in (
            (self.name_box, bool(snapshot.names.entries)),
            (self.scale_box, bool(snapshot.scales.entries)),
            (self.cluster_box, snapshot.shows_clusters),
            (self.linkage_box, snapshot.shows_clusters),
            (self.strategy_box, snapshot.shows_masks),
            (self.shares, bool(snapshot.shares)),
        ):
            self._show_row(widget, shown)
        self.shares.render(snapshot.shares, published=snapshot.are_published)
        self._render_numbers(snapshot)
        self.histogram.render(snapshot.histogram)
        self.papers_box.setVisible(snapshot.as_in_papers is not None)
        self.papers_box.setChecked(bool(snapshot.as_in_papers))
        self.legend.render(snapshot.groups, snapshot.hidden_groups)
        set_words(self.working, snapshot.working)
        self._working_line.setVisible(bool(snapshot.working))
        self.instance.render(snapshot.instance)
        self.evidence.render(snapshot.evidence)

    def _show_row(self, widget: QWidget, shown: bool) -> None:
        widget.setVisible(shown)
        label = self._form.labelForField(widget)
        if label is not None:
            label.setVisible(shown)

    def _render_numbers(self, snapshot: InspectSnapshot) -> None:
        for widget in (self.opacity_slider, self.visible_box, self.cluster_box):
            widget.blockSignals(True)
        self.opacity_slider.setValue(round(snapshot.opacity * OPACITY_STEPS))
        self.opacity_number.setText(f"{snapshot.opacity:.2f}")
        self.visible_box.setChecked(snapshot.visible)
        self.cluster_box.setMaximum(snapshot.most_clusters)
        self.cluster_box.setValue(snapshot.n_clusters)
        for widget in (self.opacity_slider, self.visible_box, self.cluster_box):
            widget.blockSignals(False)


class InstanceCard(Card):
    """The selected instance: picture, what lies around it, values with ranks, what is alike."""

    step_requested = Signal(int)
    clear_requested = Signal()
    instance_chosen = Signal(int)
    """An instance that is alike was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.title = bold()
        self.picture = _Picture()
        self.surroundings = SurroundingsRow()
        self.rows = secondary()
        self.nearest = QLabel()
        self.nearest.setWordWrap(True)
        self.nearest.setAccessibleName("instances most alike")
        self.nearest.setToolTip("Cosine of the features, less the mean of the bag")
        self.nearest.linkActivated.connect(lambda link: self.instance_chosen.emit(int(link)))
        previous_button = QPushButton("◂ Higher")
        next_button = QPushButton("Lower ▸")
        clear_button = QPushButton("Clear")
        previous_button.setToolTip("Left arrow: the instance of the next higher rank")
        next_button.setToolTip("Right arrow: the instance of the next lower rank")
        clear_button.setToolTip("Esc")
        previous_button.clicked.connect(lambda: self.step_requested.emit(-1))
        next_button.clicked.connect(lambda: self.step_requested.emit(1))
        clear_button.clicked.connect(lambda: self.clear_requested.emit())
        self.setLayout(
            column(
                self.title,
                self.picture,
                self.surroundings,
                self.rows,
                self.nearest,
                row(previous_button, next_button, clear_button),
                stretch=False,
            )
        )
        self._shown: InstanceSnapshot | None = None
        self.hide()

    def render(self, snapshot: InstanceSnapshot | None) -> None:
        """Show an instance; None hides the card."""
        self.setVisible(snapshot is not None)
        if snapshot is None or snapshot == self._shown:
            return
        self._shown = snapshot
        self.title.setText(snapshot.title)
        self.rows.setText("\n".join(f"{name}: {value}" for name, value in snapshot.rows))
        self.picture.setVisible(snapshot.has_pixels)
        self.picture.show_pixels(snapshot.pixels)
        self.surroundings.render(snapshot.surroundings)
        colour = self.palette().color(QPalette.ColorRole.Text).name()
        links = [
            f'<a href="{instance}" style="color: {colour}">{instance}</a> ({likeness:.2f})'
            for instance, likeness in snapshot.nearest
        ]
        self.nearest.setText("Most alike: " + ", ".join(links))
        self.nearest.setVisible(bool(links))


class _Picture(QLabel):
    """Pixels, scaled to a square of fixed side."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(PICTURE_PX)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("picture of the instance")

    def show_pixels(self, pixels: np.ndarray | None) -> None:
        """Show uint8 (H, W, 3), or that it is being read."""
        if pixels is None:
            self.setText("…")
            return
        self.setPixmap(pixmap_of(pixels, PICTURE_PX))


class SurroundingsRow(QWidget):
    """What lies around an instance, with its outline in the middle, from near to far."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = tuple(QLabel() for _ in range(2))
        layout = row(*self.pictures)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setLayout(layout)
        for picture in self.pictures:
            picture.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def render(self, surroundings: tuple[Surroundings, ...]) -> None:
        """Show what there is; nothing hides the row."""
        self.setVisible(bool(surroundings))
        for k, picture in enumerate(self.pictures):
            picture.setVisible(k < len(surroundings))
            if k >= len(surroundings):
                continue
            around = surroundings[k]
            pixmap = pixmap_of(around.pixels, SURROUNDINGS_PX)
            _outline_middle(pixmap, around.factor)
            picture.setPixmap(pixmap)
            words = f"{around.factor:g} × {around.factor:g} instances around it"
            picture.setToolTip(words)
            picture.setAccessibleName(words)


def _outline_middle(pixmap: QPixmap, factor: float) -> None:
    """Outline the middle of a picture, a part of its sides."""
    painter = QPainter(pixmap)
    width, height = pixmap.width() / factor, pixmap.height() / factor
    left, top = (pixmap.width() - width) / 2, (pixmap.height() - height) / 2
    for colour, line in (("white", 3), ("black", 1)):
        painter.setPen(QPen(QColor(colour), line))
        painter.drawRect(QRectF(left, top, width, height))
    painter.end()
