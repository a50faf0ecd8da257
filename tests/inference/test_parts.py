from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.bags import Bag
from napari_mil.errors import BagError, CancelledError
from napari_mil.events import CancellationToken
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.parts import BagParts, Curve, fewest_sufficient, log_odds
from napari_mil.inference.pipeline import classify

N = 40
METHODS = {
    "gated-abmil": {"hidden": 16},
    "clam-mb": {"hidden": 16},
    "dsmil": {},
    "dsmil-released": {},
    "instance-max": {"hidden": 16},
    "transmil": {"hidden": 16},
}
"""Methods that are weighted means, that are while critical instances stay, and that are not."""


@pytest.fixture(scope="module", params=METHODS)
def answered(request):
    """A classifier of three classes with any method, and its answer for a bag."""
    shipped = load_classifier("breast-malignancy")
    torch.manual_seed(0)
    options = METHODS[request.param]
    aggregator = create_aggregator(request.param, shipped.card.in_dim, 3, **options).eval()
    card = replace(
        shipped.card,
        aggregator=AggregatorRef(request.param, options),
        classes=("a", "b", "c"),
        link="softmax",
        temperature=1.5,
    )
    classifier = replace(shipped, card=card, aggregator=aggregator, likeness=None)
    features = np.random.default_rng(0).normal(size=(N, card.in_dim)).astype(np.float32)
    bag = Bag(features, np.arange(2 * N).reshape(N, 2), 128.0)
    return classifier, classify(bag, classifier, device="cpu"), features


def again(classifier, features, kept):
    """Classify some instances as a bag of their own."""
    bag = Bag(features[kept], np.arange(2 * len(kept)).reshape(-1, 2), 128.0)
    return classify(bag, classifier, device="cpu")


def test_parts_are_answered_as_bags_of_their_own(answered):
    classifier, prediction, features = answered
    parts = BagParts(prediction, classifier)
    whole = parts.probabilities_without(np.array([], int))
    np.testing.assert_allclose(whole, prediction.probabilities, atol=1e-5)
    critical = [] if prediction.critical is None else prediction.critical.tolist()
    for removed in (np.array([3, 3, 8]), np.array([*critical, 1])):
        kept = np.setdiff1d(np.arange(N), removed)
        expected = again(classifier, features, kept).probabilities
        np.testing.assert_allclose(parts.probabilities_without(removed), expected, atol=1e-5)
        np.testing.assert_allclose(parts.probabilities_of(kept), expected, atol=1e-5)
    with pytest.raises(BagError, match="keep one at least"):
        parts.probabilities_without(np.arange(N))


def test_alone_and_contribution_are_those_of_answering_again(answered):
    classifier, prediction, features = answered
    parts = BagParts(prediction, classifier)
    alone = parts.alone()
    contributions = parts.contributions()
    whole = log_odds(prediction.logits, classifier.card)
    critical = [] if prediction.critical is None else prediction.critical.tolist()
    for i in (0, 7, N - 1, *critical):
        expected = again(classifier, features, [i]).probabilities
        np.testing.assert_allclose(alone[i], expected, atol=1e-5)
        left = again(classifier, features, np.delete(np.arange(N), i))
        difference = whole - log_odds(left.logits, classifier.card)
        np.testing.assert_allclose(contributions[i], difference, atol=1e-4)


def test_curves_are_those_of_answering_again(answered):
    classifier, prediction, features = answered
    parts = BagParts(prediction, classifier)
    order = np.random.default_rng(1).permutation(N)
    deleting = parts.while_deleting(order)
    inserting = parts.while_inserting(order)
    for step in (0, 5, N - 1):
        kept = np.sort(order[deleting.counts[step] :])
        expected = again(classifier, features, kept).probabilities
        np.testing.assert_allclose(deleting.probabilities[step], expected, atol=1e-5)
        kept = np.sort(order[: inserting.counts[step]])
        expected = again(classifier, features, kept).probabilities
        np.testing.assert_allclose(inserting.probabilities[step], expected, atol=1e-5)
    assert inserting.probabilities[-1] == pytest.approx(prediction.probabilities, abs=1e-5)


def test_long_work_can_be_cancelled(answered):
    classifier, prediction, _ = answered
    parts = BagParts(prediction, classifier)
    if parts.is_exact_at_once:
        return
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        parts.while_deleting(np.arange(N), cancel.raise_if_cancelled)
    with pytest.raises(CancelledError):
        parts.contributions(cancel.raise_if_cancelled)


def curve(counts, positive, n):
    positive = np.array(positive, np.float32)
    return Curve(np.array(counts), np.stack([1 - positive, positive], 1), n)


def test_the_fewest_instances_that_give_the_answer_are_counted():
    inserting = curve(range(1, 6), [0.2, 0.46, 0.52, 0.58, 0.55], 5)

    def fewest(p):
        whole = np.array([1 - p, p])
        return fewest_sufficient(inserting, 1, whole, lambda row: (row[1] >= 0.5) == (p >= 0.5))

    assert fewest(0.55) == 3
    assert fewest(0.49) == 2
    assert fewest(0.9) == 5


def test_the_area_under_a_curve_is_its_mean_probability():
    assert curve([0, 1, 2, 3], [0.7] * 4, 4).area(1) == pytest.approx(0.7)
    assert curve([0, 2], [1.0, 0.0], 4).area(1) == pytest.approx(0.5)
    assert curve([0], [0.3], 1).area(0) == pytest.approx(0.7)
