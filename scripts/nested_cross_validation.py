"""Repeated, grouped, nested cross-validation: nothing is chosen on the fold that is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from napari_mil.aggregators import Aggregator, create_aggregator
from napari_mil.training.folds import stratified_group_folds
from napari_mil.training.metrics import auc
from scripts.head_fitting import FitSettings, fit, standardisation


@dataclass(frozen=True)
class Candidate:
    """One way to build a classifier of one sigmoid unit; inner folds choose among several."""

    name: str
    bags: Sequence[np.ndarray]
    """float32 (N, D) of every bag of the cohort, not standardised."""
    aggregator: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True)
class FittedHead:
    """An aggregator with the standardisation of its own training bags."""

    aggregator: Aggregator
    mean: np.ndarray
    scale: np.ndarray

    @torch.inference_mode()
    def instance_logits(self, bag: np.ndarray) -> np.ndarray | None:
        """Return (N,) where the aggregator has an instance head."""
        logits = self.aggregator(torch.from_numpy((bag - self.mean) / self.scale)).instance_logits
        return None if logits is None else logits[:, 0].numpy()

    @torch.inference_mode()
    def logit(self, bag: np.ndarray) -> float:
        """Return the bag's logit."""
        return float(self.aggregator(torch.from_numpy((bag - self.mean) / self.scale)).logits[0])


@dataclass(frozen=True)
class OutOfFold:
    """What every bag got from classifiers that never saw its group."""

    logits: np.ndarray
    """float64 (repeats, B)."""
    folds: np.ndarray
    """int (repeats, B): outer fold of each bag."""
    chosen: tuple[str, ...]
    """Candidate of each repeat and fold."""
    instance_logits: tuple[tuple[np.ndarray | None, ...], ...]
    """(repeats, B): per-instance logits of the chosen candidate where it has them."""


def fit_head(
    candidate: Candidate, labels: np.ndarray, members: np.ndarray, seed: int
) -> FittedHead:
    """Fit a candidate on some bags of the cohort."""
    bags = [candidate.bags[int(b)] for b in members]
    mean, scale = standardisation(bags)
    settings = FitSettings(
        **{
            **{
                name: getattr(candidate.settings, name) for name in FitSettings.__dataclass_fields__
            },
            "seed": seed,
        }
    )
    create = partial(
        create_aggregator, candidate.aggregator, bags[0].shape[1], 1, **candidate.options
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
    """Return the candidate of the largest AUC over inner folds of the training bags; the first where there is no choice."""
    if len(candidates) == 1:
        return candidates[0]
    folds = stratified_group_folds(labels[members], [groups[b] for b in members], inner_folds, seed)
    areas = []
    for candidate in candidates:
        logits = np.empty(len(members))
        for fold in range(inner_folds):
            head = fit_head(candidate, labels, members[folds != fold], seed)
            logits[folds == fold] = [
                head.logit(candidate.bags[int(b)]) for b in members[folds == fold]
            ]
        areas.append(auc(labels[members], logits))
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
    """Judge the whole procedure, the choice among candidates included.

    Parameters
    ----------
    candidates
        Ways to build the classifier.
    labels
        0/1 of each bag, (B,).
    groups
        What must not be split between training and test, (B,).
    folds, inner_folds, repeats
        Outer folds, inner folds for the choice, and draws of the outer folds.
    workers
        Processes; the result does not depend on their number.

    Returns
    -------
    OutOfFold
    """
    truth = np.asarray(labels)
    drawn = np.stack(
        [stratified_group_folds(truth, groups, folds, seed) for seed in range(repeats)]
    )
    jobs = [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]
    run = partial(_outer_fold, candidates, truth, groups, drawn, inner_folds)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        answers = list(pool.map(run, jobs))
    logits = np.empty(drawn.shape)
    instances: list[list[np.ndarray | None]] = [[None] * len(truth) for _ in range(repeats)]
    for (repeat, fold), (_, fold_logits, fold_instances) in zip(jobs, answers, strict=True):
        members = np.flatnonzero(drawn[repeat] == fold)
        logits[repeat, members] = fold_logits
        for b, values in zip(members, fold_instances, strict=True):
            instances[repeat][b] = values
    return OutOfFold(
        logits, drawn, tuple(name for name, _, _ in answers), tuple(map(tuple, instances))
    )


def _outer_fold(
    candidates: Sequence[Candidate],
    labels: np.ndarray,
    groups: Sequence[str],
    drawn: np.ndarray,
    inner_folds: int,
    job: tuple[int, int],
) -> tuple[str, list[float], list[np.ndarray | None]]:
    repeat, fold = job
    training, test = np.flatnonzero(drawn[repeat] != fold), np.flatnonzero(drawn[repeat] == fold)
    candidate = choose_candidate(candidates, labels, groups, training, inner_folds, seed=repeat)
    head = fit_head(candidate, labels, training, seed=repeat)
    return (
        candidate.name,
        [head.logit(candidate.bags[int(b)]) for b in test],
        [head.instance_logits(candidate.bags[int(b)]) for b in test],
    )
