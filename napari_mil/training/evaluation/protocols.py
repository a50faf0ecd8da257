"""Protocols of a cross-validation: what is chosen, and on which bags.

honest       every fold is a test set once; epoch, temperature and threshold come from validation
             patients of the training part
published    epoch and threshold are chosen on the test fold itself, as in the method's paper;
             labelled so wherever the figure appears
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_mil.errors import OptionError
from napari_mil.training.bundle import FEWEST_TO_CALIBRATE
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import TrainingConfig
from napari_mil.training.evaluation.folds import FoldTask
from napari_mil.training.evaluation.metrics import best_threshold, figures, mean_auc

Protocol = Literal["honest", "published"]
LAST_EPOCH = "the last epoch, threshold 0.5"
BEST_AUC = "the epoch of largest AUC on the test fold"
BEST_ACCURACY = "the epoch of largest accuracy on the test fold"
AT_THRESHOLD = "at its ROC-optimal threshold there"
"""Threshold of two classes that is chosen on the test fold."""
PUBLISHED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("dsmil", "dsmil-released"), (BEST_ACCURACY, "dsmil-wsi, classical script")),
    **dict.fromkeys(("mi-net", "mi-net-instance", "mi-net-ds", "mi-net-rc"), (LAST_EPOCH, "MINNs")),
    **dict.fromkeys(
        ("abmil", "gated-abmil", "transmil"), (BEST_AUC, "the comparison of MHIM-MIL, CAMELYON16")
    ),
}
"""Rule of each aggregator's published script, and its source."""
MHIM = (BEST_AUC, "MHIM-MIL, CAMELYON16")
"""Rule of masked hard-instance mining, and its source."""
WITHOUT_RULE = {
    **dict.fromkeys(
        ("clam-sb", "clam-mb"),
        "CLAM's is honest: early stopping on validation bags, the likeliest class",
    ),
    "sa-abmil": "its script's is honest: early stopping on validation bags",
    "dtfd": "its script needs a validation set of its own for the epoch, "
    "and takes the threshold from the test set",
}
"""Reasons why aggregators have no published rule."""


@dataclass(frozen=True)
class Design:
    """What is cross-validated, and by which protocol."""

    cohort: Cohort
    config: TrainingConfig
    folds: int
    repeats: int
    protocol: Protocol


def published_rule(config: TrainingConfig) -> tuple[str, str]:
    """Return the rule that a method's paper used on its test fold.

    Returns
    -------
    tuple of str
        The rule (`LAST_EPOCH`, `BEST_AUC` or `BEST_ACCURACY`) and its source.

    Raises
    ------
    OptionError
        If the paper's protocol is honest, or not stated.
    """
    if config.strategy != "plain":
        return MHIM
    if config.aggregator not in PUBLISHED:
        why = WITHOUT_RULE.get(config.aggregator, "its paper does not state one")
        raise OptionError(
            f"There is no published protocol for {config.aggregator} that chooses on the test "
            f"fold ({why}); use --protocol honest."
        )
    return PUBLISHED[config.aggregator]


def choose_on_test(rule: str, targets: np.ndarray, answers: np.ndarray) -> tuple[int, float]:
    """Choose epoch and threshold on the test fold, as published.

    Parameters
    ----------
    rule
        See `published_rule`.
    targets
        Targets of the test bags; see `figures`.
    answers
        Logits of every epoch, (epochs, B, C).

    Returns
    -------
    tuple
        Epoch, counted from 0, and threshold on the probability.
    """
    last = len(answers) - 1
    if rule == LAST_EPOCH:
        return last, 0.5
    has_threshold = answers.shape[-1] == 1
    thresholds = [
        best_threshold(targets, logits[:, 0]) if has_threshold else 0.5 for logits in answers
    ]
    if rule == BEST_ACCURACY:
        name = "accuracy" if targets.ndim == 1 else "accuracy_micro"
        values = [
            figures(targets, logits, threshold)[name]
            for logits, threshold in zip(answers, thresholds, strict=True)
        ]
    else:
        values = [mean_auc(targets, logits) for logits in answers]
    epoch = last if np.isnan(values).all() else int(np.nanargmax(values))
    return epoch, thresholds[epoch]


def describe_published_selection(config: TrainingConfig, n_outputs: int) -> str:
    """Return in words how a published protocol chooses."""
    rule, source = published_rule(config)
    threshold = f", {AT_THRESHOLD}" if n_outputs == 1 and rule != LAST_EPOCH else ""
    return f"{rule}{threshold} ({source})"


def describe_honest_selection(config: TrainingConfig, tasks: Sequence[FoldTask]) -> str:
    """Return in words how the honest protocol chooses in these folds."""
    have_validation = [bool(task.split.validation) for task in tasks]
    if not any(have_validation):
        return "nothing is chosen: the last epoch, threshold 0.5"
    if config.select == "last":
        epoch = "the last epoch"
    else:
        best = "largest AUC" if config.select == "auc" else "least loss"
        epoch = f"the epoch of {best} on validation patients of the training part"
    otherwise = "" if all(have_validation) else " where there are any, otherwise the last"
    return (
        f"{epoch}{otherwise}; threshold 0.5; temperature from validation patients "
        f"where there are at least {FEWEST_TO_CALIBRATE}"
    )
