import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from napari_mil.training.evaluation.metrics import (
    accuracy,
    auc,
    average_precision,
    best_threshold,
    calibration_error,
    decided,
    estimates,
    figures,
    fit_temperature,
)


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


def test_an_estimate_is_the_mean_over_repeats_within_its_interval():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    logits = (random.normal(0, 1, (3, 40)) + labels)[:, :, None]
    folds = np.tile(np.arange(40) % 4, (3, 1))
    found = estimates(labels, logits, np.arange(40), folds=folds)
    areas = [auc(labels, row[:, 0]) for row in logits]
    assert found["auc"].mean == pytest.approx(np.mean(areas))
    assert found["auc"].sd_repeats == pytest.approx(np.std(areas, ddof=1))
    assert found["auc"].fold_mean == pytest.approx(
        np.mean(
            [
                auc(labels[fold == k], row[fold == k, 0])
                for row, fold in zip(logits, folds, strict=True)
                for k in range(4)
            ]
        )
    )
    assert all(figure.low <= figure.mean <= figure.high for figure in found.values())
    assert all(figure.method is not None for figure in found.values())


def test_a_figure_that_does_not_exist_has_no_interval_and_no_method():
    found = estimates(np.ones(6, int), np.arange(6.0)[None, :, None], np.arange(6))["auc"]
    assert np.isnan([found.mean, found.low, found.high]).all()
    assert found.as_dict()["method"] is None
    assert found.words == "nan"


def test_the_temperature_undoes_overconfidence():
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, 5000)
    labels = (random.random(5000) < 1 / (1 + np.exp(-logits))).astype(int)
    assert fit_temperature(labels, logits[None]) == pytest.approx(1, abs=0.1)
    assert fit_temperature(labels, 5 * logits[None]) == pytest.approx(5, abs=0.4)


@given(seed=st.integers(0, 10_000), n=st.integers(4, 60), levels=st.sampled_from([3, 1000]))
def test_average_precision_is_that_of_scikit_learn_ties_included(seed, n, levels):
    random = np.random.default_rng(seed)
    labels, logits = random.integers(0, 2, n), random.integers(0, levels, n) / 7
    if labels.sum():
        assert average_precision(labels, logits) == pytest.approx(
            average_precision_score(labels, logits)
        )
    else:
        assert np.isnan(average_precision(labels, logits))


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4))
def test_figures_of_several_classes_are_those_of_scikit_learn(seed, classes):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, 30)])
    logits = random.normal(size=(len(labels), classes))
    found, predicted = figures(labels, logits), logits.argmax(1)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["f1"] == pytest.approx(
        f1_score(labels, predicted, average="macro", zero_division=0)
    )
    if classes > 2:
        assert found["auc"] == pytest.approx(
            roc_auc_score(labels, softmax(logits, 1), multi_class="ovr")
        )


@given(seed=st.integers(0, 10_000))
def test_figures_of_independent_labels_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    labels, logits = random.integers(0, 2, (40, 3)), random.normal(size=(40, 3))
    found, predicted = figures(labels.astype(np.float32), logits), logits > 0
    assert found["auc_macro"] == pytest.approx(roc_auc_score(labels, logits, average="macro"))
    assert found["auc_micro"] == pytest.approx(roc_auc_score(labels, logits, average="micro"))
    assert found["f1_micro"] == pytest.approx(f1_score(labels, predicted, average="micro"))
    assert found["f1_macro"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["all_labels_right"] == pytest.approx(accuracy_score(labels, predicted))


def test_sensitivity_and_specificity_follow_the_threshold_of_each_bag():
    labels, logits = np.array([0, 0, 1, 1]), np.array([[-1.0], [1.0], [-1.0], [1.0]])
    assert figures(labels, logits)["sensitivity"] == 0.5
    assert figures(labels, logits, np.array([0.9, 0.9, 0.1, 0.1]))["sensitivity"] == 1.0
    assert figures(labels, logits, np.array([0.9, 0.9, 0.1, 0.1]))["specificity"] == 1.0
    assert np.isnan(figures(np.zeros(4, int), logits)["sensitivity"]), "no positive, no sensitivity"


def test_calibration_error_is_the_gap_between_confidence_and_truth():
    always_sure = np.full((100, 1), 10.0)
    assert calibration_error(np.array([1] * 70 + [0] * 30), always_sure) == pytest.approx(
        0.3, abs=1e-3
    )
    assert calibration_error(
        np.array([1] * 73 + [0] * 27), np.full((100, 1), 1.0)
    ) == pytest.approx(0.001, abs=1e-3)


@given(temperature=st.floats(0.5, 5), seed=st.integers(0, 100))
def test_the_temperature_that_spoilt_logits_is_found(temperature, seed):
    random = np.random.default_rng(seed)
    right = random.normal(0, 2, 4000)
    labels = (random.random(4000) < expit(right)).astype(int)
    assert fit_temperature(labels, right[:, None] * temperature) == pytest.approx(
        temperature, rel=0.15
    )


def test_a_cautious_temperature_does_not_trust_few_bags_told_apart_without_error():
    labels, logits = np.array([0, 1] * 5), np.array([[-2.0], [2.0]] * 5)
    assert fit_temperature(labels, logits) == pytest.approx(0.25), (
        "likelihood alone would make them certain"
    )
    p = expit(2.0 / fit_temperature(labels, logits, cautious=True))
    assert 0.88 < p < 0.96
    assert fit_temperature(
        np.repeat(labels, 500), np.repeat(logits, 500, 0), cautious=True
    ) == pytest.approx(0.25), "many bags are believed"


def test_the_best_threshold_lies_between_bags_and_near_one_half():
    labels, logits = np.array([0, 0, 1, 1]), np.array([-3.0, -1.0, 2.0, 3.0])
    assert expit(-1.0) < best_threshold(labels, logits) < expit(2.0)
    assert best_threshold(np.zeros(4, int), logits) == 0.5
    shifted = logits + 3
    assert decided(labels, expit(shifted) >= best_threshold(labels, shifted))["accuracy"] == 1
