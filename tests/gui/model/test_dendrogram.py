"""Places of a tree's nodes, lines of a view, cuts by height."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage

from napari_mil.aggregators.agglomeration import average_tree, ward_tree
from napari_mil.aggregators.merge_tree import MergeTree, single_linkage
from napari_mil.gui.model.answers import cluster_ranks
from napari_mil.gui.model.dendrogram import (
    Axis,
    View,
    clusters_at,
    dendrogram_of,
    dendrogram_of_clusters,
    first_merged_leaves,
    height_of_cut,
    marked_places,
    nodes_of_clusters,
    path_lines,
    visible_lines,
)
from tests.gui.model import builders as build


@st.composite
def trees(draw, most=60):
    """Draw any tree: two clusters that are still there merge, at a height not lower."""
    n = draw(st.integers(2, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chains = draw(st.booleans())
    left_over = list(range(n))
    triplets = []
    for new in range(n, 2 * n - 1):
        first = left_over.pop(-1 if chains else int(random.integers(len(left_over))))
        second = left_over.pop(int(random.integers(len(left_over))))
        triplets.append((first, second, new))
        left_over.append(new)
    steps = random.integers(0, 3, n - 1)
    return MergeTree(np.array(triplets, np.int64), np.cumsum(steps).astype(float))


def whole_view(dendrogram, width=200, height=100):
    n = dendrogram.n_leaves
    return View(Axis(-0.7, n - 0.3, width), Axis(-0.1 * dendrogram.top, dendrogram.top, height))


def painted(lines, view):
    """Return the pixels that lines cover, as a set of (column, row)."""
    pixels = set()
    for colour, each in lines.items():
        ends = np.stack([each.x, each.y], 1).reshape(-1, 2, 2)
        for (x0, y0), (x1, y1) in ends:
            columns = np.floor((np.array([x0, x1]) - view.columns.low) / view.columns.px)
            rows = np.floor((np.array([y0, y1]) - view.rows.low) / view.rows.px)
            for column in np.arange(columns.min(), columns.max() + 1):
                pixels |= {(colour, column, row) for row in np.arange(rows.min(), rows.max() + 1)}
    return pixels


def all_lines(dendrogram):
    """Return bar and legs of every merge as (x0, y0, x1, y1), as a drawing by hand has them."""
    n = dendrogram.n_leaves
    lines = []
    for merge, (left, right) in enumerate(dendrogram.children):
        top = dendrogram.height[n + merge]
        x_left, x_right = dendrogram.x(np.array([left, right]))
        lines.append((x_left, top, x_right, top))
        lines.append((x_left, dendrogram.height[left], x_left, top))
        lines.append((x_right, dendrogram.height[right], x_right, top))
    return np.array(lines)


class TestPlaces:
    @given(trees())
    def test_every_leaf_has_one_place_of_its_own(self, tree):
        dendrogram = dendrogram_of(tree)
        n = tree.n_leaves
        assert sorted(dendrogram.first[:n].tolist()) == list(range(n))
        assert (dendrogram.first[:n] == dendrogram.last[:n]).all()
        assert dendrogram.order[dendrogram.first[:n]].tolist() == list(range(n))

    @given(trees())
    def test_branches_lie_within_their_parents_and_beside_each_other(self, tree):
        dendrogram = dendrogram_of(tree)
        n = tree.n_leaves
        left, right = dendrogram.children.T
        nodes = np.arange(n, 2 * n - 1)
        assert (dendrogram.first[left] == dendrogram.first[nodes]).all()
        assert (dendrogram.last[left] + 1 == dendrogram.first[right]).all()
        assert (dendrogram.last[right] == dendrogram.last[nodes]).all()
        assert (dendrogram.height[dendrogram.children].max(1) <= dendrogram.height[nodes]).all()
        middle = dendrogram.x(nodes)
        assert (dendrogram.x(left) <= middle).all()
        assert (middle <= dendrogram.x(right)).all()

    @given(trees(), st.integers(1, 60))
    def test_the_leaves_of_the_top_of_a_tree_are_the_clusters_of_its_cut(self, tree, n_clusters):
        n_clusters = min(n_clusters, tree.n_leaves)
        whole = dendrogram_of(tree)
        top, roots = dendrogram_of_clusters(tree, n_clusters)
        labels = tree.cut(n_clusters)
        clusters = {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(n_clusters)}
        assert {frozenset(whole.leaves(root).tolist()) for root in roots} == clusters
        in_order = [whole.leaves(root).tolist() for root in roots[top.order]]
        assert np.concatenate(in_order).tolist() == whole.order.tolist(), "no lines cross"
        assert top.height[-1] == whole.height[-1]

    def test_a_chain_of_many_merges_needs_no_recursion(self):
        dendrogram = dendrogram_of(build.tree(20_000))
        assert dendrogram.last[-1] - dendrogram.first[-1] + 1 == 20_000
        assert len(dendrogram.path(0)) == 20_000

    @given(trees())
    def test_a_path_goes_from_parent_to_parent_up_to_the_last_merge(self, tree):
        dendrogram = dendrogram_of(tree)
        path = dendrogram.path(0)
        assert path[0] == 0
        assert path[-1] == 2 * tree.n_leaves - 2
        assert all(
            below in tree.triplets[above - tree.n_leaves]
            for below, above in pairwise(path.tolist())
        )


class TestPointing:
    @given(trees(), st.floats(-1, 61), st.floats(-1, 130))
    def test_a_point_is_in_the_branch_whose_leaves_are_around_it(self, tree, x, y):
        dendrogram = dendrogram_of(tree)
        node = dendrogram.branch_at(x, y)
        place = min(max(round(x), 0), tree.n_leaves - 1)
        assert dendrogram.first[node] <= place <= dendrogram.last[node]
        assert node < tree.n_leaves or dendrogram.height[node] <= y
        parent = dendrogram.parent[node]
        assert parent == -1 or dendrogram.height[parent] > y

    def test_above_the_tree_is_the_whole_and_below_it_a_leaf(self):
        dendrogram = dendrogram_of(build.tree(6))
        assert dendrogram.branch_at(2, 100.0) == 10
        assert dendrogram.branch_at(2, -1.0) == dendrogram.order[2]


class TestLines:
    @given(trees(), st.integers(3, 120), st.integers(3, 60))
    def test_there_are_no_more_lines_than_pixels(self, tree, width, height):
        dendrogram = dendrogram_of(tree)
        view = whole_view(dendrogram, width, height)
        lines = visible_lines(dendrogram, view, np.zeros(2 * tree.n_leaves - 1, np.int64))
        assert len(lines[0].x) // 2 <= 2 * width * height

    @pytest.mark.parametrize("grow", [single_linkage, average_tree, ward_tree])
    def test_a_large_tree_needs_few_lines(self, grow):
        points = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
        dendrogram = dendrogram_of(grow(points))
        view = whole_view(dendrogram, 400, 150)
        colours = np.zeros(2 * len(points) - 1, np.int64)
        n_lines = len(visible_lines(dendrogram, view, colours)[0].x) // 2
        assert n_lines < 3 * (400 + 150)
        assert n_lines < len(points) / 1.5

    @given(trees(25))
    def test_with_a_pixel_for_every_leaf_what_is_painted_is_the_whole_drawing(self, tree):
        dendrogram = dendrogram_of(tree)
        n = tree.n_leaves
        view = View(Axis(-0.5, n - 0.5, 4 * n), Axis(-0.05 * dendrogram.top, dendrogram.top, 50))
        lines = visible_lines(dendrogram, view, np.zeros(2 * n - 1, np.int64))
        drawn = all_lines(dendrogram)
        by_hand = type(lines[0])(drawn[:, [0, 2]].ravel(), drawn[:, [1, 3]].ravel())
        expected = painted({0: by_hand}, view)
        found = painted(lines, view)
        assert found <= expected | neighbours(expected)
        assert expected <= found | neighbours(found)

    @given(trees(), st.floats(0, 40), st.floats(2, 20))
    def test_lines_stay_within_the_view(self, tree, left, width):
        dendrogram = dendrogram_of(tree)
        view = View(Axis(left, left + width, 100), Axis(0.2, 0.8 * dendrogram.top + 0.3, 40))
        for lines in visible_lines(dendrogram, view, np.arange(2 * tree.n_leaves - 1) % 3).values():
            for ends, axis in ((lines.x, view.columns), (lines.y, view.rows)):
                assert (ends >= axis.low - 1e-9).all()
                assert (ends <= axis.high + 1e-9).all()

    @given(trees(), st.integers(1, 60))
    def test_branches_of_a_cluster_have_its_colour_and_merges_above_the_cut_none(
        self, tree, n_clusters
    ):
        n = tree.n_leaves
        n_clusters = min(n_clusters, n)
        dendrogram = dendrogram_of(tree)
        ranks = cluster_ranks(tree, n_clusters)
        clusters = nodes_of_clusters(dendrogram, ranks, n - n_clusters)
        assert (clusters[:n] == ranks).all() or n_clusters == 1
        for merge in range(n - 1):
            under = set(ranks[dendrogram.leaves(n + merge)].tolist())
            expected = under.pop() if merge < n - n_clusters else -1
            assert clusters[n + merge] == expected

    @given(trees())
    def test_the_lines_of_a_path_reach_from_the_leaf_to_the_top(self, tree):
        dendrogram = dendrogram_of(tree)
        view = whole_view(dendrogram, 4000, 4000)
        lines = path_lines(dendrogram, dendrogram.path(0), view)
        assert lines.y.min() == 0
        assert lines.y.max() == dendrogram.height[-1]
        assert dendrogram.first[0] in lines.x

    def test_marks_that_share_a_pixel_are_one(self):
        dendrogram = dendrogram_of(build.tree(1000))
        view = whole_view(dendrogram, 50, 50)
        assert len(marked_places(dendrogram, np.arange(1000), view)) <= 50
        assert len(marked_places(dendrogram, np.array([3]), view)) == 1


def neighbours(pixels):
    return {
        (colour, column + a, row + b)
        for colour, column, row in pixels
        for a in (-1, 0, 1)
        for b in (-1, 0, 1)
    }


class TestCuts:
    @given(trees(), st.floats(-1, 130))
    def test_a_height_leaves_as_many_clusters_as_the_tree_says(self, tree, height):
        expected = tree.cut(height=height).max() + 1
        assert clusters_at(tree.heights, height, 10**6) == expected
        assert clusters_at(tree.heights, height, 3) == min(expected, 3)

    def test_the_line_of_a_cut_leaves_its_clusters(self):
        points = np.random.default_rng(1).normal(size=(40, 3))
        tree = ward_tree(points)
        for n_clusters in range(2, 41):
            assert (
                clusters_at(tree.heights, height_of_cut(tree.heights, n_clusters), 48) == n_clusters
            )

    def test_a_cluster_is_shown_by_its_closest_pair(self):
        points = np.array([[0.0], [1.0], [1.1], [9.0], [9.5], [30.0]])
        merges = linkage(points, "average")
        tree = average_tree(points)
        labels = tree.cut(3)
        shown = first_merged_leaves(tree.triplets[:, :2], 6, labels)
        assert len(merges) == 5
        assert set(shown.tolist()) <= {1, 2, 3, 4, 5}
        assert labels[shown].tolist() == [0, 1, 2]
        assert 5 in shown, "a single instance is shown by itself"
