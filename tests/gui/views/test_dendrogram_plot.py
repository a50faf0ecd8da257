"""The drawing of a tree: what a click, a drag and a look at a part of it do."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt

from napari_mil.aggregators.agglomeration import ward_tree
from napari_mil.gui.model.dendrogram import height_of_cut
from napari_mil.gui.model.snapshots.tree import drawing_of
from napari_mil.gui.views.dendrogram_plot import MOST_PICTURES, DendrogramPlot

N = 60
POINTS = np.random.default_rng(0).normal(size=(N, 4)) + 6 * np.eye(4)[np.arange(N) % 4]
TREE = ward_tree(POINTS)


@pytest.fixture
def plot(qtbot):
    made = DendrogramPlot()
    qtbot.addWidget(made)
    made.resize(900, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(plot, n_clusters=4, *, collapsed=False, has_pictures=False):
    drawing = drawing_of(TREE, n_clusters, collapsed)
    plot.show_tree(drawing, height_of_cut(TREE.heights, n_clusters), has_pictures=has_pictures)
    return drawing


def at(plot, x, y):
    """Return the pixel of a place in the tree."""
    scene = plot.getPlotItem().vb.mapViewToScene(QPointF(x, y))
    return QPoint(*(round(value) for value in (scene.x(), scene.y())))


def click(qtbot, plot, x, y, *, double=False):
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=at(plot, x, y))
    if double:
        qtbot.mouseDClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=at(plot, x, y))
        qtbot.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=at(plot, x, y))


@pytest.mark.parametrize("collapsed", [False, True])
def test_a_click_on_a_branch_tells_its_instances_and_the_leaf_below(plot, qtbot, collapsed):
    drawing = show(plot, collapsed=collapsed)
    told = []
    plot.branch_selected.connect(lambda instances, leaf: told.append((set(instances), leaf)))
    cluster = drawing.clusters[1]
    just_below_the_cut = height_of_cut(TREE.heights, 4)
    click(qtbot, plot, cluster.middle, just_below_the_cut)
    ((instances, leaf),) = told
    labels = TREE.cut(4)
    assert instances == set(np.flatnonzero(labels == labels[leaf]))
    assert len(instances) == cluster.size


def test_a_double_click_opens_the_branch(plot, qtbot):
    show(plot)
    opened = []
    plot.branch_opened.connect(lambda instances, leaf: opened.append(len(instances)))
    click(qtbot, plot, 10, 1.04 * TREE.heights[-1], double=True)
    assert opened == [N]


def test_dragging_the_line_chooses_as_many_clusters_as_its_height_leaves(plot, qtbot):
    show(plot)
    chosen = []
    plot.clusters_chosen.connect(chosen.append)
    plot.cut_line.setValue((TREE.heights[-7] + TREE.heights[-6]) / 2)
    plot.cut_line.sigDragged.emit(plot.cut_line)
    assert plot.cut_line.label.format == "7 clusters"
    plot.cut_line.sigPositionChangeFinished.emit(plot.cut_line)
    assert chosen == [7]
    assert plot.cut_line.value() == height_of_cut(TREE.heights, 7)


def test_a_line_dragged_above_the_tree_leaves_two_clusters(plot):
    show(plot)
    chosen = []
    plot.clusters_chosen.connect(chosen.append)
    plot.cut_line.setValue(2 * TREE.heights[-1])
    plot.cut_line.sigPositionChangeFinished.emit(plot.cut_line)
    assert chosen == [2]


def test_another_cut_keeps_what_is_in_view(plot):
    show(plot, 4)
    plot.getPlotItem().vb.setXRange(10, 20, padding=0)
    show(plot, 7)
    assert plot.getPlotItem().vb.viewRange()[0] == pytest.approx([10, 20])
    plot.fit()
    low, high = plot.getPlotItem().vb.viewRange()[0]
    assert low < 0
    assert high > N - 1


def test_zooming_fits_the_height_to_the_branches_in_view(plot):
    drawing = show(plot)
    before = plot.getPlotItem().vb.viewRange()[1][1]
    plot.getPlotItem().vb.setXRange(0, 3.2, padding=0)
    after = plot.getPlotItem().vb.viewRange()[1][1]
    assert after < before
    assert after > drawing.dendrogram.highest_between(0, 3)


def test_pictures_are_asked_for_once_few_leaves_are_in_view_and_lie_below_them(plot):
    asked = []
    plot.pictures_wanted.connect(asked.append)
    drawing = show(plot, has_pictures=True)
    assert asked in ([], [()]), "sixty leaves are too many"
    plot.getPlotItem().vb.setXRange(9.6, 19.4, padding=0)
    wanted = asked[-1]
    assert wanted == tuple(drawing.dendrogram.order[10:20].tolist())
    assert len(wanted) <= MOST_PICTURES
    plot.show_pixels(wanted[2], np.zeros((8, 8, 3), np.uint8))
    (picture,) = plot._pictures.values()
    assert picture.pos().x() == 12
    plot.fit()
    assert asked[-1] == ()
    assert plot._pictures == {}


def test_features_without_pixels_get_no_pictures(plot):
    asked = []
    plot.pictures_wanted.connect(asked.append)
    show(plot, collapsed=True, has_pictures=False)
    assert not any(asked)


def test_selected_instances_are_marked_below_their_leaves(plot):
    drawing = show(plot)
    plot.show_selected((5, 9))
    places, _ = plot._marks.getData()
    assert sorted(places) == sorted(drawing.dendrogram.first[[5, 9]])
    assert drawing.dendrogram.first[9] in plot._path.getData()[0]
    plot.show_selected(())
    assert not plot._marks.isVisible()


def test_the_replay_moves_a_line_to_the_height_of_the_merge(plot):
    show(plot)
    assert not plot.cursor_line.isVisible()
    plot.show_merged(12)
    assert plot.cursor_line.value() == TREE.heights[11]
    plot.show_merged(None)
    assert not plot.cursor_line.isVisible()


def test_nothing_is_left_of_a_tree_that_is_gone(plot):
    show(plot, collapsed=True)
    plot.show_selected((1,))
    plot.show_tree(None, 0.0, has_pictures=False)
    assert plot._labels == plot._wedges == []
    assert not plot.cut_line.isVisible()
    assert not plot._marks.isVisible()
    assert plot.branches._lines == {}


@pytest.mark.parametrize("collapsed", [True, False])
@pytest.mark.parametrize(
    "points", [np.zeros((2, 3)), np.zeros((9, 3)), np.eye(3)], ids=["two", "copies", "three"]
)
def test_the_smallest_trees_and_trees_of_copies_can_be_drawn_and_cut(plot, points, collapsed):
    tree = ward_tree(points)
    chosen = []
    plot.clusters_chosen.connect(chosen.append)
    drawing = drawing_of(tree, 2, collapsed)
    plot.show_tree(drawing, height_of_cut(tree.heights, 2), has_pictures=True)
    plot.show_merged(1)
    plot.show_selected((0, 1))
    assert plot.branches._lines
    assert sum(cluster.size for cluster in drawing.clusters) == len(points)
    plot.cut_line.sigPositionChangeFinished.emit(plot.cut_line)
    assert chosen == [2]
