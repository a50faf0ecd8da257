"""How unlike the training data of a classifier a bag is.

A classifier answers whatever it is shown. Its bundle therefore describes the features it was
trained on, and every answer says how far its own features lie from them: distances to the nearest
training instances in a whitened principal subspace (as deep nearest neighbours, Sun et al. 2022,
"Out-of-distribution detection with deep nearest neighbors", eq. 2-3), and what the subspace leaves
out. Both limits come from patients that were left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

COMPONENTS = 32
"""Largest number of principal axes."""
PROTOTYPES = 2048
"""Most training instances that are kept, 2 bytes a value."""
NEIGHBOURS = 5
"""Nearest prototypes whose mean distance counts."""
FALSE_ALARMS = 0.05
"""Share of training-like tiles, and of training-like bags, that are called unlike."""
MOST_FOLDS = 20
"""Most groups of patients that are left out in turn."""
MOST_INSTANCES = 20_000
"""Most instances of all bags that a description is made of."""
FEWEST_PATIENTS = 5
"""Patients below which no description is made: its limits would mean nothing."""
ROWS_AT_ONCE = 4096
PREFIX = "likeness."
"""Beginning of the names of its arrays in a bundle."""


@dataclass(frozen=True, eq=False)
class Unlikeness:
    """How unlike the training data a bag and its instances are; 1 is the limit."""

    instances: np.ndarray
    """float32 (N,): distance of each instance, as a multiple of the limit of instances."""
    bag: float
    """Median of the instances, as a multiple of the limit of bags."""

    @property
    def is_unlike(self) -> bool:
        """Whether the bag lies beyond the limit that 5 % of training-like bags exceed."""
        return self.bag > 1

    @property
    def share(self) -> float:
        """Share of instances beyond the limit that 5 % of training-like instances exceed."""
        return float((self.instances > 1).mean())


@dataclass(frozen=True, eq=False)
class _Space:
    """Whitened principal subspace of some instances, and some of them in it."""

    mean: np.ndarray
    """float32 (D,)."""
    axes: np.ndarray
    """float32 (D, K): maps centred features to unit variance along each axis."""
    residual: float
    """Mean squared length, over training instances, of what the subspace leaves out."""
    prototypes: np.ndarray
    """float16 (P, K)."""

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return float32 (N,): distance of each instance from the training instances."""
        prototypes = self.prototypes.astype(np.float32)
        # Whitened axes have the length of a standard deviation; this undoes the whitening.
        back = np.linalg.pinv(self.axes)
        return np.concatenate(
            [
                self._distances(features[start : start + ROWS_AT_ONCE], prototypes, back)
                for start in range(0, len(features), ROWS_AT_ONCE)
            ]
        )

    def _distances(
        self, features: np.ndarray, prototypes: np.ndarray, back: np.ndarray
    ) -> np.ndarray:
        centred = features - self.mean
        inside = centred @ self.axes
        squares = (inside**2).sum(1)[:, None] + (prototypes**2).sum(1) - 2 * inside @ prototypes.T
        nearest = np.partition(squares, min(NEIGHBOURS, len(prototypes)) - 1, axis=1)
        nearest = np.sqrt(np.maximum(nearest[:, :NEIGHBOURS], 0)).mean(1)
        left_out = (centred**2).sum(1) - ((inside @ back) ** 2).sum(1)
        outside = np.maximum(left_out, 0) / self.residual
        return np.sqrt(nearest**2 / self.axes.shape[1] + outside).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Likeness:
    """Description of the features that a classifier was trained on, without pixels and names."""

    space: _Space
    instance_limit: float
    """Distance that 5 % of the instances of patients that were left out exceed."""
    bag_limit: float
    """Median of `instances` that 5 % of the bags of patients that were left out exceed."""
    patients: int
    """Patients that the limits rest on."""

    def unlikeness(self, features: np.ndarray) -> Unlikeness:
        """Return how unlike the training data a bag is.

        Parameters
        ----------
        features
            float32 (N, D), standardised as the classifier does.
        """
        distances = self.space.distances(features) / self.instance_limit
        return Unlikeness(
            distances.astype(np.float32), float(np.median(distances)) / self.bag_limit
        )

    def tensors(self) -> dict[str, np.ndarray]:
        """Return its arrays by name, as a bundle keeps them."""
        space = self.space
        limits = (space.residual, self.instance_limit, self.bag_limit, self.patients)
        return {
            f"{PREFIX}mean": space.mean,
            f"{PREFIX}axes": space.axes,
            f"{PREFIX}prototypes": space.prototypes,
            f"{PREFIX}limits": np.array(limits, np.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Likeness | None:
        """Return what `tensors` gave, or None where a bundle has no description.

        Raises
        ------
        KeyError
            If a part of it is missing.
        ValueError
            If its parts do not fit together.
        """
        if not any(name.startswith(PREFIX) for name in tensors):
            return None
        residual, instance_limit, bag_limit, patients = tensors[f"{PREFIX}limits"].tolist()
        space = _Space(
            tensors[f"{PREFIX}mean"],
            tensors[f"{PREFIX}axes"],
            residual,
            tensors[f"{PREFIX}prototypes"],
        )
        if space.axes.shape != (len(space.mean), space.prototypes.shape[1]):
            raise ValueError("the description of its training features does not fit together")
        return cls(space, instance_limit, bag_limit, int(patients))


def describe(bags: Sequence[np.ndarray], patients: Sequence[str], seed: int = 0) -> Likeness | None:
    """Describe the features of training bags.

    Limits are quantiles over bags of patients that were left out, each once, in at most 20 groups.

    Parameters
    ----------
    bags
        float32 (N, D) each, standardised as the classifier does.
    patients
        Patient of each bag.
    seed
        Seed of what is drawn: instances of large bags, prototypes, groups.

    Returns
    -------
    Likeness or None
        None of fewer than five patients.
    """
    names = sorted(set(patients))
    if len(names) < FEWEST_PATIENTS:
        return None
    random = np.random.default_rng(seed)
    vectors = _sampled(bags, random)
    group_of = dict(zip(random.permutation(names), np.arange(len(names)) % MOST_FOLDS, strict=True))
    groups = np.array([group_of[patient] for patient in patients])
    left_out: list[np.ndarray] = [np.empty(0)] * len(vectors)
    for group in np.unique(groups):
        others = [vectors[b] for b in np.flatnonzero(groups != group)]
        space = _space_of(others, random)
        for b in np.flatnonzero(groups == group):
            left_out[b] = space.distances(vectors[b])
    instance_limit = _quantile_of_bags(left_out)
    medians = np.array([np.median(distances) for distances in left_out]) / instance_limit
    # A patient with many bags counts once.
    owners = np.asarray(patients)
    weights = np.array([1 / (owners == owner).sum() for owner in owners])
    bag_limit = _weighted_quantile(medians, weights)
    return Likeness(_space_of(vectors, random), instance_limit, bag_limit, len(names))


def as_vectors(features: np.ndarray) -> np.ndarray:
    """Return one vector for each instance: maps are averaged; float32 (N, D)."""
    return features if features.ndim == 2 else features.mean(axis=(2, 3))


def _sampled(bags: Sequence[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    """Draw instances of large bags, so that all together are few enough."""
    most = max(1, MOST_INSTANCES // len(bags))
    return [
        bag if len(bag) <= most else bag[np.sort(random.choice(len(bag), most, replace=False))]
        for bag in bags
    ]


def _space_of(bags: Sequence[np.ndarray], random: np.random.Generator) -> _Space:
    """Return the principal subspace of instances, every bag with the same weight."""
    instances = np.concatenate(bags).astype(np.float64)
    weights = np.concatenate([np.full(len(bag), 1 / len(bag)) for bag in bags]) / len(bags)
    mean = weights @ instances
    centred = instances - mean
    variances, axes = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    order = np.argsort(-variances)
    kept = order[: min(COMPONENTS, int((variances > 1e-6 * variances.max()).sum()))]
    whitened = axes[:, kept] / np.sqrt(variances[kept])
    residual = float(np.delete(variances, kept).sum())
    chosen = random.choice(
        len(instances), min(PROTOTYPES, len(instances)), replace=False, p=weights
    )
    return _Space(
        mean.astype(np.float32),
        # In the order in which it is stored, so that a loaded bundle gives the same bits.
        np.ascontiguousarray(whitened, np.float32),
        max(residual, float(np.finfo(np.float32).eps)),
        np.ascontiguousarray(centred[chosen] @ whitened, np.float16),
    )


def _quantile_of_bags(distances: Sequence[np.ndarray]) -> float:
    """Return the distance that 5 % of the instances exceed, every bag with the same weight."""
    values = np.concatenate(distances)
    weights = np.concatenate([np.full(len(bag), 1 / len(bag)) for bag in distances])
    return _weighted_quantile(values, weights)


def _weighted_quantile(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the least value beyond which at most 5 % of the weight lies."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(below, 1 - FALSE_ALARMS))
    return float(values[order][min(place, len(values) - 1)])
