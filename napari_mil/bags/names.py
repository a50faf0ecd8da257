"""Names of bags: files and stores without their endings, other folders as they are."""

from __future__ import annotations

from pathlib import Path

from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.readers import FEATURE_ENDINGS, tiatoolbox
from napari_mil.slides import SLIDE_EXTENSIONS

SEVERAL_DOTS = (".ome.tif", ".ome.tiff", ".tar.gz")
"""File endings of two parts."""
TABLE_ENDINGS = (".csv", ".tsv")
"""Endings of tables, some of which hold features."""
STORE_ENDING = ".zarr"
"""Ending of a folder that is a store, some of which hold features."""


def bag_name(path: Path, is_folder: bool | None = None) -> str:
    """Return the name of a bag, without a known ending.

    Names may hold dots, so other endings stay. Folders but stores keep their whole name; without
    being told whether it is one, the disk is asked.
    """
    name = path.name
    if path.is_dir() if is_folder is None else is_folder:
        is_image = name.lower().endswith(f".ome{STORE_ENDING}")
        return name if is_image else name.removesuffix(STORE_ENDING)
    of_a_head = tiatoolbox.FEATURES_NAME.match(name)
    if of_a_head is not None:
        return of_a_head["stem"]
    endings = (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *TABLE_ENDINGS, *IMAGE_ENDINGS)
    for ending in (*SEVERAL_DOTS, *endings):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
