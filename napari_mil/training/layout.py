"""What lies in the folder of a run, and what can be told from it without opening a checkpoint (no torch: the window and the command line ask first)."""

from __future__ import annotations

import json
from pathlib import Path

from napari_mil.inference.card import CARD_FILE, RUN_FOLDER
from napari_mil.training.cohort import Cohort

CONFIG, HISTORY, CHECKPOINT, EVALUATION, COHORT = (
    "config.json",
    "history.csv",
    "checkpoint.pt",
    "evaluation.json",
    "cohort.json",
)
CLASSIFIER, FOLDS, LOCK = RUN_FOLDER, "folds", ".lock"


def is_finished(folder: Path) -> bool:
    """Say whether a run has come to its classifier."""
    return (folder / CLASSIFIER / CARD_FILE).is_file()


def is_unfinished(folder: Path) -> bool:
    """Say whether there is a checkpoint that a run could go on from."""
    return (folder / CHECKPOINT).is_file() and not is_finished(folder)


def begun_with(folder: Path, cohort: Cohort) -> bool:
    """Say whether a run was begun with any bag of a cohort; where that cannot be told, the run itself says what is wrong."""
    try:
        begun = {
            bag[0] for bag in json.loads((folder / COHORT).read_text(encoding="utf-8"))["bags"]
        }
    except (OSError, ValueError, LookupError, TypeError):
        return True
    return not begun.isdisjoint(bag.content for bag in cohort.bags)
