"""Targets of tiles from annotated regions.

A tile belongs to a class when at least half of it lies in regions of that class; where regions of
several classes lie over each other, the smallest one that holds the tile's centre decides.
Elsewhere:

    one sigmoid unit       a slide of the negative class: every tile is negative, as
                           multiple-instance learning assumes; a positive slide with positive
                           regions that cover a tile: tiles outside all of them are negative;
                           without: unknown
    exclusive classes      unknown: a class name does not say what surrounds it
    independent labels     of a label whose regions cover a tile of this slide: absent;
                           of another label: unknown

A tile is negative only where that is known. Unknown are tiles in regions to be ignored
(``Ignore*``), in regions of a name that is no class of the cohort (`classes`), in regions of one
outline and several classes, and in positive regions on a negative slide; tiles that a positive
point or line touches, or a positive region of which no tile reaches half; and on a positive slide
all tiles outside, where part of what was drawn could not be read or lies off it. A region without
a name belongs to the slide's own class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import shapely

from napari_mil.training.regions.classes import UNKNOWN, RegionClasses
from napari_mil.training.regions.drawn import SlideRegions, TileCover, cover_tiles

OUTSIDE = -3
"""Number of no region."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """Regions of one slide that cover half of no tile."""

    slide: str
    n_regions: int


@dataclass(frozen=True, slots=True)
class TaughtTiles:
    """Tiles of annotated slides by what their regions say of a class."""

    name: str
    """The class."""
    positive: int
    negative: int
    unknown: int
    unreached: tuple[Unreached, ...] = ()
    """Slides with regions of the class that cover half of no tile."""

    def __add__(self, other: TaughtTiles) -> TaughtTiles:
        return TaughtTiles(
            self.name,
            self.positive + other.positive,
            self.negative + other.negative,
            self.unknown + other.unknown,
            self.unreached + other.unreached,
        )


@dataclass(frozen=True, eq=False)
class TileTargets:
    """What the regions of a slide say of its tiles."""

    values: np.ndarray | None
    """Target of every tile; None where none is known.

    float32 (N,) of 0, 1 and NaN for two classes; int64 (N,) of class indices and -1 for more;
    float32 (N, C) for independent labels.
    """
    unreached: Mapping[int, int] = field(default_factory=dict)
    """Regions that cover half of no tile; their number by that of the class."""


def taught_words(taught: tuple[TaughtTiles, ...]) -> tuple[str, ...]:
    """Return what regions teach as a sentence per class, and one per class of small regions."""
    sentences = []
    for one in taught:
        sentences.append(
            f"Regions teach {one.name}: {one.positive} positive, {one.negative} negative, "
            f"{one.unknown} unknown tiles."
        )
        if one.unreached:
            sentences.append(_unreached_words(one))
    return tuple(sentences)


def _unreached_words(taught: TaughtTiles) -> str:
    n_regions = sum(one.n_regions for one in taught.unreached)
    n_more = len(taught.unreached) - 1
    is_one = n_regions == 1
    regions = "1 region covers" if is_one else f"{n_regions} regions cover"
    touched = "it touches" if is_one else "they touch"
    more = f" and {n_more} more" if n_more else ""
    return (
        f"{regions} half of no tile ({taught.name}, {taught.unreached[0].slide}{more}): the tiles "
        f"{touched} are unknown; is the scale right? Smaller tiles would fit."
    )


def instance_targets(
    drawn: SlideRegions | None,
    labels: tuple[str, ...],
    classes: RegionClasses,
    multi_label: bool,
    coords: np.ndarray,
    size0: float,
) -> TileTargets:
    """Return the targets of tiles.

    Parameters
    ----------
    drawn
        What was drawn on this slide; None where it is not annotated.
    labels
        Classes of the slide.
    classes
        All classes, and the names of regions that stand for them; of two, the second is positive.
    multi_label
        Whether labels are independent.
    coords, size0
        Corners (x, y) and side of the tiles in level-0 pixels.
    """
    is_binary = len(classes.classes) == 2 and not multi_label
    is_negative = is_binary and labels == (classes.classes[0],)
    cover = cover_tiles(
        drawn or SlideRegions(), labels, classes, coords, size0, exclusive=not multi_label
    )
    is_complete = drawn is None or drawn.is_complete
    if multi_label:
        values = _independent_targets(cover, len(classes.classes), is_complete=is_complete)
        is_known = ~np.isnan(values)
    elif is_binary:
        values = _binary_targets(cover, coords, size0, is_negative, is_complete=is_complete)
        is_known = ~np.isnan(values)
    else:
        class_of = _exclusive_classes(cover, coords, size0)
        values = np.where(class_of == OUTSIDE, UNKNOWN, class_of).astype(np.int64)
        is_known = values >= 0
    return TileTargets(values if is_known.any() else None, cover.unreached)


def _binary_targets(
    cover: TileCover, coords: np.ndarray, size0: float, is_negative: bool, *, is_complete: bool
) -> np.ndarray:
    """Return targets float32 (N,) of one sigmoid unit."""
    class_of = _exclusive_classes(cover, coords, size0)
    covers_positive = is_complete and cover.column(1).any()
    outside = 0.0 if is_negative or covers_positive else np.nan
    positive = np.nan if is_negative else 1.0
    values = np.select(
        [class_of == OUTSIDE, class_of == 0, class_of == 1], [outside, 0.0, positive], np.nan
    ).astype(np.float32)
    nothing = np.zeros(len(values), bool)
    values[cover.touched.get(1, nothing) & (values == 0)] = np.nan
    values[cover.touched.get(UNKNOWN, nothing) & (class_of == OUTSIDE)] = np.nan
    return values


def count_taught(
    found: TileTargets, n: int, classes: tuple[str, ...], multi_label: bool, slide: str = ""
) -> tuple[TaughtTiles, ...]:
    """Count what the targets of a slide's tiles say of each class.

    Of two classes, the positive one stands for both.

    Parameters
    ----------
    found
        What `instance_targets` returned.
    n
        Number of tiles.
    classes, multi_label
        As there.
    slide
        Name of the slide.
    """
    shown = classes[1:] if len(classes) == 2 and not multi_label else classes
    unreached = {
        classes[number]: (Unreached(slide, n_regions),)
        for number, n_regions in found.unreached.items()
        if number >= 0 and n_regions
    }
    targets = found.values
    if targets is None:
        return tuple(TaughtTiles(name, 0, 0, n, unreached.get(name, ())) for name in shown)
    if multi_label:
        columns = {name: targets[:, k] for k, name in enumerate(classes)}
    elif len(classes) == 2:
        columns = {classes[1]: targets}
    else:
        is_known = targets >= 0
        columns = {name: np.where(is_known, targets == k, np.nan) for k, name in enumerate(classes)}
    return tuple(
        TaughtTiles(
            name,
            int((column == 1).sum()),
            int((column == 0).sum()),
            int(np.isnan(column).sum()),
            unreached.get(name, ()),
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


def _independent_targets(cover: TileCover, n_classes: int, *, is_complete: bool) -> np.ndarray:
    """Return targets float32 (N, C) of labels that do not exclude each other."""
    n = len(cover.inside)
    targets = np.full((n, n_classes), np.nan, np.float32)
    for number in cover.numbers:
        inside = cover.column(number)
        if number >= 0 and inside.any():
            targets[:, number] = np.where(inside, 1, 0 if is_complete else np.nan)
    for number, touched in cover.touched.items():
        if number >= 0:
            targets[touched & (targets[:, number] == 0), number] = np.nan
    unknown = cover.column(UNKNOWN) | cover.touched.get(UNKNOWN, np.zeros(n, bool))
    targets[unknown[:, None] & (targets != 1)] = np.nan
    return targets


def _exclusive_classes(cover: TileCover, coords: np.ndarray, size0: float) -> np.ndarray:
    """Return the number of the class that each tile lies in, or `OUTSIDE`, int (N,)."""
    inside = cover.inside
    if not inside.size:
        return np.full(len(coords), OUTSIDE)
    class_of = np.where(inside.any(1), np.array(cover.numbers)[inside.argmax(1)], OUTSIDE)
    contested = np.flatnonzero(inside.sum(1) > 1)
    if len(contested):
        class_of[contested] = UNKNOWN
        by_size = sorted(cover.numbered, key=lambda pair: -pair[1].area.area)
        centres = shapely.points(np.asarray(coords, float)[contested] + size0 / 2)
        tree = shapely.STRtree(centres)
        for number, region in by_size:
            class_of[contested[tree.query(region.area, predicate="covers")]] = number
    return class_of
