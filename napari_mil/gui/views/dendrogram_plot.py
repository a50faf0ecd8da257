"""The drawing of a tree: its branches, the cut, what is selected, pictures at its leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QRectF, Qt, Signal
from qtpy.QtGui import (
    QBrush,
    QColor,
    QPainter,
    QPainterPath,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
)
from qtpy.QtWidgets import QGraphicsItem, QGraphicsPathItem, QGraphicsPixmapItem

from napari_mil.exports.glyphs import Glyph, cluster_glyph
from napari_mil.gui.model.dendrogram import (
    Axis,
    Lines,
    View,
    clusters_at,
    height_of_cut,
    marked_places,
    path_lines,
    visible_lines,
)
from napari_mil.gui.model.display import MOST_CLUSTERS
from napari_mil.gui.model.snapshots.tree import ABOVE_CUT, NOT_YET, Cluster, TreeDrawing
from napari_mil.gui.views.colours import colours_of
from napari_mil.gui.views.pixmaps import pixmap_of
from napari_mil.gui.views.widgets import THEME_EVENTS

LEAST_HEIGHT = 60
MOST_PICTURES = 40
"""Leaves in view up to which they have pictures."""
PICTURE_PX = 56
LEAST_PICTURE_PX = 18
PICTURE_SHARE = 0.6
"""Share of the height that names and pictures take at most."""
BAND_PX = 8
"""Height of the band of clusters below the leaves."""
BAND_GAP_PX = 2
LABEL_PX = 20
"""Height of the names of clusters."""
MARK_PX = 9
TEXT_MARGIN_PX = 4
"""Margin that Qt leaves above a text."""
LEAST_LABEL_PX = 16
"""Width of a cluster that has room for its number."""
ROOM_PX = BAND_PX + MARK_PX + LABEL_PX
"""Room below the leaves without pictures."""
WIDE_LABEL_PX = 70
"""Width of a cluster that has room for its size too."""
LEAST_CONTRAST = 0.1
"""Least difference in lightness of a line and its ground."""
PATTERN_ALPHA = {"solid": 255, "frame": 40, "stripes": 170, "dots": 105}
"""How the patterns of glyphs are filled here, beside the names of the clusters."""


class HeightAxis(pg.AxisItem):
    """Axis of heights, without numbers in the room below the leaves."""

    def tickValues(self, low: float, high: float, size: float) -> list[Any]:
        """Return pyqtgraph's ticks that are heights."""
        levels = super().tickValues(low, high, size)
        return [(spacing, [tick for tick in ticks if tick >= 0]) for spacing, ticks in levels]


