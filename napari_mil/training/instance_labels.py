"""Targets of tiles from annotated regions.

A tile belongs to a class when at least half of it lies in regions of that class. Elsewhere:

    one sigmoid unit       a slide of the negative class: every tile is negative, as
                           multiple-instance learning assumes; a positive slide with regions: tiles
                           outside all of them are negative; without regions: unknown
    exclusive classes      unknown: a class name does not say what surrounds it
    independent labels     of a label that has regions on this slide: absent;
                           of another label: unknown

Tiles in regions to be ignored (``Ignore*``) are unknown. A region without a class belongs to the
slide's own.
"""

from __future__ import annotations

import numpy as np

from napari_mil.annotations import Region, tile_cover

MAJORITY = 0.5
"""Share of a tile in regions of its class."""
UNKNOWN = -1


def instance_targets(
    regions: tuple[Region, ...] | None,
    labels: tuple[str, ...],
    classes: tuple[str, ...],
    multi_label: bool,
    coords: np.ndarray,
    size0: float,
) -> np.ndarray | None:
    """Return the target of every tile, or None where none is known.

    Parameters
    ----------
    regions
        Regions of this slide; None where it is not annotated.
    labels
        Classes of the slide.
    classes
        All classes; of two, the second is positive.
    multi_label
        Whether labels are independent.
    coords, size0
        Corners (x, y) and side of the tiles in level-0 pixels.

    Returns
    -------
    np.ndarray or None
        float32 (N,) of 0, 1 and NaN for two classes; int64 (N,) of class indices and -1 for more;
        float32 (N, C) for independent labels.
    """
    is_binary = len(classes) == 2 and not multi_label
    is_negative = is_binary and labels == (classes[0],)
    if is_negative and not regions:
        return np.zeros(len(coords), np.float32)
    if not regions:
        return None
    to_ignore = [region for region in regions if region.ignored]
    ignored = tile_cover(to_ignore, coords, size0) >= MAJORITY
    # Whether each tile lies in regions of each class, (N, C).
    inside = np.stack(
        [
            tile_cover(_regions_of(regions, name, labels), coords, size0) >= MAJORITY
            for name in classes
        ],
        1,
    )
    if multi_label:
        annotated = np.array([bool(_regions_of(regions, name, labels)) for name in classes])
        several = np.where(annotated, inside.astype(np.float32), np.float32(np.nan))
        several = several.astype(np.float32)
        several[ignored] = np.nan
        return several
    if is_binary:
        positive = np.where(is_negative, False, inside[:, 1]).astype(np.float32)
        positive[ignored & ~inside[:, 1]] = np.nan
        return positive
    target = np.where(inside.any(1), inside.argmax(1), UNKNOWN).astype(np.int64)
    target[ignored] = UNKNOWN
    return target


def _regions_of(regions: tuple[Region, ...], name: str, labels: tuple[str, ...]) -> list[Region]:
    """Return the regions of a class.

    Those of its name (``Tumor: Positive`` is a ``Tumor``), and unnamed ones on a slide of that
    class alone.
    """
    wanted = name.casefold()
    of_class = []
    for region in regions:
        if region.ignored:
            continue
        own = (region.name or "").casefold()
        if own == wanted or own.split(": ")[0] == wanted or (not own and labels == (name,)):
            of_class.append(region)
    return of_class
