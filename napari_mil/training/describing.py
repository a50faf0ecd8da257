"""Description of the features that a classifier was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from napari_mil.inference.classifier import Classifier
from napari_mil.inference.likeness import Likeness, as_vectors, describe
from napari_mil.training.store import BagStore


def describe_training(
    classifier: Classifier, store: BagStore, bags: Sequence[int], seed: int
) -> Likeness | None:
    """Describe the features of training bags as the classifier sees them.

    Parameters
    ----------
    classifier
        Standardises features, and encodes images where it has a network of its own.
    store
        Bags of the cohort.
    bags
        Numbers of the bags that trained and chose.
    seed
        Seed of what is drawn.

    Returns
    -------
    Likeness or None
        None of too few patients.
    """
    patients = [store.cohort.bags[b].patient for b in bags]
    return describe([_vectors(classifier, store, b) for b in bags], patients, seed)


def _vectors(classifier: Classifier, store: BagStore, b: int) -> np.ndarray:
    """Return the standardised features of a bag: float32 (N, D)."""
    values = store.read(b)
    if values.dtype == np.uint8:
        # Images, that the classifier's own network encodes.
        encoder = classifier.create_encoder(torch.device("cpu"))
        values = encoder.encode(values)
    vectors = as_vectors(values)
    return (vectors - classifier.mean.numpy()) / classifier.scale.numpy()
