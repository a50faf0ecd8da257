"""How two answers about one bag agree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from napari_mil.inference.agreement import Matching, agreement, pair_instances
from tests.gui.model.builders import grid_layout

numbers = st.lists(st.integers(0, 6), min_size=3, max_size=40)


@given(numbers, st.integers(0, 2**31))
def test_the_rank_correlation_is_scipys_ties_included(first, seed):
    first = np.array(first, np.float32)
    second = np.random.default_rng(seed).integers(0, 5, len(first)).astype(np.float32)
    found = agreement(first, second)
    assert found.n == len(first)
    if np.ptp(first) and np.ptp(second):
        assert found.spearman == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)
    else:
        assert np.isnan(found.spearman)


def test_the_tops_are_compared_by_what_they_have_in_common():
    # Ten of a hundred are the top of each; five of them are the same.
    first = np.arange(100.0)
    second = np.arange(100.0)
    second[:5], second[90:95] = np.arange(90, 95), np.arange(5)
    assert agreement(first, second).jaccard == pytest.approx(5 / 15)
    assert agreement(first, first).jaccard == 1


def test_places_without_a_value_in_either_map_are_left_out():
    first = np.array([1, 2, np.nan, 4, 5])
    second = np.array([1, 2, 3, np.nan, 5])
    assert agreement(first, second).n == 3
    assert agreement(first, second).spearman == pytest.approx(1)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_constant_maps_agree_in_nothing_that_can_be_said(n):
    found = agreement(np.ones(n), np.arange(n))
    assert np.isnan(found.spearman)
    assert np.isnan(found.jaccard)


def test_the_same_tiles_are_paired_by_their_number():
    pairs = pair_instances(grid_layout(3, 4), grid_layout(3, 4))
    assert pairs.matching is Matching.SAME
    assert np.array_equal(pairs.first, np.arange(12))
    assert np.array_equal(pairs.second, np.arange(12))


def test_of_two_tissues_on_one_grid_the_shared_tiles_are_paired():
    first = grid_layout(3, 4)
    second = grid_layout(3, 4, origin=(500.0, 0.0))
    pairs = pair_instances(first, second)
    assert pairs.matching is Matching.SHARED
    assert len(pairs.first) == 9
    assert np.array_equal(first.coords[pairs.first], second.coords[pairs.second])


@pytest.mark.parametrize("swapped", [False, True])
def test_other_grids_are_paired_at_the_centres_of_the_finer_tiles(swapped):
    coarse = grid_layout(2, 3, size=500.0)
    fine = grid_layout(4, 6, size=250.0)
    layouts = (fine, coarse) if swapped else (coarse, fine)
    pairs = pair_instances(*layouts)
    assert pairs.matching is Matching.CENTRES
    assert pairs.are_of_second is not swapped
    in_fine, in_coarse = (pairs.first, pairs.second) if swapped else (pairs.second, pairs.first)
    assert np.array_equal(in_fine, np.arange(24))
    inside = fine.centres() - coarse.coords[in_coarse]
    assert ((inside >= 0) & (inside < 500)).all()


def test_tiles_that_lie_elsewhere_have_no_pairs():
    pairs = pair_instances(grid_layout(2, 2), grid_layout(2, 2, origin=(9000.0, 9000.0)))
    assert len(pairs.first) == 0
    assert agreement(np.ones(4)[pairs.first], np.ones(4)[pairs.second]).n == 0
