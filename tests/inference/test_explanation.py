import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.aggregators import create_aggregator, single_linkage
from napari_mil.aggregators.agglomeration import average_tree, ward_tree
from napari_mil.aggregators.mining.cards import MaskRatios
from napari_mil.bags import Bag
from napari_mil.errors import BagError, CancelledError, ClassifierError, UnknownNameError
from napari_mil.events import CancellationToken
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.explanation import (
    with_average_tree,
    with_masks,
    with_tree,
    with_ward_tree,
)
from napari_mil.inference.facts import AggregatorRef
from napari_mil.inference.pipeline import classify


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("breast-malignancy")


@pytest.fixture(scope="module")
def prediction(classifier):
    features = np.random.default_rng(0).normal(size=(60, classifier.card.in_dim)).astype(np.float32)
    return classify(Bag(features, np.arange(120).reshape(60, 2), 128.0), classifier, device="cpu")


def test_the_tree_is_that_of_the_features_as_the_classifier_sees_them(prediction, classifier):
    tree = with_tree(prediction, classifier).tree
    seen = classifier.standardise(prediction.features.features).numpy()
    assert np.array_equal(tree.triplets, single_linkage(seen).triplets)
    assert prediction.tree is None


@pytest.mark.parametrize(
    ("explain", "grow"), [(with_ward_tree, ward_tree), (with_average_tree, average_tree)]
)
def test_trees_of_whole_clusters_are_of_the_same_features(prediction, classifier, explain, grow):
    seen = classifier.standardise(prediction.features.features).numpy()
    assert np.array_equal(explain(prediction, classifier).triplets, grow(seen).triplets)


def test_a_tree_that_is_there_is_not_grown_again(prediction, classifier):
    once = with_tree(prediction, classifier)
    assert with_tree(once, classifier) is once


def test_growing_a_tree_can_be_cancelled(prediction, classifier):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        with_tree(prediction, classifier, token.raise_if_cancelled)


@pytest.mark.parametrize(
    ("strategy", "kinds"), [("ham", {"high"}), ("lr-ham", {"high", "low", "random"})]
)
def test_masks_hide_what_the_classifier_ranks_highest(prediction, classifier, strategy, kinds):
    masks = with_masks(prediction, classifier, strategy).masks
    assert set(masks) == kinds
    assert masks["high"].shape == (60,)
    assert masks["high"].any()
    # 2 % of 60, rounded up.
    candidates = np.argsort(-prediction.attention[:, 0])[:2]
    assert set(np.flatnonzero(masks["high"])) <= set(candidates)


@pytest.mark.parametrize("high", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("low", [0.0, 0.15])
@pytest.mark.parametrize("random", [0.2, 0.33])
def test_shares_change_how_many_of_each_kind_are_masked(prediction, classifier, high, low, random):
    ratios = MaskRatios(high, low, random)
    masks = with_masks(prediction, classifier, "lr-ham", ratios).masks
    # Section 3.3 of the paper: a share of all N, rounded up.
    expected = {"high": high, "low": low, "random": random}
    counts = {kind: int(mask.sum()) for kind, mask in masks.items()}
    assert counts == {kind: math.ceil(60 * share) for kind, share in expected.items() if share}
    order = np.argsort(-prediction.attention[:, 0], kind="stable")
    assert set(np.flatnonzero(masks["high"])) == set(order[: counts["high"]])
    if low:
        assert set(np.flatnonzero(masks["low"])) == set(order[-counts["low"] :])


def test_high_instances_are_drawn_of_more_candidates(prediction, classifier):
    masks = with_masks(prediction, classifier, "ham", MaskRatios(high=0.2, drawn=0.5)).masks
    order = np.argsort(-prediction.attention[:, 0], kind="stable")
    assert masks["high"].sum() == 12
    assert set(np.flatnonzero(masks["high"])) < set(order[:24])


def test_an_aggregator_that_ranks_nothing_is_named(prediction, classifier):
    pooled = replace(
        classifier, aggregator=create_aggregator("embedding-mean", classifier.card.in_dim, 1).eval()
    )
    with pytest.raises(UnknownNameError, match="EmbeddingMean"):
        with_masks(classify(prediction.features, pooled, device="cpu"), pooled, "ham")


def test_a_classifier_that_changed_since_is_not_asked(prediction, classifier):
    changed = replace(classifier, mean=classifier.mean + 1)
    for ask in (
        lambda: with_tree(prediction, changed),
        lambda: with_masks(prediction, changed, "ham"),
    ):
        with pytest.raises(ClassifierError, match="has changed since"):
            ask()


def test_ramils_random_merges_are_no_tree_of_the_tiles(prediction, classifier):
    card = replace(classifier.card, link="softmax", aggregator=AggregatorRef("ramil"))
    ramil = replace(
        classifier, card=card, aggregator=create_aggregator("ramil", card.in_dim, 2).eval()
    )
    answer = classify(prediction.features, ramil, device="cpu")
    assert answer.tree is None
    assert np.array_equal(
        with_tree(answer, ramil).tree.heights, with_tree(prediction, classifier).tree.heights
    )


def test_without_features_nothing_can_be_asked(prediction, classifier):
    for ask in (
        lambda answer: with_tree(answer, classifier),
        lambda answer: with_masks(answer, classifier, "ham"),
    ):
        with pytest.raises(BagError, match="no longer in memory"):
            ask(replace(prediction, features=None))


def test_hamil_puts_its_tree_and_similarity_into_the_answer(prediction, classifier):
    torch.manual_seed(0)
    card = replace(classifier.card, link="softmax", aggregator=AggregatorRef("hamil"))
    hamil = replace(
        classifier, card=card, aggregator=create_aggregator("hamil", card.in_dim, 2).eval()
    )
    answer = classify(prediction.features, hamil, device="cpu")
    assert answer.tree.triplets.shape == (59, 3)
    assert answer.similarity.shape == (60,)
    assert "similarity" in answer.columns()
