"""Noise stays noise: cohorts without any signal, cross-validated."""

import numpy as np
import pytest

from benchmarks.null import HEADS, UNEVEN, evaluate_null, write_null_cohort

COHORTS = 20


@pytest.mark.slow
@pytest.mark.parametrize("aggregator", HEADS)
def test_the_honest_protocol_finds_nothing_in_noise(aggregator):
    found = evaluate_null(aggregator, "honest", COHORTS)
    assert np.mean([one.pooled for one in found]) == pytest.approx(0.5, abs=0.03)
    assert sum(one.covered for one in found) >= 16, "20 intervals of 95 % that miss 0.5 five times"


@pytest.mark.slow
def test_folds_that_share_a_class_unevenly_pull_the_pooled_area_below_that_within_folds():
    """As documented: a fold with more positives is trained on fewer, and answers lower."""
    found = evaluate_null("mi-net", "honest", COHORTS, positives=UNEVEN)
    pooled = np.mean([one.pooled for one in found])
    assert 0.45 < pooled < 0.5
    assert pooled < np.mean([one.fold_mean for one in found])


@pytest.mark.slow
@pytest.mark.parametrize("aggregator", ["gated-abmil", "dsmil"])
def test_the_published_protocol_makes_something_of_noise(aggregator):
    found = evaluate_null(aggregator, "published", COHORTS)
    assert np.mean([one.fold_mean for one in found]) > 0.5
    assert np.mean([one.pooled for one in found]) > 0.5


def test_sizes_and_labels_of_a_cohort_of_noise_say_nothing_of_each_other(tmp_path):
    correlations = []
    for seed in range(20):
        cohort = write_null_cohort(tmp_path / str(seed), seed)
        sizes = [len(np.load(bag.path)) for bag in cohort.bags]
        correlations.append(np.corrcoef(sizes, cohort.targets)[0, 1])
    assert abs(np.mean(correlations)) < 3.1 / np.sqrt(20 * 40)
