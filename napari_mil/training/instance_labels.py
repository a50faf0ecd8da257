"""Targets of tiles from annotated regions.

A tile belongs to a class when at least half of it lies in regions of that class; where regions of
several classes lie over each other, the smallest one that holds the tile's centre decides.
Elsewhere:

    one sigmoid unit       a slide of the negative class: every tile is negative, as
                           multiple-instance learning assumes; a positive slide with positive
                           regions: tiles outside all of them are negative; without: unknown
    exclusive classes      unknown: a class name does not say what surrounds it
    independent labels     of a label that has regions on this slide: absent;
                           of another label: unknown

Tiles in regions to be ignored (``Ignore*``) are unknown; so are tiles in regions of a name that
is no class of the cohort (`region_classes`), and positive regions on a negative slide. A region
without a name belongs to the slide's own class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from napari_mil.annotations import Region, tile_cover
from napari_mil.training.cohorts.region_classes import NOT_DRAWN, UNKNOWN, RegionClasses

MAJORITY = 0.5
"""Share of a tile in regions of its class."""
OUTSIDE = -3
"""Number of no region."""


@dataclass(frozen=True, slots=True)
class TaughtTiles:
    """Tiles of annotated slides by what their regions say of a class."""

    name: str
    """The class."""
    positive: int
    negative: int
    unknown: int

    def __add__(self, other: TaughtTiles) -> TaughtTiles:
        return TaughtTiles(
            self.name,
            self.positive + other.positive,
            self.negative + other.negative,
            self.unknown + other.unknown,
        )


def taught_words(taught: tuple[TaughtTiles, ...]) -> tuple[str, ...]:
    """Return what regions teach as a sentence per class."""
    return tuple(
        f"Regions teach {one.name}: {one.positive} positive, {one.negative} negative, "
        f"{one.unknown} unknown tiles."
        for one in taught
    )


def instance_targets(
    regions: tuple[Region, ...] | None,
    labels: tuple[str, ...],
    classes: RegionClasses,
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
        All classes, and the names of regions that stand for them; of two, the second is positive.
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
    is_binary = len(classes.classes) == 2 and not multi_label
    is_negative = is_binary and labels == (classes.classes[0],)
    numbered = [(classes.number_of(region, labels), region) for region in regions or ()]
    numbered = [(number, region) for number, region in numbered if number != NOT_DRAWN]
    if not numbered:
        return np.zeros(len(coords), np.float32) if is_negative else None
    numbers = sorted({number for number, _ in numbered})
    inside = np.stack(
        [
            tile_cover([region for own, region in numbered if own == number], coords, size0)
            >= MAJORITY
            for number in numbers
        ],
        1,
    )
    if multi_label:
        return _independent_targets(numbers, inside, len(classes.classes))
    class_of = _exclusive_classes(numbered, numbers, inside, coords, size0)
    if not is_binary:
        target = np.where(class_of == OUTSIDE, UNKNOWN, class_of).astype(np.int64)
        return target if (target >= 0).any() else None
    outside = 0.0 if is_negative or 1 in numbers else np.nan
    positive = np.nan if is_negative else 1.0
    binary = np.select(
        [class_of == OUTSIDE, class_of == 0, class_of == 1], [outside, 0.0, positive], np.nan
    ).astype(np.float32)
    return None if np.isnan(binary).all() else binary


def count_taught(
    targets: np.ndarray | None, n: int, classes: tuple[str, ...], multi_label: bool
) -> tuple[TaughtTiles, ...]:
    """Count what the targets of a slide's tiles say of each class.

    Of two classes, the positive one stands for both.

    Parameters
    ----------
    targets
        What `instance_targets` returned; None where nothing is known.
    n
        Number of tiles.
    classes, multi_label
        As there.
    """
    shown = classes[1:] if len(classes) == 2 and not multi_label else classes
    if targets is None:
        return tuple(TaughtTiles(name, 0, 0, n) for name in shown)
    if multi_label:
        columns = {name: targets[:, k] for k, name in enumerate(classes)}
    elif len(classes) == 2:
        columns = {classes[1]: targets}
    else:
        is_known = targets >= 0
        columns = {name: np.where(is_known, targets == k, np.nan) for k, name in enumerate(classes)}
    return tuple(
        TaughtTiles(
            name, int((column == 1).sum()), int((column == 0).sum()), int(np.isnan(column).sum())
        )
        for name, column in columns.items()
    )


def sum_taught(of_slides: Iterable[tuple[TaughtTiles, ...]]) -> tuple[TaughtTiles, ...]:
    """Add up the tiles of several slides, class by class."""
    sums: dict[str, TaughtTiles] = {}
    for of_slide in of_slides:
        for taught in of_slide:
            before = sums.get(taught.name)
            sums[taught.name] = taught if before is None else before + taught
    return tuple(sums.values())


def _independent_targets(numbers: list[int], inside: np.ndarray, n_classes: int) -> np.ndarray:
    """Return targets (N, C) of labels that do not exclude each other."""
    targets = np.full((len(inside), n_classes), np.nan, np.float32)
    for column, number in enumerate(numbers):
        if number >= 0:
            targets[:, number] = inside[:, column]
    if UNKNOWN in numbers:
        unknown = inside[:, numbers.index(UNKNOWN)]
        targets[unknown[:, None] & (targets != 1)] = np.nan
    return targets


def _exclusive_classes(
    numbered: list[tuple[int, Region]],
    numbers: list[int],
    inside: np.ndarray,
    coords: np.ndarray,
    size0: float,
) -> np.ndarray:
    """Return the number of the class that each tile lies in, or `OUTSIDE`, int (N,)."""
    class_of = np.where(inside.any(1), np.array(numbers)[inside.argmax(1)], OUTSIDE)
    contested = np.flatnonzero(inside.sum(1) > 1)
    if len(contested):
        by_size = sorted(numbered, key=lambda pair: -pair[1].area.area)
        centres = shapely.points(np.asarray(coords, float)[contested] + size0 / 2)
        tree = shapely.STRtree(centres)
        for number, region in by_size:
            class_of[contested[tree.query(region.area, predicate="covers")]] = number
    return class_of
