import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from benchmarks.coverage import FIGURES, Population, cover, cover_by_bootstrap
from napari_mil.training.evaluation.intervals import (
    CORRELATION_LEVEL,
    Method,
    area_limits,
    area_variance,
    binomial_limits,
    difference,
    few_patients,
    intervals,
    intraclass_correlation,
    mid_p_limits,
    sources,
)
from napari_mil.training.evaluation.metrics import figures

HARD = [
    Population(20, 1, 0.5, 0.99),
    Population(20, 1, 0.1, 0.7),
    Population(20, 1, 0.1, 0.95),
    Population(20, 6, 0.5, 0.8),
    Population(40, 3, 0.1, 0.8),
    Population(60, 6, 0.5, 0.95),
    Population(60, 6, 0.1, 0.8),
    Population(100, 1, 0.1, 0.99),
    Population(100, 1, 0.5, 0.7),
    Population(100, 6, 0.5, 0.7),
]
"""Cells of the grid in docs/intervals.md where intervals are most easily too short."""
DRAWS = 400
SEEDS = st.integers(0, 10_000)


def binary(seed, n=40, per_patient=1, repeats=1, signal=1.0):
    """Return labels, logits (repeats, n, 1) and patients with both classes."""
    random = np.random.default_rng(seed)
    labels = np.r_[0, 1, random.integers(0, 2, n - 2)]
    logits = random.normal(0, 1, (repeats, n, 1)) + signal * labels[:, None]
    return labels, logits, np.arange(n) // per_patient


def width(interval):
    return interval.high - interval.low


@given(seed=SEEDS, per_patient=st.sampled_from([1, 3, 7]), repeats=st.integers(1, 3))
def test_every_figure_of_two_classes_has_an_interval_in_0_to_1_around_it(
    seed, per_patient, repeats
):
    labels, logits, patients = binary(seed, 21, per_patient, repeats, signal=seed % 4)
    found = intervals(labels, logits, patients)
    means = [figures(labels, row) for row in logits]
    for name in means[0]:
        values = [one[name] for one in means]
        if np.isnan(values).all():
            assert name not in found
        else:
            assert 0 <= found[name].low <= np.nanmean(values) + 1e-9
            assert np.nanmean(values) - 1e-9 <= found[name].high <= 1
            assert found[name].low < found[name].high


