"""What the annotation files of one slide hold together, and which tiles it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from napari_mil.annotations import Region, read_annotations, tile_cover
from napari_mil.annotations.regions import same_outlines, tiles_of
from napari_mil.training.cohorts.cohort import CohortBag
from napari_mil.training.regions.classes import NOT_DRAWN, UNKNOWN, RegionClasses

MAJORITY = 0.5
"""Share of a tile in regions of its class."""
EDGE = 1e-6
"""Share of a tile's side by which a region reaches into it; less is its neighbour's edge."""


@dataclass(frozen=True, eq=False)
class SlideRegions:
    """Everything that was drawn on one slide."""

    regions: tuple[Region, ...] = ()
    marks: tuple[Region, ...] = ()
    """Points and lines; see `Annotations.marks`."""
    is_complete: bool = True
    """Whether all of it could be read and lies on the slide.

    Otherwise nothing is known of what lies outside the regions.
    """


def read_slide_regions(bag: CohortBag, origin: tuple[float, float]) -> SlideRegions | None:
    """Read the annotation files of a slide; None where it has none.

    Parameters
    ----------
    bag
        The slide, as `survey_regions` left it.
    origin
        Level-0 pixel (x, y) that GeoJSON counts from; see `read_annotations`.

    Raises
    ------
    AnnotationError
        If a file cannot be read any more.
    """
    if not bag.annotations:
        return None
    files = [read_annotations(path, origin) for path in bag.annotations]
    return SlideRegions(
        tuple(region for file in files for region in file.regions),
        tuple(mark for file in files for mark in file.marks),
        bag.regions_complete,
    )


def conflicting(numbered: Sequence[tuple[int, Region]]) -> list[tuple[int, int]]:
    """Return the pairs of regions of several classes that have the same outline.

    Parameters
    ----------
    numbered
        Regions with the numbers of their classes.
    """
    pairs = same_outlines([region for _, region in numbered])
    return [(a, b) for a, b in pairs if numbered[a][0] != numbered[b][0]]


@dataclass(frozen=True, eq=False)
class TileCover:
    """Which tiles the regions of a slide cover and touch, by class."""

    numbered: list[tuple[int, Region]]
    """Regions with the numbers of their classes, without those that count as not drawn."""
    numbers: list[int]
    """The numbers that occur, in order."""
    inside: np.ndarray
    """Whether half of a tile lies in regions of a class, bool (N, len(numbers))."""
    touched: dict[int, np.ndarray]
    """Tiles that only marks and too small regions of a class touch, bool (N,) by number."""
    unreached: dict[int, int]
    """Regions that cover half of no tile; their number by class."""

    def column(self, number: int) -> np.ndarray:
        """Return whether half of a tile lies in regions of a class, bool (N,)."""
        if number not in self.numbers:
            return np.zeros(len(self.inside), bool)
        return self.inside[:, self.numbers.index(number)]


def cover_tiles(
    drawn: SlideRegions,
    labels: tuple[str, ...],
    classes: RegionClasses,
    coords: np.ndarray,
    size0: float,
    *,
    exclusive: bool,
) -> TileCover:
    """Return which tiles the regions of a slide cover and touch.

    Parameters
    ----------
    drawn
        What was drawn on the slide.
    labels
        Classes of the slide.
    classes
        All classes, and the names that stand for them.
    coords, size0
        Corners (x, y) and side of the tiles in level-0 pixels.
    exclusive
        Whether a tile has one class: regions of one outline and several classes are of none then.
    """
    numbered = _numbered(drawn.regions, labels, classes)
    marked = _numbered(drawn.marks, labels, classes)
    if not numbered and not marked:
        return TileCover([], [], np.zeros((len(coords), 0), bool), {}, {})
    if exclusive:
        in_conflict = {k for pair in conflicting(numbered) for k in pair}
        numbered = [
            (UNKNOWN if k in in_conflict else number, region)
            for k, (number, region) in enumerate(numbered)
        ]
    numbers = sorted({number for number, _ in numbered})
    inside = np.zeros((len(coords), len(numbers)), bool)
    touched: dict[int, np.ndarray] = {}
    unreached: dict[int, int] = {}
    cores = shapely.STRtree(tiles_of(coords + EDGE * size0, (1 - 2 * EDGE) * size0))
    for column, number in enumerate(numbers):
        own = [region for other, region in numbered if other == number]
        inside[:, column] = tile_cover(own, coords, size0) >= MAJORITY
        small = _too_small(own, cores, inside[:, column])
        unreached[number] = len(small)
        touched[number] = _mask(len(coords), small)
    tiles = shapely.STRtree(tiles_of(coords, size0)) if marked else cores
    for number, mark in marked:
        if not mark.ignored:
            touched.setdefault(number, np.zeros(len(coords), bool))[_touching(tiles, mark)] = True
    return TileCover(numbered, numbers, inside, touched, unreached)


def _numbered(
    regions: Sequence[Region], labels: tuple[str, ...], classes: RegionClasses
) -> list[tuple[int, Region]]:
    numbered = [(classes.number_of(region, labels), region) for region in regions]
    return [(number, region) for number, region in numbered if number != NOT_DRAWN]


def _too_small(
    regions: Sequence[Region], tiles: shapely.STRtree, inside: np.ndarray
) -> list[np.ndarray]:
    """Return the tiles of each region that touches some, but none of those inside."""
    touching = [_touching(tiles, region) for region in regions if not region.ignored]
    return [found for found in touching if len(found) and not inside[found].any()]


def _touching(tree: shapely.STRtree, region: Region) -> np.ndarray:
    """Return the numbers of the tiles that a region or a mark touches."""
    found: np.ndarray = tree.query(region.area, predicate="intersects")
    return found


def _mask(n: int, parts: Sequence[np.ndarray]) -> np.ndarray:
    mask = np.zeros(n, bool)
    for part in parts:
        mask[part] = True
    return mask
