"""Instances that are alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.gui.model.gallery import likeness_to, nearest_by


@given(st.integers(2, 30), st.integers(0, 2**31))
def test_the_nearest_are_those_of_the_largest_cosine_from_the_mean(n, seed):
    features = np.random.default_rng(seed).normal(3, 1, (n, 5)).astype(np.float32)
    found = nearest_by(likeness_to(features, 1 % n), 1 % n)
    centred = features - features.mean(0)
    lengths = np.linalg.norm(centred, axis=1)
    cosine = centred @ centred[1 % n] / np.maximum(lengths * lengths[1 % n], 1e-12)
    others = [k for k in range(n) if k != 1 % n]
    assert sorted(found.instances) == others
    assert found.similarities == pytest.approx(sorted(cosine[others], reverse=True), abs=1e-5)


def test_a_bag_of_one_has_nothing_that_is_alike():
    assert nearest_by(likeness_to(np.ones((1, 4), np.float32), 0), 0).instances == ()


def test_maps_are_alike_by_their_means():
    maps = np.zeros((3, 2, 4, 4), np.float32)
    maps[0, 0] = 1
    maps[2, 0] = 0.9
    maps[1, 1] = 1
    assert nearest_by(likeness_to(maps, 0), 0).instances[0] == 2
