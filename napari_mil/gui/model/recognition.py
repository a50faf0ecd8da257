"""What a path is: everything that a person can drop onto the window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from napari_mil.annotations.finding import ENDINGS as ANNOTATION_ENDINGS
from napari_mil.bags.images import image_files
from napari_mil.bags.readers import FEATURE_ENDINGS, is_features, is_side_file
from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.inference.card import CARD_FILE, WEIGHTS_FILE
from napari_mil.inference.prediction import PREDICTION_FILE
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder, one_of_each_series
from napari_mil.training.cohorts.tables.finding import table_in
from napari_mil.training.layout import CONFIG, EVALUATION, PREDICTIONS, SCORE
from napari_mil.worklist.items import is_results_folder, is_worklist_table
from napari_mil.worklist.records import WORKLIST_FILE

JUDGED = (EVALUATION, SCORE)
"""Files that hold the figures of a classifier."""
CHECKPOINT_ENDINGS = (".ckpt",)
TABLE_ENDINGS = (".csv", ".tsv")
MOST_OPENED = 20
"""Slides of a folder that are opened at once; more of them are a worklist."""


class PathKind(StrEnum):
    """What can be opened."""

    SLIDE = "slide"
    IMAGES = "images"
    FEATURES = "features"
    """A feature file, or a checkpoint: only the content tells them apart."""
    CHECKPOINT = "checkpoint"
    CLASSIFIER = "classifier"
    ANNOTATIONS = "annotations"
    RUN = "run"
    FIGURES = "figures"
    """Figures of an evaluation, or of a score, with the answers that they rest on."""
    COHORT = "cohort"
    """Folders of classes, or a table of labelled bags."""
    WORKLIST = "worklist"
    """Results of slides, or slides too many to be opened at once."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A path with what it is."""

    kind: PathKind
    path: Path


def recognise(path: Path) -> list[Recognised]:
    """Say what a path is; a folder of slides is each of them.

    Raises
    ------
    NapariMilError
        If it is nothing that can be opened, in one sentence.
    """
    try:
        if path.is_dir():
            return _recognise_folder(path)
        if not path.exists():
            raise UnreadableSlideError(
                f"{path.name} does not exist (in {path.absolute().parent}); check the path."
            )
    except OSError as error:
        raise UnreadableSlideError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    return [_recognise_file(path)]


def _recognise_file(path: Path) -> Recognised:
    name = path.name.lower()
    if path.name == CARD_FILE or _is_bundle(path):
        return Recognised(PathKind.CLASSIFIER, path.parent)
    if path.name == CONFIG:
        return Recognised(PathKind.RUN, path.parent)
    if path.name in JUDGED and (path.parent / PREDICTIONS).is_file():
        return _recognise_folder(path.parent)[0]
    if name.endswith(TABLE_ENDINGS):
        # One row a tile, or one a bag: the columns tell.
        return Recognised(_kind_of_table(path), path)
    if name.endswith(ANNOTATION_ENDINGS):
        return Recognised(PathKind.ANNOTATIONS, path)
    if name.endswith(CHECKPOINT_ENDINGS):
        return Recognised(PathKind.CHECKPOINT, path)
    if name.endswith(FEATURE_ENDINGS):
        return Recognised(PathKind.FEATURES, path)
    return Recognised(PathKind.SLIDE, path)


def _kind_of_table(path: Path) -> PathKind:
    if path.name != WORKLIST_FILE and is_features(path):
        return PathKind.FEATURES
    return PathKind.WORKLIST if is_worklist_table(path) else PathKind.COHORT


def _is_bundle(path: Path) -> bool:
    return path.name == WEIGHTS_FILE and (path.parent / CARD_FILE).is_file()


def _recognise_folder(folder: Path) -> list[Recognised]:
    if (folder / CARD_FILE).is_file():
        return [Recognised(PathKind.CLASSIFIER, folder)]
    if (folder / CONFIG).is_file():
        return [Recognised(PathKind.RUN, folder)]
    if (folder / PREDICTIONS).is_file() and any((folder / name).is_file() for name in JUDGED):
        return [Recognised(PathKind.FIGURES, folder)]
    if is_results_folder(folder):
        return [Recognised(PathKind.WORKLIST, folder)]
    if (folder / PREDICTION_FILE).is_file():
        return [Recognised(PathKind.WORKLIST, folder.parent)]
    if is_features(folder):
        return [Recognised(PathKind.FEATURES, folder)]
    slide = slide_in_folder(folder)
    if slide is not None:
        return [Recognised(PathKind.SLIDE, slide)]
    if table_in(folder) is not None:
        return [Recognised(PathKind.COHORT, folder)]
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    if image_files(folder):
        return [Recognised(PathKind.IMAGES, folder)]
    bags = [entry for entry in one_of_each_series(entries) if _is_slide_or_features(entry)]
    if len(bags) > MOST_OPENED:
        return [Recognised(PathKind.WORKLIST, folder)]
    if bags:
        return [_recognise_file(bag) for bag in bags]
    if any(entry.is_dir() for entry in entries):
        return [Recognised(PathKind.COHORT, folder)]
    raise NapariMilError(
        f"{folder.name} holds nothing that can be opened: no slide, no images, no features, "
        "no run and no folders of classes."
    )


def _is_slide_or_features(path: Path) -> bool:
    if path.is_dir():
        return is_features(path)
    if is_side_file(path):
        return False
    return path.suffix.lower() in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS)


def slide_in_folder(folder: Path) -> Path | None:
    """Return what opens the one slide that a folder is, or None.

    A MIRAX slide keeps a folder beside it.
    """
    mirax = folder.with_suffix(".mrxs")
    if mirax.is_file():
        return mirax
    return folder if is_slide_folder(folder) else None
