import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.training.evaluation.folds import stratified_group_folds


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 6), min_size=5, max_size=15))
def test_a_group_is_never_split(seed, sizes):
    groups = np.repeat([f"patient {k}" for k in range(len(sizes))], sizes)
    labels = np.random.default_rng(seed).integers(0, 2, len(groups))
    folds = stratified_group_folds(labels, groups, 5, seed)
    assert all(len(set(folds[groups == name])) == 1 for name in groups)
    assert set(folds) == set(range(5))


@given(seed=st.integers(0, 1000))
def test_classes_are_in_proportion_where_every_bag_is_its_own_group(seed):
    labels = np.array([1] * 30 + [0] * 50)
    folds = stratified_group_folds(labels, list(map(str, range(80))), 5, seed)
    assert [int(labels[folds == k].sum()) for k in range(5)] == [6] * 5
    assert [int((folds == k).sum()) for k in range(5)] == [16] * 5


def test_another_seed_draws_other_folds_and_the_same_seed_the_same():
    labels, groups = [0, 1] * 20, list(map(str, range(40)))
    first, again, other = (stratified_group_folds(labels, groups, 4, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="at least 5 groups, not 2"):
        stratified_group_folds([0, 1, 0], ["a", "a", "b"], 5, 0)
