"""Aggregation of a bag's features into a classifier's answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from napari_mil.aggregators import MergeTree
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.output import link
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.devices import is_memory_full


@dataclass(frozen=True)
class BagAnswer:
    """An aggregator's output as arrays, one column per class.

    C classes, N instances, K attention heads; None where the method lacks a value.
    """

    logits: np.ndarray
    """float32 (C,), or (1,) for one sigmoid unit."""
    probabilities: np.ndarray
    """float32 (C,): after temperature."""
    attention: np.ndarray | None
    """float32 (N, K)."""
    instance_scores: np.ndarray | None
    """float32 (N, C): probabilities of each instance alone."""
    critical: np.ndarray | None
    """int64: index of the top instance of each logit."""
    similarity: np.ndarray | None
    """float32 (N,)."""
    tree: MergeTree | None
    """Merges of the bag by a hierarchical method."""
    device: torch.device
    """Device that aggregated the bag."""


def answer_bag(classifier: Classifier, features: np.ndarray) -> BagAnswer:
    """Aggregate a bag on the classifier's device.

    The CPU is used where the bag does not fit into the device's memory; `device` of the answer
    then says so.

    Parameters
    ----------
    classifier
        Gives the aggregator and its device.
    features
        float32 (N, D) or (N, D, H, W), not standardised.
    """
    try:
        return _aggregate(classifier, features)
    except RuntimeError as error:
        if classifier.mean.device.type == "cpu" or not is_memory_full(error):
            raise
    # Outside the except block, so that the traceback no longer holds the tensors.
    torch.cuda.empty_cache()
    return _aggregate(classifier.to(torch.device("cpu")), features)


def predicted_classes(card: ClassifierCard, probabilities: np.ndarray) -> tuple[str, ...]:
    """Return the predicted classes: one, or any number if multi-label.

    Parameters
    ----------
    card
        Gives the classes, the link and the threshold.
    probabilities
        float (C,).
    """
    if card.multi_label:
        pairs = zip(card.classes, probabilities, strict=True)
        return tuple(name for name, p in pairs if p >= card.threshold)
    if len(card.classes) == 2:
        return (card.classes[int(probabilities[1] >= card.threshold)],)
    return (card.classes[int(np.argmax(probabilities))],)


def probabilities_of(logits: np.ndarray, card: ClassifierCard) -> np.ndarray:
    """Return the probabilities float32 (..., C) of logits, after temperature.

    Parameters
    ----------
    logits
        (..., C), or (..., 1) for one sigmoid unit.
    card
        Link and temperature.
    """
    tempered = torch.from_numpy(np.ascontiguousarray(logits)) / card.temperature
    return _per_class(link(tempered, card.multi_label).float().numpy(), card)


@torch.inference_mode()
def _aggregate(classifier: Classifier, features: np.ndarray) -> BagAnswer:
    card = classifier.card
    output = classifier.aggregator(classifier.standardise(features))
    probabilities = link(output.logits / card.temperature, card.multi_label).cpu().numpy()
    scores = None
    if output.instance_logits is not None:
        tempered = output.instance_logits / card.temperature
        scores = _per_class(link(tempered, card.multi_label).cpu().numpy(), card)
    aggregator = AGGREGATORS.get(card.aggregator.name)
    # Merges in random order say nothing about the tiles.
    keeps_tree = aggregator is not None and aggregator.merges_instances
    return BagAnswer(
        logits=output.logits.cpu().numpy(),
        probabilities=_per_class(probabilities, card),
        attention=_array(output.attention),
        instance_scores=scores,
        critical=_array(output.critical),
        similarity=_array(output.similarity),
        tree=output.tree if keeps_tree else None,
        device=output.logits.device,
    )


def _array(values: torch.Tensor | None) -> np.ndarray | None:
    return None if values is None else values.cpu().numpy()


def _per_class(probabilities: np.ndarray, card: ClassifierCard) -> np.ndarray:
    """Turn (..., 1) of one sigmoid unit into (..., 2): (1 - p, p)."""
    if card.link != "sigmoid":
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], -1)
