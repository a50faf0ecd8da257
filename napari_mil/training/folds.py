"""Folds that keep a group (patient, acquisition) together and classes in proportion; what one of them is asked, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mil.training.config import TrainingConfig
from napari_mil.training.fitting import Split


@dataclass(frozen=True)
class FoldTask:
    """One fold of one repeat."""

    repeat: int
    fold: int
    split: Split
    seed: int
    every_epoch: bool
    """Answers of every epoch are wanted, because something is chosen on the test fold; otherwise those of the kept epoch."""

    def own(self, config: TrainingConfig) -> TrainingConfig:
        """Return the configuration of this fold."""
        return config.model_copy(
            update={
                "seed": self.seed,
                **({"patience": None, "select": "last"} if self.every_epoch else {}),
            }
        )


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What a fold's classifier said."""

    test: np.ndarray
    """float64 (E, B, C): logits of the test bags, of every epoch or of the kept one."""
    validation: np.ndarray
    """float64 (V, C): logits of the validation bags in the kept epoch."""
    epoch: int
    """The kept epoch, counted from 1."""
    tile_auc: float = math.nan
    """How well its overlay finds annotated tiles of the test bags; NaN where none are annotated."""


def stratified_group_folds(
    labels: Sequence[int] | np.ndarray, groups: Sequence[str], folds: int, seed: int
) -> np.ndarray:
    """Assign every bag to one fold.

    Groups, in random order but largest first, go to the fold where they leave the class counts most even.

    Parameters
    ----------
    labels
        Class index of each bag, (B,).
    groups
        What must not be split, (B,).
    folds
        Number of folds.
    seed
        Of the random order.

    Returns
    -------
    np.ndarray
        int (B,): fold of each bag.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.
    """
    labels_array, names = np.asarray(labels), np.asarray(groups)
    unique = np.unique(names)
    if len(unique) < folds:
        raise ValueError(f"{folds} folds need at least {folds} groups, not {len(unique)}")
    classes = np.unique(labels_array)
    counts = np.array(
        [[np.sum((names == group) & (labels_array == c)) for c in classes] for group in unique]
    )  # (groups, classes)
    order = np.random.default_rng(seed).permutation(len(unique))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    share = counts / np.maximum(counts.sum(0), 1)
    filled = np.zeros((folds, len(classes)))
    groups_in = np.zeros(folds)
    assigned = np.empty(len(unique), int)
    for done, g in enumerate(order):
        empty = np.flatnonzero(groups_in == 0)
        # No fold may stay empty: the last groups go where there is none yet.
        open_folds = empty if len(empty) >= len(order) - done else np.arange(folds)
        unevenness = [
            (
                np.std(filled + share[g] * (np.arange(folds)[:, None] == f), axis=0).sum(),
                groups_in[f],
                int(f),
            )
            for f in open_folds
        ]
        fold = min(unevenness)[2]
        filled[fold] += share[g]
        groups_in[fold] += 1
        assigned[g] = fold
    return assigned[np.searchsorted(unique, names)]
