"""Folders of patients in the folder of a class, which hold slides or feature files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.readers import FEATURE_ENDINGS
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder, is_zarr, one_of_each_series
from napari_mil.training.cohorts.folders.companions import is_companion, side_pictures
from napari_mil.training.cohorts.folders.file_names import is_utf8, unknown_characters
from napari_mil.training.cohorts.folders.slide_files import TIFF_ENDINGS, is_slide_file

NEVER_IMAGES = tuple(
    ending for ending in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS) if ending not in IMAGE_ENDINGS
)
"""Endings of slides and features that cannot be instances."""


def bags_in_folder(folder: Path, skipped: list[Finding]) -> list[Path]:
    """Return the slides and feature files of a folder that is no bag itself.

    Of TIFF files, which may be instances too, the largest one is looked at. Feature files beside
    images are about the images, and are no bags.

    Parameters
    ----------
    folder
        A folder in that of a class.
    skipped
        Gets files that cannot be used for their names.

    Returns
    -------
    list of Path
        Empty where the folder is a slide, a store or a bag of images.
    """
    if is_zarr(folder) or is_slide_folder(folder):
        return []
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not is_companion(path)]
    side = side_pictures(files)
    files = [path for path in files if path not in side]
    bags = [path for path in files if path.suffix.lower() in NEVER_IMAGES]
    tiffs = [path for path in files if path.suffix.lower() in TIFF_ENDINGS]
    if tiffs and is_slide_file(max(tiffs, key=lambda path: path.stat().st_size)):
        bags += tiffs
    known = set(bags)
    has_images = any(path.suffix.lower() in IMAGE_ENDINGS for path in files if path not in known)
    if has_images and all(path.suffix.lower() in FEATURE_ENDINGS for path in bags):
        return []
    unknown = [path for path in bags if not is_utf8(path)]
    if unknown:
        skipped.append(unknown_characters(unknown))
    return list(one_of_each_series(sorted(filter(is_utf8, bags))))


def patient_folders_said(root: Path, folders: Iterable[Path]) -> Iterator[Finding]:
    """Yield one finding on all folders that count as patients."""
    folders = list(folders)
    if not folders:
        return
    first = folders[0].relative_to(root).as_posix()
    number = f"{len(folders)} folders hold" if len(folders) > 1 else "1 folder holds"
    text = (
        f"{number} slides or feature files, {first} for one; each counts as one patient. A table "
        "with a column patient says it otherwise."
    )
    yield Finding(FindingKind.GROUPING, root, text, len(folders))
