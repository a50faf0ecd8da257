"""Which bags teach, choose and judge."""

from __future__ import annotations

import numpy as np

from napari_mil.errors import TrainingError
from napari_mil.training.cohort import Cohort
from napari_mil.training.config import FEWEST_TO_SELECT, TrainingConfig
from napari_mil.training.fitting import Split
from napari_mil.training.folds import stratified_group_folds


def stratum_of(targets: np.ndarray) -> np.ndarray:
    """Return one integer per bag that folds keep in proportion: its class, or its rarest label."""
    if targets.ndim == 1:
        return targets
    rarity = targets.sum(0)
    return np.array([int(np.where(row > 0, rarity, np.inf).argmin()) if row.any() else targets.shape[1] for row in targets])


def validation_split(cohort: Cohort, bags: np.ndarray, config: TrainingConfig, seed: int) -> Split:
    """Put a share of the patients aside to choose the epoch, stratified; nothing where there are too few bags to choose by.

    Both parts hold every class, or nothing is put aside.
    """
    everything = tuple(int(b) for b in bags)
    if config.validation == 0 or (config.select == "auto" and len(bags) < FEWEST_TO_SELECT):
        return Split(everything)
    targets, groups = cohort.targets[bags], [cohort.groups[b] for b in bags]
    folds = max(2, round(1 / config.validation))
    if len(set(groups)) < folds:
        return Split(everything)
    drawn = stratified_group_folds(stratum_of(targets), groups, folds, seed)
    aside = drawn == 0
    if not (_has_all(targets, aside) and _has_all(targets, ~aside)):
        return Split(everything)
    return Split(tuple(int(b) for b in bags[~aside]), tuple(int(b) for b in bags[aside]))


def split_of(cohort: Cohort, config: TrainingConfig) -> Split:
    """Split a cohort for one run: as its table says, otherwise by drawing patients.

    Raises
    ------
    TrainingError
        If the table leaves fewer than two classes to train on.
    """
    named = np.array([bag.split or "" for bag in cohort.bags])
    test, validation = np.flatnonzero(named == "test"), np.flatnonzero(named == "validation")
    rest = np.flatnonzero((named != "test") & (named != "validation"))
    if not _two_classes(cohort.targets[rest]):
        raise TrainingError(f"The training split of {cohort.root.name} holds fewer than two classes; change the column 'split'.")
    drawn = Split(tuple(map(int, rest)), tuple(map(int, validation))) if len(validation) else validation_split(cohort, rest, config, config.seed)
    return Split(drawn.training, drawn.validation, tuple(map(int, test)))


def _has_all(targets: np.ndarray, chosen: np.ndarray) -> bool:
    return set(np.unique(targets)) == set(np.unique(targets[chosen])) if targets.ndim == 1 else bool(chosen.any())


def _two_classes(targets: np.ndarray) -> bool:
    return len(targets) > 0 and (targets.ndim == 2 or len(np.unique(targets)) > 1)
