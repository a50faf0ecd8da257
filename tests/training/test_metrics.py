import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from napari_mil.training.metrics import accuracy, auc, estimate, fit_temperature


@given(seed=st.integers(0, 10_000), n=st.integers(4, 60), levels=st.sampled_from([3, 1000]))
def test_auc_is_that_of_scikit_learn_ties_included(seed, n, levels):
    random = np.random.default_rng(seed)
    labels, logits = random.integers(0, 2, n), random.integers(0, levels, n) / 7
    if 0 < labels.sum() < n:
        assert auc(labels, logits) == pytest.approx(roc_auc_score(labels, logits))
    else:
        assert np.isnan(auc(labels, logits)), "one class has no area, not an area of one"


def test_accuracy_splits_at_probability_one_half():
    assert accuracy(np.array([0, 1, 1, 0]), np.array([-0.1, 0.1, -2, 3])) == 0.5


def test_an_interval_widens_when_bags_come_in_groups():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1] * 10, 5)
    logits = (np.repeat(random.normal(0, 1, 20), 5) + labels)[None].repeat(3, 0)
    alone = estimate(auc, labels, logits, list(map(str, range(100))), samples=400)
    grouped = estimate(auc, labels, logits, [str(k // 5) for k in range(100)], samples=400)
    assert alone.low < alone.mean < alone.high
    assert grouped.high - grouped.low > 1.3 * (alone.high - alone.low)
    assert grouped.mean == alone.mean
    assert grouped.sd_repeats == pytest.approx(0, abs=1e-12)


def test_the_temperature_undoes_overconfidence():
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, 5000)
    labels = (random.random(5000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert fit_temperature(labels, logits[None]) == pytest.approx(1, abs=0.1)
    assert fit_temperature(labels, 5 * logits[None]) == pytest.approx(5, abs=0.4)
