"""Folds of a cross-validation, and their splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mil.training.config import TrainingConfig


@dataclass(frozen=True)
class Split:
    """Numbers of the bags that train, choose and test."""

    training: tuple[int, ...]
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()


@dataclass(frozen=True)
class FoldTask:
    """One fold of one repeat, to be trained."""

    repeat: int
    fold: int
    split: Split
    seed: int
    every_epoch: bool
    """Whether the test bags are classified after every epoch.

    Set where the epoch is chosen on the test fold.
    """

    def fold_config(self, config: TrainingConfig) -> TrainingConfig:
        """Return the configuration of this fold."""
        changes: dict[str, object] = {"seed": self.seed}
        if self.every_epoch:
            changes |= {"patience": None, "select": "last"}
        return config.model_copy(update=changes)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Answers of the classifier of one fold."""

    test: np.ndarray
    """Logits of the test bags, float64 (E, B, C).

    Of every epoch, or of the kept one alone (E = 1).
    """
    validation: np.ndarray
    """Logits of the validation bags in the kept epoch, float64 (V, C)."""
    epoch: int
    """Number of the kept epoch, counted from 1."""
    tile_auc: float = math.nan
    """AUC of the overlay on annotated tiles of test bags.

    NaN where none are annotated.
    """


def stratified_group_folds(
    labels: Sequence[int] | np.ndarray, groups: Sequence[str], folds: int, seed: int
) -> np.ndarray:
    """Assign every bag to one fold, groups kept whole and classes even.

    Groups, in random order but largest first, go to the fold where they leave the class counts
    most even.

    Parameters
    ----------
    labels
        Class index of each bag, (B,).
    groups
        Name of what must not be split (patient, acquisition), (B,).
    folds
        Number of folds.
    seed
        Seed of the random order.

    Returns
    -------
    np.ndarray
        Fold of each bag, int (B,).

    Raises
    ------
    ValueError
        If there are fewer groups than folds.
    """
    labels = np.asarray(labels)
    names = np.asarray(groups)
    unique = np.unique(names)
    if len(unique) < folds:
        raise ValueError(f"{folds} folds need at least {folds} groups, not {len(unique)}")
    classes = np.unique(labels)
    # Bags of each class in each group, (groups, classes).
    counts = np.array(
        [[np.sum((names == group) & (labels == c)) for c in classes] for group in unique]
    )
    order = np.random.default_rng(seed).permutation(len(unique))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    share = counts / np.maximum(counts.sum(0), 1)
    filled = np.zeros((folds, len(classes)))
    groups_in_fold = np.zeros(folds)
    assigned = np.empty(len(unique), int)
    for n_assigned, g in enumerate(order):
        empty = np.flatnonzero(groups_in_fold == 0)
        # No fold may stay empty: the last groups go to folds that have none yet.
        n_left = len(order) - n_assigned
        candidates = empty if len(empty) >= n_left else np.arange(folds)
        fold = _most_even_fold(filled, share[g], groups_in_fold, candidates)
        filled[fold] += share[g]
        groups_in_fold[fold] += 1
        assigned[g] = fold
    return assigned[np.searchsorted(unique, names)]


def _most_even_fold(
    filled: np.ndarray, share: np.ndarray, groups_in_fold: np.ndarray, candidates: np.ndarray
) -> int:
    """Return the fold in which a group leaves the classes most even.

    Parameters
    ----------
    filled
        Share of each class in each fold so far, (folds, classes).
    share
        Share of each class that the group holds, (classes,).
    groups_in_fold
        Number of groups in each fold, which decides ties.
    candidates
        Folds to choose from.
    """
    folds = np.arange(len(filled))
    ranked = []
    for fold in candidates:
        added = filled + share * (folds[:, None] == fold)
        ranked.append((np.std(added, axis=0).sum(), groups_in_fold[fold], int(fold)))
    return min(ranked)[2]
