"""Repeated, grouped, nested cross-validation.

Nothing is chosen on the fold that is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from napari_mil.aggregators import Aggregator, create_aggregator
from napari_mil.training.evaluation.folds import stratified_group_folds
from napari_mil.training.evaluation.metrics import mean_auc
from scripts.head_fitting import FitSettings, fit, standardisation


@dataclass(frozen=True)
class Candidate:
    """Way to build a classifier; inner folds choose among several."""

    name: str
    bags: Sequence[np.ndarray]
    """Features of every bag of the cohort, float32 (N, D), not standardised."""
    aggregator: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: FitSettings = field(default_factory=FitSettings)
    n_outputs: int = 1
    """1 for one sigmoid unit, otherwise the number of exclusive classes."""


@dataclass(frozen=True)
class FittedHead:
    """Aggregator with the standardisation of its training bags."""

    aggregator: Aggregator
    mean: np.ndarray
    scale: np.ndarray

    @torch.inference_mode()
    def instance_logits(self, bag: np.ndarray) -> np.ndarray | None:
        """Compute logits (N,) of instances; None without an instance head."""
        logits = self.aggregator(torch.from_numpy((bag - self.mean) / self.scale)).instance_logits
        return None if logits is None else logits[:, 0].numpy()

    @torch.inference_mode()
    def logits(self, bag: np.ndarray) -> np.ndarray:
        """Compute the logits (C,) of a bag."""
        return self.aggregator(torch.from_numpy((bag - self.mean) / self.scale)).logits.numpy()

    def logit(self, bag: np.ndarray) -> float:
        """Compute the logit of a bag by one sigmoid unit."""
        return float(self.logits(bag)[0])


@dataclass(frozen=True)
class OutOfFold:
    """Predictions from classifiers that never saw the bag's group."""

    logits: np.ndarray
    """Logit of each bag, float64 (repeats, B), or (repeats, B, C) of exclusive classes."""
    folds: np.ndarray
    """Outer fold of each bag, int (repeats, B)."""
    chosen: tuple[str, ...]
    """Name of the candidate chosen in each repeat and fold."""
    instance_logits: tuple[tuple[np.ndarray | None, ...], ...]
    """Logits of each bag's instances, (repeats, B), or None.

    They are None where the chosen candidate has no instance head.
    """


def fit_head(
    candidate: Candidate, labels: np.ndarray, members: np.ndarray, seed: int
) -> FittedHead:
    """Fit a candidate on some bags of the cohort."""
    bags = [candidate.bags[int(b)] for b in members]
    mean, scale = standardisation(bags)
    settings = replace(candidate.settings, seed=seed)
    create = partial(
        create_aggregator,
        candidate.aggregator,
        bags[0].shape[1],
        candidate.n_outputs,
        **candidate.options,
    )
    aggregator = fit(
        create,
        [(bag - mean) / scale for bag in bags],
        [float(label) for label in labels[members]],
        settings,
    )
    return FittedHead(aggregator, mean, scale)


def choose_candidate(
    candidates: Sequence[Candidate],
    labels: np.ndarray,
    groups: Sequence[str],
    members: np.ndarray,
    inner_folds: int,
    seed: int,
) -> Candidate:
    """Choose the candidate of the largest AUC, averaged over classes, over inner folds.

    The inner folds are of the training bags `members`. A single candidate is chosen as it is.
    """
    if len(candidates) == 1:
        return candidates[0]
    folds = stratified_group_folds(labels[members], [groups[b] for b in members], inner_folds, seed)
    areas = []
    for candidate in candidates:
        logits = np.empty((len(members), candidate.n_outputs))
        for fold in range(inner_folds):
            held_out = folds == fold
            head = fit_head(candidate, labels, members[~held_out], seed)
            logits[held_out] = [head.logits(candidate.bags[int(b)]) for b in members[held_out]]
        areas.append(mean_auc(labels[members], logits))
    return candidates[int(np.nanargmax(areas))]


def nested_cross_validation(
    candidates: Sequence[Candidate],
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    folds: int = 5,
    inner_folds: int = 3,
    repeats: int = 10,
    workers: int = 1,
) -> OutOfFold:
    """Evaluate the procedure, including the choice among candidates.

    Parameters
    ----------
    candidates
        Ways to build the classifier.
    labels
        0/1, or class index, of each bag, (B,).
    groups
        Group of each bag, (B,); a group is never split between training and test.
    folds, inner_folds, repeats
        Outer folds, inner folds for the choice, and draws of the outer folds.
    workers
        Processes; the result does not depend on their number.

    Returns
    -------
    OutOfFold
    """
    truth = np.asarray(labels)
    fold_of_bag = np.stack(
        [stratified_group_folds(truth, groups, folds, seed) for seed in range(repeats)]
    )
    jobs = [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]
    run = partial(_run_outer_fold, candidates, truth, groups, fold_of_bag, inner_folds)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        results = list(pool.map(run, jobs))
    logits = np.empty((*fold_of_bag.shape, candidates[0].n_outputs))
    instances: list[list[np.ndarray | None]] = [[None] * len(truth) for _ in range(repeats)]
    for (repeat, fold), (_, fold_logits, fold_instances) in zip(jobs, results, strict=True):
        members = np.flatnonzero(fold_of_bag[repeat] == fold)
        logits[repeat, members] = fold_logits
        for b, values in zip(members, fold_instances, strict=True):
            instances[repeat][b] = values
    chosen = tuple(name for name, _, _ in results)
    if candidates[0].n_outputs == 1:
        logits = logits[..., 0]
    return OutOfFold(logits, fold_of_bag, chosen, tuple(map(tuple, instances)))


def _run_outer_fold(
    candidates: Sequence[Candidate],
    labels: np.ndarray,
    groups: Sequence[str],
    fold_of_bag: np.ndarray,
    inner_folds: int,
    job: tuple[int, int],
) -> tuple[str, list[np.ndarray], list[np.ndarray | None]]:
    """Choose a candidate for one outer fold and predict its test bags."""
    repeat, fold = job
    training = np.flatnonzero(fold_of_bag[repeat] != fold)
    test = np.flatnonzero(fold_of_bag[repeat] == fold)
    candidate = choose_candidate(candidates, labels, groups, training, inner_folds, seed=repeat)
    head = fit_head(candidate, labels, training, seed=repeat)
    return (
        candidate.name,
        [head.logits(candidate.bags[int(b)]) for b in test],
        [head.instance_logits(candidate.bags[int(b)]) for b in test],
    )
