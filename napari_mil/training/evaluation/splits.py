"""Splits of a cohort, for one run or for every fold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import FEWEST_TO_SELECT, TrainingConfig
from napari_mil.training.evaluation.folds import FoldTask, Split, stratified_group_folds
from napari_mil.training.evaluation.protocols import Protocol

MOST_PARTS = 20
"""Most parts that patients are dealt into.

A validation share is a number of parts.
"""


def stratum_of(targets: np.ndarray) -> np.ndarray:
    """Return one integer per bag that folds keep in proportion.

    It is the class of a bag, or its rarest label where bags have several.
    """
    if targets.ndim == 1:
        return targets
    n_bags_with = targets.sum(0)
    without_label = targets.shape[1]
    strata = [
        int(np.where(row > 0, n_bags_with, np.inf).argmin()) if row.any() else without_label
        for row in targets
    ]
    return np.array(strata)


def validation_split(cohort: Cohort, bags: np.ndarray, config: TrainingConfig, seed: int) -> Split:
    """Put a stratified share of the patients aside for validation.

    Nothing is put aside where there are too few bags to choose by, or where one of the two parts
    would lack a class.
    """
    everything = _as_bags(bags)
    if config.validation == 0 or _too_few(config, len(bags)):
        return Split(everything)
    targets = cohort.targets[bags]
    groups = [cohort.groups[b] for b in bags]
    n_groups = len(set(groups))
    if n_groups < 2:
        return Split(everything)
    share = max(Fraction(config.validation).limit_denominator(MOST_PARTS), Fraction(1, MOST_PARTS))
    parts = max(2, min(share.denominator, n_groups))
    n_aside = min(share.numerator, parts - 1)
    part_of = stratified_group_folds(stratum_of(targets), groups, parts, seed)
    for first in range(parts):
        aside = (part_of - first) % parts < n_aside
        if _has_all_classes(targets, aside) and _has_all_classes(targets, ~aside):
            return Split(_as_bags(bags[~aside]), _as_bags(bags[aside]))
    return Split(everything)


def why_none(split: Split, config: TrainingConfig) -> str:
    """Return why a split puts no bags aside for validation."""
    if config.validation == 0:
        return "the validation share is 0"
    if _too_few(config, len(split.training)):
        return f"there are fewer than {FEWEST_TO_SELECT} to train on"
    return "no draw of patients leaves every class on both sides"


def split_of(cohort: Cohort, config: TrainingConfig) -> Split:
    """Split a cohort for one run.

    The table's column decides, and where it names no validation bags, patients are drawn.

    Raises
    ------
    TrainingError
        If the table leaves a class without a bag to train on.
    """
    named = np.array([bag.split or "" for bag in cohort.bags])
    test = np.flatnonzero(named == "test")
    validation = np.flatnonzero(named == "validation")
    training = np.flatnonzero((named != "test") & (named != "validation"))
    trained_classes = {label for b in training for label in cohort.bags[b].labels}
    missing = [name for name in cohort.classes if name not in trained_classes]
    if missing:
        raise TrainingError(
            f"The training split of {cohort.root.name} holds no bag of the class {missing[0]}; "
            "change the column 'split'."
        )
    if len(validation):
        split = Split(_as_bags(training), _as_bags(validation))
    else:
        split = validation_split(cohort, training, config, config.seed)
    return replace(split, test=_as_bags(test))


def fold_tasks(
    cohort: Cohort, config: TrainingConfig, folds: int, repeats: int, protocol: Protocol
) -> list[FoldTask]:
    """Draw the folds of every repeat, and in each the validation bags.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or the training part of a fold lacks a class.
    """
    return tasks_of(cohort, config, draw_folds(cohort, config.seed, folds, repeats), protocol)


def draw_folds(cohort: Cohort, seed: int, folds: int, repeats: int) -> np.ndarray:
    """Draw the fold of each bag in each repeat, int (R, B).

    Raises
    ------
    TrainingError
        If there are fewer patients than folds.
    """
    n_groups = len(set(cohort.groups))
    if n_groups < folds:
        raise TrainingError(
            f"{n_groups} patients cannot be put into {folds} folds; "
            "use fewer folds, or name the patients in labels.csv."
        )
    strata = stratum_of(cohort.targets)
    drawn = [
        stratified_group_folds(strata, cohort.groups, folds, seed + repeat)
        for repeat in range(repeats)
    ]
    return np.stack(drawn)


def tasks_of(
    cohort: Cohort, config: TrainingConfig, fold_of: np.ndarray, protocol: Protocol
) -> list[FoldTask]:
    """Return the tasks of folds, with the validation bags of each.

    Parameters
    ----------
    cohort, config
        What is trained, and how.
    fold_of
        Fold of each bag in each repeat, int (R, B).
    protocol
        See `protocols`.

    Raises
    ------
    TrainingError
        If the training part of a fold lacks a class.
    """
    tasks = []
    for repeat, of_repeat in enumerate(fold_of):
        for fold in np.unique(of_repeat).tolist():
            test = np.flatnonzero(of_repeat == fold)
            training = np.flatnonzero(of_repeat != fold)
            _check_classes(cohort, training)
            seed = _fold_seed(config.seed, repeat, fold)
            if protocol == "published":
                split = Split(_as_bags(training), _as_bags(test), _as_bags(test))
            else:
                honest = validation_split(cohort, training, config, seed)
                split = replace(honest, test=_as_bags(test))
            tasks.append(FoldTask(repeat, fold, split, seed, every_epoch=protocol == "published"))
    return tasks


def _fold_seed(seed: int, repeat: int, fold: int) -> int:
    return int(np.random.SeedSequence((seed, repeat, fold)).generate_state(1)[0] % 2**31)


def _check_classes(cohort: Cohort, training: np.ndarray) -> None:
    """Refuse the training part of a fold that lacks a class."""
    if cohort.multi_label:
        return
    if len(np.unique(cohort.targets[training])) < len(cohort.classes):
        raise TrainingError(
            "A fold leaves a class without a bag to train on: too few patients have it; "
            "use fewer folds or name the patients."
        )


def _as_bags(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(b) for b in numbers)


def _has_all_classes(targets: np.ndarray, chosen: np.ndarray) -> bool:
    if targets.ndim == 1:
        return set(np.unique(targets)) == set(np.unique(targets[chosen]))
    return bool(chosen.any())


def _too_few(config: TrainingConfig, n_bags: int) -> bool:
    return config.select == "auto" and n_bags < FEWEST_TO_SELECT
