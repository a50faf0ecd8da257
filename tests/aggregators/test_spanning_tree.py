"""Euclidean minimum spanning trees."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from napari_mil.aggregators import single_linkage
from napari_mil.aggregators.spanning_tree import distances, minimum_spanning_tree


def test_a_spanning_tree_connects_everything_at_the_least_length():
    points = np.random.default_rng(8).normal(size=(300, 5)).astype(np.float32)
    edges, lengths = minimum_spanning_tree(points)
    assert edges.shape == (299, 2)
    assert np.allclose(
        lengths,
        np.linalg.norm(points[edges[:, 0]].astype(np.float64) - points[edges[:, 1]], axis=1),
    )
    assert lengths.sum() == pytest.approx(linkage(points.astype(np.float64), "single")[:, 2].sum())


@pytest.mark.parametrize(("offset", "spread"), [(1, 1e-7), (1e3, 1e-4), (1e4, 1e-3), (-5e5, 1.0)])
def test_a_large_offset_does_not_blur_the_tree(offset, spread):
    for seed in range(3):
        points = offset + np.random.default_rng(seed).normal(size=(200, 16)) * spread
        expected = linkage(points, "single")[:, 2]
        assert np.allclose(single_linkage(points).heights, expected, rtol=1e-6)


def test_equal_points_are_connected_at_distance_zero():
    points = np.array([[0.0], [1.0], [-0.0], [1.0]])
    edges, lengths = minimum_spanning_tree(points)
    assert sorted(lengths.tolist()) == [0, 0, 1]
    assert sorted(distances(points[edges[:, 0]], points[edges[:, 1]]).tolist()) == [0, 0, 1]
