"""Names of bags: files without their endings, folders as they are."""

from __future__ import annotations

from pathlib import Path

from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.readers import FEATURE_ENDINGS
from napari_mil.slides import SLIDE_EXTENSIONS

SEVERAL_DOTS = (".ome.tif", ".ome.tiff", ".tar.gz")
"""File endings of two parts."""


def bag_name(path: Path, is_folder: bool | None = None) -> str:
    """Return the name of a bag, without a known ending.

    Names may hold dots, so other endings stay. Folders keep their whole name; without being told
    whether it is one, the disk is asked.
    """
    name = path.name
    if path.is_dir() if is_folder is None else is_folder:
        return name
    for ending in (*SEVERAL_DOTS, *SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *IMAGE_ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
