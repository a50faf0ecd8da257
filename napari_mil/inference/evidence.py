"""Evidence for an answer: what each instance counts for, and how few suffice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_mil.inference.aggregation import predicted_classes
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.parts import BagParts, Curve, fewest_sufficient
from napari_mil.inference.prediction import ALONE, CONTRIBUTION, Prediction

RANDOM = "random order"
"""Name of the curve that the others are compared with."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the instances of a bag count for in an answer; N instances."""

    parts: BagParts
    """Answers for parts of the bag."""
    explained: str
    """Class that curves and `sufficient` are about: the predicted one."""
    columns: Mapping[str, np.ndarray]
    """float32 (N,) by name: ``alone_<class>``, a probability, and ``contribution_<class>``,
    a difference of log-odds."""
    sufficient: np.ndarray
    """Indices of the fewest instances that give the answer, the largest contribution first."""
    faithfulness: Mapping[str, float] = field(default_factory=dict)
    """Area under the deletion curve of each map; the lower the more faithful."""
    deletion: Mapping[str, Curve] = field(default_factory=dict)
    """Curves by the map whose order they follow, the highest first, and in random order."""
    reference: str = RANDOM
    """Name of the curve that the others are compared with."""


def gather_evidence(
    prediction: Prediction,
    classifier: Classifier,
    on_block: Callable[[], None] = lambda: None,
    *,
    seed: int = 0,
) -> Evidence:
    """Ask what every instance counts for.

    Parameters
    ----------
    prediction
        An answer whose features are still in memory.
    classifier
        The classifier that gave it.
    on_block
        Called now and then; what it raises ends the work.
    seed
        Random seed of the order that maps are compared with.

    Raises
    ------
    BagError
        If the features are gone.
    ClassifierError
        If the classifier is not the one that gave the answer any more.
    """
    parts = BagParts(prediction, classifier)
    classes = prediction.classes
    k = _explained_class(prediction)
    on_block()
    alone = parts.alone(on_block)
    contributions = parts.contributions(on_block)
    columns = {f"{ALONE}_{name}": alone[:, c] for c, name in enumerate(classes)}
    if contributions is not None:
        columns |= {f"{CONTRIBUTION}_{name}": contributions[:, c] for c, name in enumerate(classes)}
    maps = _maps_of_class(prediction, columns, k)
    ranking = _order(maps[CONTRIBUTION if contributions is not None else ALONE])
    deletion = {
        name: parts.while_deleting(_order(values), on_block) for name, values in maps.items()
    }
    random_order = np.random.default_rng(seed).permutation(len(parts))
    deletion[RANDOM] = parts.while_deleting(random_order, on_block)
    inserting = parts.while_inserting(ranking, on_block)
    n_sufficient = fewest_sufficient(
        inserting,
        k,
        prediction.probabilities,
        lambda answered: predicted_classes(classifier.card, answered) == prediction.labels,
    )
    return Evidence(
        parts,
        classes[k],
        columns,
        ranking[:n_sufficient],
        {name: curve.area(k) for name, curve in deletion.items()},
        deletion,
    )


def _explained_class(prediction: Prediction) -> int:
    """Return the number of the predicted class; of several labels, or none, the likeliest."""
    if len(prediction.labels) == 1:
        return prediction.classes.index(prediction.labels[0])
    return int(np.argmax(prediction.probabilities))


def _maps_of_class(
    prediction: Prediction, columns: Mapping[str, np.ndarray], k: int
) -> dict[str, np.ndarray]:
    """Return the maps (N,) that say which instances speak for a class, by name."""
    name = prediction.classes[k]
    maps = {
        kind: columns[f"{kind}_{name}"]
        for kind in (CONTRIBUTION, ALONE)
        if f"{kind}_{name}" in columns
    }
    if prediction.instance_scores is not None:
        maps["score"] = prediction.instance_scores[:, k]
    attention = prediction.attention
    if attention is not None:
        column = k if attention.shape[1] == len(prediction.classes) else 0
        maps["attention"] = attention[:, column]
    return maps


def _order(values: np.ndarray) -> np.ndarray:
    """Return the instances from the highest value to the lowest."""
    return np.argsort(-np.nan_to_num(values), kind="stable")
