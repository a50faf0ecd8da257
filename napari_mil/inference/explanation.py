"""Explanations of an answer: its merge tree and its mining masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_mil.aggregators import MergeTree, create_miner, single_linkage
from napari_mil.aggregators.agglomeration import average_tree, ward_tree
from napari_mil.aggregators.mining.cards import STRATEGIES, MaskRatios
from napari_mil.errors import BagError, ClassifierError
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.prediction import Prediction


def with_tree(
    prediction: Prediction, classifier: Classifier, on_block: Callable[[], None] | None = None
) -> Prediction:
    """Return the answer with the merge tree of its bag.

    The tree is the method's own, or single linkage of the features as the classifier sees them.

    Parameters
    ----------
    prediction
        An answer whose features are still in memory, or that has a tree.
    classifier
        The classifier that gave the answer.
    on_block
        Called between blocks of the work; an error it raises ends the work.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer any more.
    """
    if prediction.tree is not None:
        return prediction
    features = standardised_features(prediction, classifier).cpu().numpy()
    return replace(prediction, tree=single_linkage(features, on_block=on_block))


def with_ward_tree(
    prediction: Prediction, classifier: Classifier, on_block: Callable[[], None] = lambda: None
) -> MergeTree:
    """Return Ward's tree of the features of an answer as the classifier sees them.

    Feature maps are averaged over space.

    Parameters
    ----------
    prediction
        An answer whose features are still in memory.
    classifier
        The one that gave it.
    on_block
        Called now and then; what it raises ends the work.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer any more.
    """
    return ward_tree(_mean_features(prediction, classifier), on_block)


def with_average_tree(
    prediction: Prediction, classifier: Classifier, on_block: Callable[[], None] = lambda: None
) -> MergeTree:
    """Return the tree of average linkage, of the features that `with_ward_tree` takes.

    Parameters and errors as there.
    """
    return average_tree(_mean_features(prediction, classifier), on_block)


def _mean_features(prediction: Prediction, classifier: Classifier) -> np.ndarray:
    """Return features (N, D) as the classifier sees them, maps as their means over space."""
    features: np.ndarray = standardised_features(prediction, classifier).cpu().numpy()
    return features.mean((2, 3)) if features.ndim == 4 else features


@torch.inference_mode()
def with_masks(
    prediction: Prediction,
    classifier: Classifier,
    strategy: str,
    ratios: MaskRatios | None = None,
) -> Prediction:
    """Return the answer with the instances that mining would mask.

    The classifier is the teacher.

    Parameters
    ----------
    prediction
        An answer whose features are still in memory.
    classifier
        The classifier that gave the answer.
    strategy
        See `create_miner`.
    ratios
        Shares of the kinds that the strategy masks; None takes those published for its
        aggregator.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer any more.
    UnknownNameError
        If the classifier's aggregator has nothing to rank instances by.
    """
    features = standardised_features(prediction, classifier)
    shares: dict[str, float] = {}
    if ratios is not None:
        kinds = (*STRATEGIES[strategy].kinds, "drawn")
        shares = {kind: getattr(ratios, kind) for kind in kinds}
    with torch.random.fork_rng():
        # What is drawn at random is drawn alike for the same answer.
        torch.manual_seed(0)
        masks = create_miner(strategy, classifier.aggregator, **shares).eval().masks(features)
    return replace(prediction, masks={kind: mask.cpu().numpy() for kind, mask in masks.items()})


def standardised_features(prediction: Prediction, classifier: Classifier) -> Tensor:
    """Return the features as the classifier sees them.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer.
    """
    if prediction.features is None:
        raise BagError("The features of this answer are no longer in memory; classify again.")
    if prediction.classifier.get("fingerprint") != classifier.fingerprint:
        raise ClassifierError(
            f"The classifier {classifier.card.name} has changed since it gave this answer; "
            "classify again."
        )
    return classifier.standardise(prediction.features.features)
