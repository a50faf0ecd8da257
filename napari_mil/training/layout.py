"""Files in the folder of a run, and its state.

Answered without torch and without opening a checkpoint: the window and the command line ask first.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_mil.errors import TrainingError
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


def is_run(folder: Path) -> bool:
    """Say whether a folder is that of a run, an evaluation or a score."""
    made = (HISTORY, CHECKPOINT, CLASSIFIER, EVALUATION, COHORT, FOLDS)
    began = (folder / CONFIG).is_file() and any((folder / name).exists() for name in made)
    return began or (folder / SCORE).is_file()


def refuse_among_bags(out: Path, cohort: Cohort) -> None:
    """Refuse a folder for results that lies among bags, and would be scanned with them.

    Parameters
    ----------
    out
        Where results would be written.
    cohort
        Bags in the folders of their classes, or of a table.

    Raises
    ------
    TrainingError
        If it is the cohort's own folder, that of a class, or lies in one.
    """
    folder = out.expanduser().resolve()
    root = cohort.root.resolve()
    classes: set[Path] = set()
    if cohort.in_class_folders:
        names = {bag.path.relative_to(cohort.root).parts[0] for bag in cohort.bags}
        classes = {(root / name).resolve() for name in names}
    if folder == root or classes.intersection((folder, *folder.parents)):
        raise TrainingError(
            f"{out} lies among the bags of {cohort.root.name}; choose a folder for the results "
            "that holds no bags."
        )


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
