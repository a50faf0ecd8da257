"""Which bags teach, choose and judge."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from napari_mil.errors import TrainingError
from napari_mil.training.cohort import Cohort
from napari_mil.training.config import FEWEST_TO_SELECT, TrainingConfig
from napari_mil.training.fitting import Split
from napari_mil.training.folds import stratified_group_folds

MOST_PARTS = 20
"""Parts that patients are dealt into; a share is a number of them."""


def stratum_of(targets: np.ndarray) -> np.ndarray:
    """Return one integer per bag that folds keep in proportion: its class, or its rarest label."""
    if targets.ndim == 1:
        return targets
    rarity = targets.sum(0)
    return np.array(
        [
            int(np.where(row > 0, rarity, np.inf).argmin()) if row.any() else targets.shape[1]
            for row in targets
        ]
    )


def validation_split(cohort: Cohort, bags: np.ndarray, config: TrainingConfig, seed: int) -> Split:
    """Put a share of the patients aside to choose the epoch, stratified; nothing where there are too few bags to choose by.

    Both parts hold every class, or nothing is put aside.
    """
    everything = tuple(int(b) for b in bags)
    if config.validation == 0 or _too_few(config, len(bags)):
        return Split(everything)
    targets, groups = cohort.targets[bags], [cohort.groups[b] for b in bags]
    share = max(Fraction(config.validation).limit_denominator(MOST_PARTS), Fraction(1, MOST_PARTS))
    parts, wanted = max(2, min(share.denominator, len(set(groups)))), share.numerator
    if len(set(groups)) < 2:
        return Split(everything)
    drawn = stratified_group_folds(stratum_of(targets), groups, parts, seed)
    for first in range(parts):
        aside = (drawn - first) % parts < min(wanted, parts - 1)
        if _has_all(targets, aside) and _has_all(targets, ~aside):
            return Split(tuple(int(b) for b in bags[~aside]), tuple(int(b) for b in bags[aside]))
    return Split(everything)


def why_none(split: Split, config: TrainingConfig) -> str:
    """Return why a split puts no bags aside for validation."""
    if config.validation == 0:
        return "the validation share is 0"
    if _too_few(config, len(split.training)):
        return f"there are fewer than {FEWEST_TO_SELECT} to train on"
    return "no draw of patients leaves every class on both sides"


def split_of(cohort: Cohort, config: TrainingConfig) -> Split:
    """Split a cohort for one run: as its table says, otherwise by drawing patients.

    Raises
    ------
    TrainingError
        If the table leaves a class without a bag to train on.
    """
    named = np.array([bag.split or "" for bag in cohort.bags])
    test, validation = np.flatnonzero(named == "test"), np.flatnonzero(named == "validation")
    rest = np.flatnonzero((named != "test") & (named != "validation"))
    taught = {label for b in rest for label in cohort.bags[b].labels}
    if missing := [name for name in cohort.classes if name not in taught]:
        raise TrainingError(
            f"The training split of {cohort.root.name} holds no bag of the class {missing[0]}; change the column 'split'."
        )
    drawn = (
        Split(tuple(map(int, rest)), tuple(map(int, validation)))
        if len(validation)
        else validation_split(cohort, rest, config, config.seed)
    )
    return Split(drawn.training, drawn.validation, tuple(map(int, test)))


def _has_all(targets: np.ndarray, chosen: np.ndarray) -> bool:
    return (
        set(np.unique(targets)) == set(np.unique(targets[chosen]))
        if targets.ndim == 1
        else bool(chosen.any())
    )


def _too_few(config: TrainingConfig, bags: int) -> bool:
    return config.select == "auto" and bags < FEWEST_TO_SELECT
