"""Two classes with an output each: labels, thresholds and figures as of one sigmoid."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from napari_mil import classify, load_classifier
from napari_mil.events import CancellationToken
from napari_mil.training.bundle import calibrate
from napari_mil.training.evaluation.cross_validation import cross_validate
from napari_mil.training.run import train
from tests.training.fittings import run


@pytest.fixture
def result(cohort, quick, settings, tmp_path):
    return train(
        cohort, quick(aggregator="clam-mb", epochs=6), out=tmp_path / "run", settings=settings
    )


def test_clam_mb_has_a_branch_for_each_of_two_classes(result, cohort):
    classifier = load_classifier(result.classifier)
    assert classifier.card.link == "softmax"
    assert classifier.aggregator.attention.w.out_features == 2
    prediction = classify(cohort.bags[0].path, classifier, device="cpu")
    assert prediction.attention.shape[1] == 2
    assert prediction.logits.shape == (2,)
    assert prediction.probabilities == pytest.approx(
        softmax(prediction.logits / classifier.card.temperature), abs=1e-6
    )


def test_the_second_class_is_predicted_from_the_threshold_on(result, cohort):
    classifier = load_classifier(result.classifier)
    for bag in cohort.bags:
        prediction = classify(bag.path, classifier, device="cpu")
        is_second = prediction.probabilities[1] >= classifier.card.threshold
        assert prediction.label == classifier.card.classes[int(is_second)]


def test_its_figures_are_those_of_one_probability(result):
    figures = load_classifier(result.classifier).card.evaluation["validation, optimistic"]
    assert {"auc", "sensitivity", "specificity"} <= set(figures)
    assert figures["sensitivity"] != figures["balanced_accuracy"] or figures["accuracy"] == 1


def test_the_difference_of_two_outputs_is_what_is_chosen_by(cohort, quick, fit):
    fitting = run(fit(cohort, quick(aggregator="clam-mb", epochs=2)))
    bags = fitting.split.validation
    with torch.no_grad():
        raw = torch.stack([fitting.network.eval()(fitting.bag(b)).logits for b in bags])
    positive = raw.softmax(1)[:, 1].numpy()
    assert 1 / (1 + np.exp(-fitting.logits(bags)[:, 0])) == pytest.approx(positive, abs=1e-6)
    fitting.advance(CancellationToken())
    assert set(calibrate(fitting.config, fitting)) == {"temperature", "threshold"}


def test_it_is_cross_validated_as_two_classes_are(cohort, quick, settings):
    evaluation = cross_validate(
        cohort, quick(aggregator="clam-mb", epochs=4), folds=3, settings=settings, workers=1
    )
    assert "auc" in evaluation.metrics
    assert evaluation.metrics["auc"].mean > 0.8