@given(seed=SEEDS, classes=st.integers(3, 4))
def test_every_figure_of_several_classes_has_an_interval_around_it(seed, classes):
    random = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), random.integers(0, classes, 20)]
    logits = random.normal(size=(2, len(labels), classes)) + 2 * np.eye(classes)[labels]
    found = intervals(labels, logits, np.arange(len(labels)) // 2)
    means = [figures(labels, row) for row in logits]
    assert set(found) == set(means[0])
    for name, interval in found.items():
        mean = np.mean([one[name] for one in means])
        assert 0 <= interval.low <= mean + 1e-9
        assert mean - 1e-9 <= interval.high <= 1


@given(seed=SEEDS)
def test_every_figure_of_independent_labels_has_an_interval_around_it(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (30, 3))
    labels[:2] = [[0, 0, 0], [1, 1, 1]]
    logits = random.normal(size=(2, 30, 3)) + labels
    found = intervals(labels, logits, np.arange(30))
    means = [figures(labels, row) for row in logits]
    assert set(found) == set(means[0])
    for name, interval in found.items():
        mean = np.nanmean([one[name] for one in means])
        assert 0 <= interval.low <= mean + 1e-9
        assert mean - 1e-9 <= interval.high <= 1


@given(seed=SEEDS)
def test_the_variance_of_an_area_is_that_of_delong_where_it_exceeds_the_model(seed):
    """Written out over pairs, as DeLong et al. 1988 do."""
    labels, logits, patients = binary(seed, 30)
    scores = logits[0, :, 0]
    wins = scores[labels == 1][:, None] > scores[labels == 0]
    m, n = wins.shape
    area = wins.mean()
    if m < 2 or n < 2 or area in (0, 1):
        return
    variance = wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n
    inflation = max(1.0, variance / area_variance(area, m, n))
    found = intervals(labels, logits, patients)["auc"]
    assert (found.low, found.high) == pytest.approx(area_limits(area, m, n, inflation), abs=1e-6)
    assert found.method is Method.NEWCOMBE


def test_limits_of_an_area_solve_the_equation_of_newcombe():
    """(θ - area)² = z² V(θ); 0.8 of 20 and 30 bags."""
    low, high = area_limits(0.8, 20, 30)
    for theta in (low, high):
        assert (theta - 0.8) ** 2 == pytest.approx(
            1.959964**2 * area_variance(theta, 20, 30), rel=1e-5
        )
    assert low < 0.8 < high


def test_limits_of_a_share_are_those_of_clopper_and_pearson():
    assert binomial_limits(0.3, 10) == pytest.approx((beta.ppf(0.025, 3, 8), beta.ppf(0.975, 4, 7)))
    assert binomial_limits(0.0, 3) == pytest.approx((0, 1 - 0.025 ** (1 / 3)))
    assert binomial_limits(1.0, 3) == pytest.approx((0.025 ** (1 / 3), 1))


@given(hits=st.integers(0, 30), number=st.integers(1, 30))
def test_mid_p_limits_lie_within_those_of_clopper_and_pearson(hits, number):
    share = min(hits, number) / number
    low, high = mid_p_limits(share, number)
    outer_low, outer_high = binomial_limits(share, number)
    assert outer_low - 1e-9 <= low <= share <= high <= outer_high + 1e-9


@given(seed=SEEDS)
def test_intervals_of_the_area_are_mirrored_when_classes_change_places(seed):
    labels, logits, patients = binary(seed, 30, per_patient=2, repeats=2)
    found = intervals(labels, logits, patients)
    mirrored = intervals(1 - labels, -logits, patients)
    reversed_ = intervals(labels, -logits, patients)
    assert mirrored["auc"].low == pytest.approx(found["auc"].low, abs=1e-6)
    assert mirrored["auc"].high == pytest.approx(found["auc"].high, abs=1e-6)
    assert reversed_["auc"].low == pytest.approx(1 - found["auc"].high, abs=1e-6)
    assert mirrored["sensitivity"].low == pytest.approx(found["specificity"].low)
    assert mirrored["balanced_accuracy"].high == pytest.approx(found["balanced_accuracy"].high)


@given(seed=SEEDS)
def test_names_of_patients_and_the_order_of_bags_do_not_matter(seed):
    labels, logits, patients = binary(seed, 30, per_patient=3)
    order = np.random.default_rng(seed).permutation(30)
    names = np.array([f"p{99 - patient}" for patient in patients])
    found = intervals(labels, logits, patients)
    other = intervals(labels[order], logits[:, order], names[order])
    for name in found:
        assert (found[name].low, found[name].high) == pytest.approx(
            (other[name].low, other[name].high), abs=1e-6
        )


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1", "auc"])
def test_intervals_widen_when_the_same_bags_come_from_fewer_patients(name):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1] * 6, 5)
    logits = (np.repeat(random.normal(0, 1, 12), 5) + labels)[None, :, None]
    alone = intervals(labels, logits, np.arange(60))
    grouped = intervals(labels, logits, np.arange(60) // 5)
    assert width(grouped[name]) > 1.4 * width(alone[name])


def test_more_repeats_of_the_same_answers_are_not_more_bags():
    labels, logits, patients = binary(3)
    once = intervals(labels, logits, patients)
    often = intervals(labels, np.repeat(logits, 10, 0), patients)
    for name in once:
        assert often[name].low == pytest.approx(once[name].low, abs=1e-9)


def test_intervals_shrink_with_the_root_of_the_number_of_patients():
    few, many = (intervals(*binary(1, n)) for n in (100, 1600))
    for name in few:
        assert width(few[name]) / width(many[name]) == pytest.approx(4, rel=0.25)


def test_perfect_answers_leave_a_doubt_that_depends_on_the_number_of_patients():
    labels = np.array([0, 1] * 10)
    logits = (20.0 * labels - 10)[None, :, None] + np.linspace(0, 1, 20)[:, None]
    alone = intervals(labels, logits, np.arange(20))
    assert alone["auc"].high == 1
    assert 0.75 < alone["auc"].low < 0.85
    assert alone["sensitivity"].low == pytest.approx(0.025 ** (1 / 10))


def test_no_positive_found_of_three_is_not_an_interval_of_no_width():
    labels = np.r_[np.ones(3, int), np.zeros(27, int)]
    logits = np.full((1, 30, 1), -2.0) + np.linspace(0, 1, 30)[:, None]
    found = intervals(labels, logits, np.arange(30))
    assert found["sensitivity"].low == 0
    assert found["sensitivity"].high == pytest.approx(1 - 0.025 ** (1 / 3))
    one_patient = np.r_[np.zeros(3, int), np.arange(1, 28)]
    assert intervals(labels, logits, one_patient)["sensitivity"].high > 0.9, "one patient"


def test_figures_without_their_class_have_no_interval():
    found = intervals(np.zeros(5, int), np.arange(5.0)[None, :, None] - 9, np.arange(5))
    assert set(found) == {"accuracy", "specificity"}


def test_the_correlation_of_a_patients_bags_is_found_from_above():
    random = np.random.default_rng(0)
    patients = np.arange(3000) // 5
    shared = random.normal(0, 1, 600)[patients]
    values = np.sqrt(0.4) * shared + np.sqrt(0.6) * random.normal(0, 1, 3000)
    classes = patients % 2
    assert 0.4 < intraclass_correlation(values + 9 * classes, classes, patients) < 0.46
    fours = [(patients // 4 == k) & (patients < 600) for k in range(150)]
    limits = [intraclass_correlation(values[four], classes[four], patients[four]) for four in fours]
    above = np.mean(np.array(limits) >= 0.4)
    assert above == pytest.approx(CORRELATION_LEVEL, abs=4 * np.sqrt(0.75 * 0.25 / 150))


def test_where_nothing_is_known_of_the_correlation_it_is_1():
    values = np.arange(6.0)
    assert intraclass_correlation(values, np.zeros(6), np.zeros(6, int)) == 1, "one patient"
    assert intraclass_correlation(values, np.zeros(6), np.arange(6)) == 1, "one bag each"
    assert intraclass_correlation(np.repeat([1.0, 5.0], 3), np.zeros(6), np.repeat([0, 1], 3)) == 1


def test_a_difference_is_that_of_both_areas_and_turns_with_its_sign():
    labels, first, patients = binary(5, 60, repeats=2)
    second = first + np.random.default_rng(6).normal(0, 1, first.shape)
    found = difference(labels, first[:, :, 0], second[:, :, 0], patients)
    turned = difference(labels, second, first, patients)
    areas = [np.mean([figures(labels, row)["auc"] for row in logits]) for logits in (first, second)]
    assert found.mean == pytest.approx(areas[0] - areas[1])
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert found.low < found.mean < found.high
    assert found.method is Method.MOVER


def test_a_paired_difference_is_narrower_than_that_of_unrelated_answers():
    labels, first, patients = binary(5, 200)
    noise = np.random.default_rng(7).normal(0, 1, (2, *first.shape))
    close = difference(labels, first, first + 0.2 * noise[0], patients)
    apart = difference(labels, first, noise[1] + labels[:, None], patients)
    assert width(close) < 0.5 * width(apart)


def test_two_perfect_classifiers_may_still_differ():
    labels = np.array([0, 1] * 10)
    found = difference(labels, labels.astype(float), 2.0 * labels, np.arange(20))
    assert found.mean == 0
    assert found.low < -0.1
    assert found.high > 0.1


@pytest.mark.parametrize("shift", [5.0, 0.5])
def test_a_classifier_does_not_differ_from_itself(shift):
    labels, logits, patients = binary(5, 40)
    logits = logits + shift * labels[:, None]
    found = difference(labels, logits, logits, patients)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_a_difference_without_a_class_does_not_exist():
    found = difference(np.zeros(4, int), np.arange(4.0), np.arange(4.0), np.arange(4))
    assert np.isnan([found.mean, found.low, found.high]).all()


def test_differences_of_several_classes_and_of_labels_are_those_of_mean_areas():
    random = np.random.default_rng(0)
    labels = np.r_[0, 1, 2, random.integers(0, 3, 40)]
    first, second = random.normal(size=(2, 1, 43, 3)) + np.eye(3)[labels]
    found = difference(labels, first, second, np.arange(43))
    assert found.mean == pytest.approx(
        figures(labels, first[0])["auc"] - figures(labels, second[0])["auc"]
    )
    several = random.integers(0, 2, (43, 3))
    of_labels = difference(several, first, second, np.arange(43))
    assert of_labels.mean == pytest.approx(
        figures(several, first[0])["auc_macro"] - figures(several, second[0])["auc_macro"]
    )


def test_a_class_of_few_patients_is_named_with_what_cannot_be_known():
    labels = np.r_[np.zeros(40, int), np.ones(12, int)]
    patients = np.r_[np.arange(40), 100 + np.arange(12) // 3]
    (few,) = few_patients(("benign", "malignant"), labels, patients)
    assert (few.name, few.patients) == ("malignant", 4)
    assert "only 4 patients" in few.text
    assert "60%" in few.text
    assert not few_patients(("benign", "malignant"), labels, np.arange(52))
    of_labels = few_patients(("x", "y"), np.eye(2, dtype=int)[[0] * 20 + [1]], np.arange(21))
    assert [one.name for one in of_labels] == ["y"]
    assert "only 1 bag." in few_patients(("x",), np.ones((1, 1)), [0], unit="bag")[0].text


def test_methods_are_listed_once_with_their_publication():
    listed = sources([Method.NEWCOMBE, None, Method.NEWCOMBE, Method.MOVER])
    assert list(listed) == ["Newcombe", "MOVER"]
    assert "2006" in listed["Newcombe"]


def least(expected, draws):
    """Return what a simulated coverage falls below once in a thousand times."""
    return expected - 3.1 * np.sqrt(expected * (1 - expected) / draws)


@pytest.mark.slow
def test_intervals_of_every_figure_cover_where_bags_and_patients_are_few():
    found = [cover(population, DRAWS) for population in HARD]
    for name in FIGURES:
        covered = [of_cell[name].covered for of_cell in found]
        assert min(covered) >= least(0.93, DRAWS), (name, covered)
        assert np.mean(covered) >= least(0.945, DRAWS * len(HARD)), (name, covered)
        assert max(of_cell[name].width for of_cell in found) < 0.99


def test_a_percentile_bootstrap_is_found_to_cover_too_little():
    found = cover_by_bootstrap(Population(20, 1, 0.1, 0.95), 60, samples=200)
    assert found["auc"].covered < least(0.93, 60)
    assert found["sensitivity"].covered < least(0.93, 60)
