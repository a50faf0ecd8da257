"""Trees of Ward's and of average linkage."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from napari_mil.aggregators import agglomeration as module
from napari_mil.aggregators.agglomeration import average_tree, ward_tree

METHODS = {"ward": ward_tree, "average": average_tree}


def same_clusters(labels, others):
    """Say whether two labellings group alike, whatever the labels are called."""
    pairs = set(zip(labels.tolist(), others.tolist(), strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(others.tolist()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_clusters", [1, 2, 7, 50, 300])
def test_cuts_are_those_of_scipy(n_clusters, method):
    points = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    expected = fcluster(linkage(points, method), n_clusters, "maxclust")
    assert same_clusters(METHODS[method](points).cut(n_clusters), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("largest_bag", [1000, 80])
def test_planted_clusters_are_found_also_in_bags_too_large_for_all_distances(
    monkeypatch, largest_bag, method
):
    monkeypatch.setattr(module, "LARGEST_BAG", largest_bag)
    random = np.random.default_rng(1)
    planted = random.permutation(np.repeat(np.arange(4), (40, 90, 120, 150)))
    centres = 20 * np.eye(4, 30)
    points = (centres[planted] + random.normal(size=(400, 30))).astype(np.float32)
    tree = METHODS[method](points)
    assert tree.n_leaves == 400
    assert (np.diff(tree.heights) >= 0).all()
    assert tree.sizes[-1] == 400
    assert same_clusters(tree.cut(4), planted)


def test_a_bag_of_one_has_an_empty_tree():
    tree = ward_tree(np.ones((1, 3), np.float32))
    assert tree.n_leaves == 1
    assert tree.cut(1).tolist() == [0]


@pytest.mark.parametrize("largest_bag", [1000, 10])
def test_an_exception_between_steps_ends_the_work(monkeypatch, largest_bag):
    monkeypatch.setattr(module, "LARGEST_BAG", largest_bag)

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ward_tree(np.random.default_rng(2).normal(size=(20, 3)), stop)
