"""Files in the folder of a run, and its state.

Answered without torch and without opening a checkpoint: the window and the command line ask first.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_mil.inference.card import CARD_FILE, RUN_FOLDER
from napari_mil.training.cohorts.cohort import Cohort

CONFIG = "config.json"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint.pt"
EVALUATION = "evaluation.json"
SCORE = "score.json"
PREDICTIONS = "predictions.csv"
VALIDATION = "validation.csv"
FOLDS_TABLE = "folds.csv"
FIGURES = ("figures.svg", "figures.png")
COHORT = "cohort.json"
CLASSIFIER = RUN_FOLDER
FOLDS = "folds"
FOLD_MODELS = "models"
ANSWERS = "answers"
LOCK = ".lock"


def is_finished(folder: Path) -> bool:
    """Say whether a run has written its classifier."""
    return (folder / CLASSIFIER / CARD_FILE).is_file()


def is_unfinished(folder: Path) -> bool:
    """Say whether a run has a checkpoint but no classifier."""
    return (folder / CHECKPOINT).is_file() and not is_finished(folder)


def kept_in(folder: Path) -> str:
    """Return what an interrupted run left in its folder, as a clause."""
    n_folds = len(list((folder / FOLDS).glob("repeat-*-fold-*.npz")))
    n_answers = len(list((folder / ANSWERS).glob("*.json")))
    kept = []
    if (folder / CHECKPOINT).is_file():
        kept.append(f"the checkpoint of epoch {_epochs_in(folder)} is whole")
    if n_folds:
        kept.append(f"{n_folds} finished fold{'s are' if n_folds > 1 else ' is'} kept")
    if n_answers:
        kept.append(f"{n_answers} answer{'s are' if n_answers > 1 else ' is'} kept")
    if not kept:
        return f"nothing of this run had been finished in {folder.name}"
    return f"{' and '.join(kept)} in {folder.name}"


def _epochs_in(folder: Path) -> int:
    """Return the number of epochs in the history of a run."""
    try:
        return max(0, len((folder / HISTORY).read_text(encoding="utf-8").splitlines()) - 1)
    except OSError:
        return 0


def begun_with(folder: Path, cohort: Cohort) -> bool:
    """Say whether a run was begun with any bag of a cohort.

    True where the run's own list of bags cannot be read: resuming it then says what is wrong.
    """
    try:
        text = (folder / COHORT).read_text(encoding="utf-8")
        contents = {bag[0] for bag in json.loads(text)["bags"]}
    except (OSError, ValueError, LookupError, TypeError):
        return True
    return not contents.isdisjoint(bag.content for bag in cohort.bags)
