"""Annotation files of a cohort that belong to none of its slides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_mil.annotations import AnnotationFiles
from napari_mil.annotations.finding import FOLDER
from napari_mil.findings import Finding, FindingKind

SHOWN = 3
"""Files that are named where there are more."""


def stray_annotations(
    files: AnnotationFiles, root: Path, folders: Iterable[Path]
) -> tuple[Finding, ...]:
    """Name the annotation files in the folders of a cohort that belong to no slide.

    Parameters
    ----------
    files
        Where its slides were looked up.
    root
        Folder of the cohort.
    folders
        Folders of its bags.

    Returns
    -------
    tuple of Finding
        One, with their number; none where every file has its slide.
    """
    strays = files.strays((root, *folders))
    if not strays:
        return ()
    remedy = f"name each as its slide, and put it beside it or in a folder {FOLDER} there."
    names = [
        str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        for path in strays[:SHOWN]
    ]
    shown = ", ".join(names) + (", …" if len(strays) > SHOWN else "")
    holds = "It holds" if len(strays) == 1 else f"It and {len(strays) - 1} more hold"
    text = f"{holds} annotations that belong to no slide ({shown}); {remedy}"
    return (Finding(FindingKind.ANNOTATION, strays[0], text, len(strays)),)
