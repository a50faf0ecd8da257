from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.bags import Bag
from napari_mil.errors import BagError, ClassifierError
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.evidence import RANDOM, gather_evidence
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.pipeline import classify
from napari_mil.inference.prediction import ALONE, CONTRIBUTION, Prediction

WITNESSES = (3, 40, 77)


@pytest.fixture(scope="module")
def planted():
    """A classifier whose answer rests on three instances of a hundred, and that answer."""
    shipped = load_classifier("breast-malignancy")
    torch.manual_seed(0)
    options = {"hidden": None, "attention_dim": 4}
    aggregator = create_aggregator("abmil", shipped.card.in_dim, 1, **options).eval()
    with torch.no_grad():
        # Attention and classifier look at the first feature alone.
        for weight in (aggregator.attention.V.weight, aggregator.classifier.weight):
            weight.zero_()
            weight[:, 0] = 1.0
        aggregator.attention.w.weight.fill_(1.5)
        aggregator.classifier.bias.fill_(-1.0)
    card = replace(shipped.card, aggregator=AggregatorRef("abmil", options), temperature=1.0)
    classifier = replace(
        shipped,
        card=card,
        aggregator=aggregator,
        likeness=None,
        mean=torch.zeros_like(shipped.mean),
        scale=torch.ones_like(shipped.scale),
    )
    features = np.random.default_rng(0).normal(size=(100, card.in_dim)).astype(np.float32)
    features[:, 0] = -1
    features[list(WITNESSES), 0] = 4
    bag = Bag(features, np.arange(200).reshape(100, 2), 128.0)
    return classifier, classify(bag, classifier, device="cpu")


def test_the_planted_instances_are_those_that_count(planted):
    classifier, prediction = planted
    assert prediction.label == "malignant"
    found = gather_evidence(prediction, classifier)
    assert found.explained == "malignant"
    contribution = found.columns[f"{CONTRIBUTION}_malignant"]
    assert set(np.argsort(-contribution)[:3]) == set(WITNESSES)
    assert (np.delete(contribution, WITNESSES) < 0).all(), "the others speak against the class"
    np.testing.assert_allclose(contribution, -found.columns[f"{CONTRIBUTION}_benign"], atol=1e-6)
    alone = found.columns[f"{ALONE}_malignant"]
    assert (alone[list(WITNESSES)] > 0.9).all()
    assert (np.delete(alone, WITNESSES) < 0.2).all()


def test_few_instances_suffice_and_give_the_same_answer(planted):
    classifier, prediction = planted
    found = gather_evidence(prediction, classifier)
    assert set(found.sufficient) <= set(WITNESSES)
    answered = found.parts.probabilities_of(found.sufficient)
    assert answered[1] == pytest.approx(prediction.probabilities[1], abs=0.05)


def test_a_map_that_finds_them_is_more_faithful_than_a_random_order(planted):
    classifier, prediction = planted
    faithfulness = gather_evidence(prediction, classifier).faithfulness
    assert set(faithfulness) == {CONTRIBUTION, ALONE, "attention", RANDOM}
    for name in (CONTRIBUTION, ALONE, "attention"):
        assert faithfulness[name] < faithfulness[RANDOM] - 0.1


def test_answers_that_cannot_be_asked_are_refused(planted):
    classifier, prediction = planted
    with pytest.raises(BagError, match="no longer in memory"):
        gather_evidence(replace(prediction, features=None), classifier)
    with pytest.raises(ClassifierError, match="has changed since"):
        gather_evidence(prediction, replace(classifier, mean=classifier.mean + 1))


def test_evidence_is_saved_with_the_answer(planted, tmp_path):
    classifier, prediction = planted
    found = gather_evidence(prediction, classifier)
    replace(prediction, evidence=found.columns).save(tmp_path / "answer")
    read = Prediction.load(tmp_path / "answer")
    assert set(read.evidence) == set(found.columns)
    for name, values in found.columns.items():
        np.testing.assert_array_equal(read.evidence[name], values)
