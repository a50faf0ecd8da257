"""Merge trees: the printed algorithm, the canonical order and cuts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, leaves_list, linkage

from napari_mil.aggregators import MergeTree, single_linkage
from napari_mil.aggregators.spanning_tree import distances
from napari_mil.errors import BagError


def as_printed(points):
    """Merge by HAMIL's algorithm 1, word for word: triplets and heights."""
    n = len(points)
    between = distances(points[:, None], points[None])
    clusters = {i: [i] for i in range(n)}
    triplets = []
    heights = []
    while len(clusters) > 1:
        smallest = np.inf
        pair = None
        indices = sorted(clusters)
        for position, i in enumerate(indices):
            for j in indices[position + 1 :]:
                distance = between[np.ix_(clusters[i], clusters[j])].min()
                if distance < smallest:
                    smallest = distance
                    pair = (i, j)
        new = n + len(triplets)
        clusters[new] = clusters.pop(pair[0]) + clusters.pop(pair[1])
        triplets.append((*pair, new))
        heights.append(smallest)
    return np.array(triplets, np.int64).reshape(-1, 3), np.array(heights)


def cloud(n, dim=3, seed=0, grid=None):
    points = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return points if grid is None else np.round(points * grid).astype(np.float32)


@settings(max_examples=120)
@given(
    n=st.integers(1, 40),
    dim=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    grid=st.sampled_from([None, 0.5, 1, 2]),
)
def test_the_index_order_is_the_printed_algorithm_with_ties_and_duplicates(n, dim, seed, grid):
    points = cloud(n, dim, seed, grid)
    tree = single_linkage(points, "index")
    triplets, heights = as_printed(points)
    assert np.array_equal(tree.triplets, triplets)
    assert np.array_equal(tree.heights, heights)


@settings(max_examples=80)
@given(
    n=st.integers(2, 40),
    dim=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    grid=st.sampled_from([None, 0.5, 1, 2]),
)
def test_the_canonical_order_does_not_depend_on_the_order_of_the_bag(n, dim, seed, grid):
    points = cloud(n, dim, seed, grid)
    order = np.random.default_rng(seed).permutation(n)
    straight = single_linkage(points)
    shuffled = single_linkage(points[order])
    assert np.array_equal(straight.heights, shuffled.heights)
    assert np.array_equal(straight.sizes[n:], shuffled.sizes[n:])
    # The same operands in the same places; twins may stand for each other.
    pairs = straight.triplets[:, :2]
    shuffled_pairs = shuffled.triplets[:, :2]
    assert np.array_equal(pairs >= n, shuffled_pairs >= n)
    assert np.array_equal(pairs[pairs >= n], shuffled_pairs[shuffled_pairs >= n])
    leaves = pairs[pairs < n]
    shuffled_leaves = shuffled_pairs[shuffled_pairs < n]
    assert np.array_equal(points[leaves], points[order][shuffled_leaves])


@settings(max_examples=30)
@given(n=st.integers(2, 60), seed=st.integers(0, 10_000))
def test_in_canonical_order_the_larger_operand_comes_first(n, seed):
    tree = single_linkage(cloud(n, seed=seed))
    left = tree.sizes[tree.triplets[:, 0]]
    right = tree.sizes[tree.triplets[:, 1]]
    assert (left >= right).all()


@pytest.mark.parametrize(
    "shape", ["blob", "far away", "clumps", "nearly equal", "half of them twins", "doubles"]
)
def test_heights_and_cuts_are_those_of_scipy(shape):
    points = cloud(700, 16, 4)
    if shape == "far away":
        points += 1000
    elif shape == "clumps":
        points = points * 0.05 + np.repeat(cloud(20, 16, 5) * 10, 35, 0)
    elif shape == "nearly equal":
        points[:300] = points[0] + points[:300] * 1e-4
    elif shape == "half of them twins":
        points[:350] = points[350]
    elif shape == "doubles":
        points = points.astype(np.float64) * 1e-3 + 1
    reference = linkage(points.astype(np.float64), "single")
    tree = single_linkage(points)
    assert np.allclose(np.sort(tree.heights), reference[:, 2], rtol=1e-9, atol=1e-12)
    for n_clusters in (1, 2, 7, 50):
        labels = tree.cut(n_clusters).tolist()
        expected = fcluster(reference, n_clusters, "maxclust").tolist()
        assert len(set(zip(labels, expected, strict=True))) == len(set(labels))


def test_a_tree_is_cut_into_a_number_of_clusters_or_at_a_height():
    tree = single_linkage(np.array([[0.0], [1], [10], [12], [30]]))
    assert tree.cut(1).tolist() == [0, 0, 0, 0, 0]
    assert tree.cut(3).tolist() == [0, 0, 1, 1, 2]
    assert tree.cut(99).tolist() == [0, 1, 2, 3, 4]
    assert tree.cut(height=1).tolist() == [0, 0, 1, 2, 3]
    assert tree.cut(height=2).tolist() == tree.cut(3).tolist()
    for wrong in ({}, {"n_clusters": 2, "height": 1.0}, {"n_clusters": 0}):
        with pytest.raises(ValueError, match="cut into"):
            tree.cut(**wrong)


def test_scipy_takes_the_tree_and_draws_its_leaves_in_the_same_order():
    tree = single_linkage(cloud(50, 4, 2))
    assert is_valid_linkage(tree.linkage())
    assert np.array_equal(leaves_list(tree.linkage()), tree.leaf_order)


def test_merges_of_a_level_do_not_wait_for_each_other():
    tree = single_linkage(cloud(80, 4, 3))
    known = set(range(80))
    for level in tree.levels():
        assert all({int(left), int(right)} <= known for left, right, _ in tree.triplets[level])
        known |= set(tree.triplets[level, 2].tolist())
    assert len(known) == 2 * 80 - 1


def test_a_bag_of_one_has_an_empty_tree():
    tree = single_linkage(np.ones((1, 3), np.float32))
    assert tree.triplets.shape == (0, 3)
    assert tree.heights.shape == (0,)
    assert tree.leaf_order.tolist() == [0]
    assert tree.cut(1).tolist() == [0]
    assert isinstance(tree, MergeTree)
    assert not list(tree.levels())


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e200])
def test_features_without_distances_are_refused_instead_of_waited_for(wrong):
    points = np.random.default_rng(0).normal(size=(20, 4))
    points[3, 1] = wrong
    with pytest.raises(BagError, match="cannot be clustered"):
        single_linkage(points)


@pytest.mark.parametrize("scale", [1e-30, 1e15, 1e60])
def test_very_small_and_very_large_numbers_have_the_same_tree(scale):
    points = np.random.default_rng(1).normal(size=(60, 5))
    assert np.array_equal(single_linkage(points * scale).triplets, single_linkage(points).triplets)