class BranchesItem(pg.GraphicsObject):
    """Lines in view and band of clusters: one item, since each costs time with every move."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[int, Lines] = {}
        self._pens: dict[int, QPen] = {}
        self._band: tuple[tuple[QRectF, QBrush], ...] = ()
        self._area = QRectF()

    def set_lines(self, lines: dict[int, Lines], pens: dict[int, QPen], view: View) -> None:
        """Draw lines, which lie within a view."""
        self._lines = lines
        self._pens = pens
        columns, rows = view.columns, view.rows
        area = QRectF(columns.low, rows.low, columns.high - columns.low, rows.high - rows.low)
        if area != self._area:
            self.prepareGeometryChange()
            self._area = area
        self.update()

    def set_band(self, band: tuple[tuple[QRectF, QBrush], ...]) -> None:
        """Draw rectangles below the leaves."""
        self._band = band

    def boundingRect(self) -> QRectF:
        """Return the part of the tree that is in view."""
        return self._area

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Draw the lines."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for rectangle, brush in self._band:
            painter.fillRect(rectangle, brush)
        for colour, lines in self._lines.items():
            painter.setPen(self._pens[colour])
            painter.drawPath(pg.arrayToQPath(lines.x, lines.y, "pairs", finiteCheck=False))


class DendrogramPlot(pg.PlotWidget):
    """Draws a tree at the level of detail of the screen, and tells what is pointed at."""

    branch_selected = Signal(object, int)
    """Branch that was clicked: its node, and the leaf under the pointer."""
    branch_opened = Signal(object, int)
    """The same, double-clicked."""
    clusters_chosen = Signal(int)
    """The line of the cut was dragged to a height that leaves so many clusters."""
    pictures_wanted = Signal(object)
    """Instances whose pictures have room: tuple[int, ...], empty where there is none."""

    def __init__(self) -> None:
        super().__init__(axisItems={"left": HeightAxis("left")})
        self.setAccessibleName("tree")
        self.setMinimumHeight(LEAST_HEIGHT)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.hideAxis("bottom")
        item.getAxis("left").enableAutoSIPrefix(False)
        item.setMouseEnabled(x=True, y=False)
        self._drawing: TreeDrawing | None = None
        self._merged: int | None = None
        self._selected: tuple[int, ...] = ()
        self._colours = np.empty(0, np.int64)
        self._marked = np.empty(0, np.int64)
        self._path_nodes = np.empty(0, np.int64)
        self._has_pictures = False
        self._told: tuple[int, ...] = ()
        self._width = 0.0
        self._settling = False
        self._labels: list[Any] = []
        self._wedges: list[QGraphicsPathItem] = []
        self._pictures: dict[int, QGraphicsPixmapItem] = {}
        self._pixels: dict[int, np.ndarray] = {}
        self._make_items()
        self._follow_theme()
        item.vb.sigRangeChanged.connect(lambda *_: self._on_range())
        item.vb.sigResized.connect(lambda *_: self._on_resized())
        self.scene().sigMouseClicked.connect(self._on_click)

    def _make_items(self) -> None:
        self.branches = BranchesItem()
        self._path = pg.PlotCurveItem(connect="pairs")
        self._marks = pg.ScatterPlotItem(symbol="t1", size=MARK_PX, pen=None)
        self.cut_line = pg.InfiniteLine(
            angle=0, movable=True, label="", labelOpts={"position": 0.97, "anchors": [(1, 1)] * 2}
        )
        self.cut_line.setCursor(Qt.CursorShape.SizeVerCursor)
        self.cut_line.sigDragged.connect(self._on_dragged)
        self.cut_line.sigPositionChangeFinished.connect(self._on_dropped)
        self.cursor_line = pg.InfiniteLine(angle=0, movable=False)
        self.cursor_line.hide()
        for order, item in enumerate(
            (
                self.branches,
                self._path,
                self._marks,
                self.cut_line,
                self.cursor_line,
            ),
            10,
        ):
            item.setZValue(order)
            self.addItem(item, ignoreBounds=True)

    # What is shown

    def show_tree(
        self, drawing: TreeDrawing | None, cut_height: float, *, has_pictures: bool
    ) -> None:
        """Draw a tree; another one of as many leaves keeps what is in view."""
        before = self._drawing
        self.cut_line.setVisible(drawing is not None)
        if drawing is not None:
            self.cut_line.setValue(cut_height)
            self.cut_line.label.setFormat("")
        if drawing is before and has_pictures == self._has_pictures:
            return
        self._drawing = drawing
        self._has_pictures = has_pictures
        self._forget_pictures()
        self._clear_clusters()
        if drawing is None:
            self._clear_lines()
            return
        self._colours = drawing.colours_after(self._merged)
        self._find_selected()
        self._add_clusters(drawing)
        n = drawing.dendrogram.n_leaves
        # Parts that are in view on the way are not looked at.
        self._settling = True
        self.getPlotItem().vb.setLimits(xMin=-1, xMax=n, minXRange=min(n + 1, 3))
        if before is None or before.dendrogram.n_leaves != n:
            self.fit()
        self._settling = False
        self._fit_height()
        self._redraw()

    def show_selected(self, instances: tuple[int, ...]) -> None:
        """Mark instances below the leaves, and the path of the last one."""
        if instances != self._selected:
            self._selected = instances
            self._find_selected()
            self._redraw_marks()

    def show_merged(self, merged: int | None) -> None:
        """Show the merges of a replay so far; None shows the cut."""
        drawing = self._drawing
        self.cursor_line.setVisible(merged is not None and drawing is not None)
        if drawing is None or merged == self._merged:
            self._merged = merged
            return
        self._merged = merged
        if merged is not None:
            height = drawing.merge_heights[merged - 1] if merged else 0.0
            self.cursor_line.setValue(float(height))
        self._colours = drawing.colours_after(merged)
        self._redraw()

    def show_pixels(self, instance: int, pixels: np.ndarray) -> None:
        """Put the picture of an instance, uint8 (H, W, 3), below its leaf."""
        self._pixels[instance] = pixels
        self._place_pictures()

    def fit(self) -> None:
        """Bring the whole tree into view."""
        if self._drawing is not None:
            n = self._drawing.dendrogram.n_leaves
            self.getPlotItem().vb.setXRange(-0.7, n - 0.3, padding=0)

    @property
    def view(self) -> View:
        """Part of the tree that is seen, and its pixels."""
        vb = self.getPlotItem().vb
        (left, right), (bottom, top) = vb.viewRange()
        ratio = self.devicePixelRatioF()
        return View(
            # Qt takes no numbers of numpy.
            Axis(float(left), float(right), round(vb.width() * ratio)),
            Axis(float(bottom), float(top), round(vb.height() * ratio)),
        )

    def _on_resized(self) -> None:
        self._fit_height()
        self._redraw()

    def _on_range(self) -> None:
        """Follow the mouse: zooming fits the height to what is seen, moving leaves it."""
        if self._settling:
            return
        left, right = self.getPlotItem().vb.viewRange()[0]
        if abs(right - left - self._width) > 1e-3 * self._width:
            self._fit_height()
        self._redraw()

    def _fit_height(self) -> None:
        """Fit the height to the branches in view, with room below for names and pictures."""
        if self._drawing is None:
            return
        vb = self.getPlotItem().vb
        left, right = vb.viewRange()[0]
        self._width = right - left
        room = ROOM_PX
        if self._has_pictures and self._told:
            room += self._picture_px()
        highest = max(
            self._drawing.dendrogram.highest_between(left, right),
            max((cluster.height for cluster in self._drawing.clusters), default=0.0) / 4,
        )
        top = 1.1 * highest
        vb.setYRange(-top * room / max(1.0, vb.height() - room), top, padding=0)

    # Branches

    def _redraw(self) -> None:
        drawing = self._drawing
        if drawing is None:
            return
        view = self.view
        found = visible_lines(drawing.dendrogram, view, self._colours)
        self.branches.set_lines(found, {colour: self._pen(colour) for colour in found}, view)
        self._redraw_marks()
        self._place_clusters(view)
        self._tell_leaves(view)
        self._place_pictures()

    def _pen(self, colour: int) -> QPen:
        if colour == ABOVE_CUT:
            return pg.mkPen(self._ink)
        if colour == NOT_YET:
            return pg.mkPen(self._faint)
        return self._outline(cluster_glyph(colour))

    def _outline(self, glyph: Glyph) -> QPen:
        """Return the pen of a glyph; a colour that the theme would hide is darkened or lit."""
        colour = QColor(glyph.colour)
        ground = self.palette().color(QPalette.ColorRole.Window)
        if abs(colour.lightnessF() - ground.lightnessF()) < LEAST_CONTRAST:
            colour = _between(colour, self._ink, 0.4)
        return pg.mkPen(colour)

    def _find_selected(self) -> None:
        """Find the leaves that are marked, and the path of the last one."""
        drawing = self._drawing
        if drawing is None or not self._selected:
            self._marked = self._path_nodes = np.empty(0, np.int64)
            return
        self._marked = drawing.leaves_of(np.array(self._selected))
        self._path_nodes = drawing.dendrogram.path(int(self._marked[-1]))

    def _redraw_marks(self) -> None:
        drawing = self._drawing
        marks = drawing is not None and bool(self._selected)
        self._marks.setVisible(marks)
        self._path.setVisible(marks)
        if drawing is None or not marks:
            return
        view = self.view
        places = marked_places(drawing.dendrogram, self._marked, view)
        y = -(BAND_PX + MARK_PX / 2) * view.rows.px * self.devicePixelRatioF()
        self._marks.setData(places, np.full(len(places), y))
        lines = path_lines(drawing.dendrogram, self._path_nodes, view)
        self._path.setData(lines.x, lines.y, connect="pairs", skipFiniteCheck=True)

    def _clear_lines(self) -> None:
        self.branches.set_lines({}, {}, self.view)
        self._redraw_marks()

    # Clusters

    def _add_clusters(self, drawing: TreeDrawing) -> None:
        for _ in drawing.clusters:
            label = pg.TextItem("", color=self._ink, anchor=(0.5, 0))
            self.addItem(label, ignoreBounds=True)
            self._labels.append(label)
        if not drawing.is_collapsed:
            return
        largest = max(cluster.size for cluster in drawing.clusters)
        for cluster in drawing.clusters:
            wedge = QGraphicsPathItem(_wedge(cluster, largest))
            wedge.setPen(self._outline(cluster.glyph))
            wedge.setBrush(brush_of(cluster.glyph))
            wedge.setToolTip(f"cluster {cluster.name}: {cluster.size}")
            self.addItem(wedge, ignoreBounds=True)
            self._wedges.append(wedge)

    def _clear_clusters(self) -> None:
        for item in (*self._labels, *self._wedges):
            self.removeItem(item)
        self._labels = []
        self._wedges = []
        self.branches.set_band(())

    def _place_clusters(self, view: View) -> None:
        drawing = self._drawing
        assert drawing is not None
        px = view.rows.px * self.devicePixelRatioF()
        clusters = drawing.clusters
        self.branches.set_band(
            tuple(
                (
                    QRectF(
                        cluster.first - 0.5,
                        -BAND_PX * px,
                        cluster.last - cluster.first + 1,
                        (BAND_PX - BAND_GAP_PX) * px,
                    ),
                    brush_of(cluster.glyph),
                )
                for cluster in clusters
            )
        )
        for label, cluster in zip(self._labels, clusters, strict=True):
            low = max(cluster.first - 0.5, view.columns.low)
            high = min(cluster.last + 0.5, view.columns.high)
            width = (high - low) / view.columns.px / self.devicePixelRatioF()
            label.setVisible(width >= LEAST_LABEL_PX)
            if width >= LEAST_LABEL_PX:
                wide = width >= WIDE_LABEL_PX
                words = f"{cluster.name} · {cluster.size}" if wide else cluster.name
                if label.toPlainText() != words:
                    label.setText(words)
                label.setPos((low + high) / 2, -(BAND_PX + MARK_PX - TEXT_MARGIN_PX) * px)

    # Pictures

    def _tell_leaves(self, view: View) -> None:
        """Tell which leaves have room for pictures, if they are others than before."""
        drawing = self._drawing
        assert drawing is not None
        low = max(0, int(np.ceil(view.columns.low)))
        high = min(drawing.dendrogram.n_leaves - 1, int(np.floor(view.columns.high)))
        leaves: tuple[int, ...] = ()
        if self._has_pictures and 0 <= high - low < MOST_PICTURES and self._picture_px() > 0:
            leaves = tuple(drawing.dendrogram.order[low : high + 1].tolist())
        if leaves != self._told:
            changed_room = bool(leaves) != bool(self._told)
            self._told = leaves
            if changed_room:
                self._fit_height()
            self.pictures_wanted.emit(tuple(drawing.pictured[list(leaves)].tolist()))

    def _picture_px(self) -> int:
        """Return the side of pictures, or 0 where there is no room for them."""
        spacing = int(1 / self.view.columns.px / self.devicePixelRatioF()) - 2
        room = int(PICTURE_SHARE * self.getPlotItem().vb.height()) - ROOM_PX
        side = min(spacing, room, PICTURE_PX)
        return side if side >= LEAST_PICTURE_PX else 0

    def _place_pictures(self) -> None:
        drawing = self._drawing
        side = self._picture_px()
        if drawing is None or not side:
            self._forget_pictures(keep_pixels=True)
            return
        for leaf in list(self._pictures):
            if leaf not in self._told:
                self.removeItem(self._pictures.pop(leaf))
        y = -(BAND_PX + MARK_PX + LABEL_PX) * self.view.rows.px * self.devicePixelRatioF()
        for leaf in self._told:
            pixels = self._pixels.get(int(drawing.pictured[leaf]))
            if pixels is None:
                continue
            item = self._pictures.get(leaf)
            if item is None:
                item = QGraphicsPixmapItem()
                item.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)
                self.addItem(item, ignoreBounds=True)
                self._pictures[leaf] = item
            pixmap: QPixmap = pixmap_of(pixels, side)
            item.setPixmap(pixmap)
            item.setOffset(-pixmap.width() / 2, 0)
            item.setPos(float(drawing.dendrogram.first[leaf]), y)

    def _forget_pictures(self, *, keep_pixels: bool = False) -> None:
        for item in self._pictures.values():
            self.removeItem(item)
        self._pictures = {}
        if not keep_pixels:
            self._pixels = {}
            self._told = ()

    # What a person does

    def _on_click(self, event: Any) -> None:
        vb = self.getPlotItem().vb
        drawing = self._drawing
        if drawing is None or event.button() != Qt.MouseButton.LeftButton:
            return
        if not vb.sceneBoundingRect().contains(event.scenePos()):
            return
        event.accept()
        point = vb.mapSceneToView(event.scenePos())
        dendrogram = drawing.dendrogram
        node = dendrogram.branch_at(point.x(), point.y())
        place = min(max(round(point.x()), dendrogram.first[node]), dendrogram.last[node])
        leaf = int(dendrogram.order[place])
        told = self.branch_opened if event.double() else self.branch_selected
        told.emit(drawing.instances(node), int(drawing.pictured[leaf]))

    def _clusters_at_line(self) -> int:
        assert self._drawing is not None
        heights = self._drawing.merge_heights
        return max(2, clusters_at(heights, self.cut_line.value(), MOST_CLUSTERS))

    def _on_dragged(self) -> None:
        self.cut_line.label.setFormat(f"{self._clusters_at_line()} clusters")

    def _on_dropped(self) -> None:
        if self._drawing is None:
            return
        n = self._clusters_at_line()
        # It comes to rest in the middle between two merges.
        self.cut_line.setValue(height_of_cut(self._drawing.merge_heights, n))
        self.cut_line.label.setFormat("")
        self.clusters_chosen.emit(n)

    # Theme

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in THEME_EVENTS and hasattr(self, "cursor_line"):
            self._follow_theme()

    def _follow_theme(self) -> None:
        """Take the colours of the theme, which pyqtgraph does not."""
        palette = self.palette()
        self._ink = palette.color(QPalette.ColorRole.WindowText)
        ground = palette.color(QPalette.ColorRole.Window)
        self._faint = _between(ground, self._ink, 0.3)
        accent = colours_of(self).accent
        self.setBackground(ground)
        axis = self.getPlotItem().getAxis("left")
        axis.setPen(self._ink)
        axis.setTextPen(self._ink)
        self.getPlotItem().setLabel("left", "height", color=self._ink.name())
        self._path.setPen(pg.mkPen(self._ink, width=2))
        self._marks.setBrush(self._ink)
        self.cut_line.setPen(pg.mkPen(accent, style=Qt.PenStyle.DashLine))
        self.cut_line.setHoverPen(pg.mkPen(accent, width=2))
        self.cut_line.label.setColor(accent)
        self.cursor_line.setPen(pg.mkPen(accent))
        for label in self._labels:
            label.setColor(self._ink)
        self._redraw()


def brush_of(glyph: Glyph) -> QBrush:
    """Return the brush of a glyph; brushes with patterns would be stretched with the tree."""
    colour = QColor(glyph.colour)
    colour.setAlpha(PATTERN_ALPHA[glyph.pattern])
    return QBrush(colour)


def _wedge(cluster: Cluster, largest: int) -> QPainterPath:
    """Return the triangle of a cluster, the broader the more instances it has."""
    half = 0.06 + 0.36 * cluster.size / largest
    path = QPainterPath()
    x = cluster.middle
    corners = [QPointF(x - half, 0), QPointF(x, cluster.height), QPointF(x + half, 0)]
    path.addPolygon(QPolygonF(corners))
    path.closeSubpath()
    return path


def _between(one: QColor, other: QColor, share: float) -> QColor:
    """Mix two colours."""
    return QColor(
        *(
            round((1 - share) * a + share * b)
            for a, b in zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
        )
    )
