"""What lies beside bags without being any: annotations, thumbnails, masks, what a system leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_mil.annotations.finding import ENDINGS as ANNOTATION_ENDINGS
from napari_mil.annotations.finding import FOLDER as ANNOTATION_FOLDER
from napari_mil.annotations.texts import folded
from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.names import bag_name
from napari_mil.bags.readers import FEATURE_ENDINGS, is_features, is_side_file
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.training.cohorts.folders.slide_files import TIFF_ENDINGS, is_slide_file

SIDE_FILES = (".csv", ".md", ".txt")
"""Endings of files that lie beside bags without being any."""
LEFT_BY_SYSTEMS = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
"""Files and folders that systems leave among others, in small letters."""
PICTURE_WORDS = "thumb(?:nail)?|preview|overview|macro|label|tissue"
"""What pictures of slides show, which slides may be of too."""
MASK_WORDS = "mask|overlay|stitch|heatmap|contour|segmentation"
"""What pictures show that are never slides, even where they have levels."""
SIDE_PICTURE = re.compile(
    rf"(?P<stem>.+?)(?:[ _.-]+(?:{PICTURE_WORDS}|(?P<mask>{MASK_WORDS}))s?)+", re.IGNORECASE
)
"""Name of a picture of a slide: the slide's own and what is shown."""


def is_hidden(path: Path) -> bool:
    """Say whether a file or folder is none of the user's: hidden, half written, a system's."""
    name = path.name
    return name.startswith(".") or name.endswith(".part") or name.casefold() in LEFT_BY_SYSTEMS


def is_companion(path: Path) -> bool:
    """Say whether a path is hidden, or holds annotations, notes or what belongs to features."""
    if is_hidden(path):
        return True
    if path.is_dir():
        return path.name.casefold() == ANNOTATION_FOLDER
    if is_side_file(path):
        return True
    name = path.name.lower()
    return name.endswith((*ANNOTATION_ENDINGS, *SIDE_FILES)) and not is_features(path)


def without_side_pictures(
    folder: Path, paths: Iterable[Path], warnings: list[Finding]
) -> list[Path]:
    """Return the paths but those of what shows or belongs to a bag among them.

    Pictures and folders that have the name of a slide or feature file, and pictures named after a
    bag and what they show, as in ``S0_thumbnail.jpg``.

    Parameters
    ----------
    folder
        Folder of a class.
    paths
        What lies in it.
    warnings
        Gets the number of what is left out.
    """
    paths = list(paths)
    left_out = side_pictures(paths)
    said = [path for path in left_out if not path.with_name(f"{path.name}.mrxs").exists()]
    if said:
        are = f"{len(said)} pictures or folders" if len(said) > 1 else "1 picture or folder"
        text = (
            f"{are} named after another bag (thumbnails, masks and the like): not used, "
            f"{said[0].name} for one."
        )
        warnings.append(Finding(FindingKind.LEFT_OUT, folder, text, len(said)))
    return [path for path in paths if path not in left_out]


def side_pictures(paths: Sequence[Path]) -> dict[Path, None]:
    """Return what shows or belongs to another path, in their order.

    Parameters
    ----------
    paths
        What lies in one folder.
    """
    stems = {path: _stem(path) for path in paths}
    bags = {
        stems[path]
        for path in paths
        if path.suffix.lower() in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS) and path.is_file()
    }
    pictures = {stems[path] for path in paths if _is_picture(path)}
    shown = bags | pictures
    side: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            belongs = folded(path.name) in bags
        elif _is_picture(path):
            shows = SIDE_PICTURE.fullmatch(stems[path])
            belongs = shows is not None and shows["stem"] in shown
            belongs &= shows is None or bool(shows["mask"]) or not _is_slide(path)
            belongs |= path.suffix.lower() not in SLIDE_EXTENSIONS and stems[path] in bags
        else:
            belongs = False
        if belongs:
            side[path] = None
    return side


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_ENDINGS and path.is_file()


def _is_slide(path: Path) -> bool:
    return path.suffix.lower() in TIFF_ENDINGS and is_slide_file(path)


def _stem(path: Path) -> str:
    """Return the name of a bag as it is compared."""
    return folded(bag_name(path))
