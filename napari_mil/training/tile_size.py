"""Default size of training tiles, small enough that slides hold several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from napari_mil.errors import NapariMilError
from napari_mil.slides import open_slide

FEWEST_TILES = 16
"""Tiles that the median slide should hold at least.

With fewer, multiple-instance learning has little to choose from.
"""
SMALLEST_DEFAULT_TILE = 32
"""Side in pixels below which a tile shows single nuclei at most."""
MOST_SLIDES_ASKED = 50
"""Slides that are opened at most."""


def fitting_tile_px(
    slides: Sequence[Path],
    px: int,
    mpp: float,
    smallest: int,
    slide_mpp: float | None = None,
) -> int:
    """Halve the tile size until the median slide holds enough.

    Enough are `FEWEST_TILES`.

    Parameters
    ----------
    slides
        Paths of slides; at most `MOST_SLIDES_ASKED` of them, spread over all, are looked at.
    px
        Wanted side in pixels.
    mpp
        Micrometres per pixel of a tile.
    smallest
        Side in pixels that the encoder needs at least.
    slide_mpp
        Micrometres per level-0 pixel of slides that do not say it.

    Returns
    -------
    int
        Side in pixels; `px` itself where no slide says its scale.
    """
    areas = _areas_um2(slides, slide_mpp)
    if not areas:
        return px
    median_area = median(areas)
    least = max(smallest, SMALLEST_DEFAULT_TILE)
    while px // 2 >= least and median_area / (px * mpp) ** 2 < FEWEST_TILES:
        px //= 2
    return px


def _areas_um2(slides: Sequence[Path], slide_mpp: float | None) -> list[float]:
    """Return the areas of some slides in square micrometres."""
    step = max(1, len(slides) // MOST_SLIDES_ASKED)
    areas = []
    for path in slides[::step]:
        try:
            with open_slide(path) as slide:
                mpp = slide.mpp or slide_mpp
                width, height = slide.dimensions
        except NapariMilError:
            continue
        if mpp is not None:
            areas.append(width * height * mpp**2)
    return areas
