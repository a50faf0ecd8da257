"""Levels of a slide as a viewer wants them: the stored ones and coarser ones down to a screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.settings import Settings
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.cache import PixelCache
from napari_mil.slides.levels import Level, ReadWindow, chunk_size_for
from napari_mil.slides.overview import (
    HalvedWindow,
    ReducedWindow,
    SampledOverview,
    SampledWindow,
    halved_size,
)
from napari_mil.slides.window import read_window, stored_extent, stored_megapixels

if TYPE_CHECKING:
    import dask.array

DETAILED_VIRTUAL_DOWNSAMPLE = 8
"""Largest downsample at which computed levels average all pixels.

A computed level is one that the file lacks. Up to this downsample its chunks are exact even where
the whole level would exceed the budget of pixels; beyond, they are sampled.
"""
DASK_CHUNK_PX = 4096
"""Wanted side of a chunk of a dask array, in pixels.

Dask spends time on each chunk that a slice touches, and puts their pixels together once more;
slices read no more of a chunk than they need. A chunk of this side has 50 MB; dask's own choice is
128 MB.
"""


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Levels of a slide, finest first."""

    levels: tuple[Level, ...]
    sampled: SampledOverview | None = None
    """Picture from which the coarsest are taken where averaging them takes too long."""


def make_pyramid(
    backend: SlideBackend,
    settings: Settings,
    cache: PixelCache,
    pool: Executor,
    stored_overview: Callable[[], np.ndarray | None],
) -> Pyramid:
    """Return the stored levels, and halved ones until the longest side is small.

    Parameters
    ----------
    backend
        Reader of the file.
    settings
        Sides of chunks and of the coarsest level.
    cache
        Of chunks of all levels.
    pool
        Threads that read.
    stored_overview
        Returns the average of the whole slide that was made before, or None.
    """
    stored = [
        Level(
            k,
            size,
            chunk_size_for(backend.tile_sizes[k], settings.chunk_px),
            StoredWindow(backend, k),
            cache,
            pool,
            stored_extent(backend, k),
            in_parts=backend.caches_tiles,
        )
        for k, size in enumerate(backend.level_dimensions)
        # A level coarser than the viewer's coarsest would only blur the first picture.
        if k == 0 or max(backend.level_dimensions[k - 1]) > settings.overview_px
    ]
    base = stored[-1].index
    overview = SampledOverview(backend, base, settings.overview_budget_mp, stored_overview)
    is_sampled = False
    levels = stored
    downsample = 1
    while max(levels[-1].shape[:2]) > settings.overview_px:
        downsample *= 2
        read, size = _coarser(backend, base, levels[-1], downsample, overview)
        is_sampled = is_sampled or isinstance(read, SampledWindow)
        coarser = Level(
            levels[-1].index + 1,
            size,
            (settings.chunk_px, settings.chunk_px),
            read,
            cache,
            pool,
            _scaled_extent(levels[-1], size),
            in_parts=isinstance(read, ReducedWindow),
        )
        levels.append(coarser)
    return Pyramid(tuple(levels), overview if is_sampled else None)


def _coarser(
    backend: SlideBackend, base: int, finer: Level, downsample: int, overview: SampledOverview
) -> tuple[ReadWindow, tuple[int, int]]:
    """Return the cheapest reader of a level of half the size of another, and its size.

    `downsample` is that of the level relative to `base`, the coarsest stored one.
    """
    size = halved_size(finer.shape[1], finer.shape[0])
    if downsample in backend.reductions[base]:
        reduced = ReducedWindow(backend, base, downsample)
        return reduced, reduced.size
    is_large = stored_megapixels(backend, base) > overview.budget_mp
    if is_large and downsample > DETAILED_VIRTUAL_DOWNSAMPLE:
        return overview.window_of(size), size
    return HalvedWindow(finer, size), size


class StoredWindow:
    """Reader of windows of one stored level by row and column.

    Unreadable tiles are hatched.
    """

    def __init__(self, backend: SlideBackend, level: int) -> None:
        self._backend = backend
        self._level = level

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Read a window: uint8 (height, width, 3)."""
        pixels = read_window(self._backend, self._level, column, row, width, height)
        damage = self._backend.damage
        if damage:
            downsample = self._backend.level_downsamples[self._level]
            damage.hatch(pixels, self._level, column, row, downsample)
        return pixels


def _scaled_extent(finer: Level, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the extent of a finer level in pixels of a coarser one.

    The coarser level has `size` (width, height); the extent is widened to its whole pixels.
    """
    column0, row0, column1, row1 = finer.extent
    scale_x = size[0] / finer.shape[1]
    scale_y = size[1] / finer.shape[0]
    return (
        math.floor(column0 * scale_x),
        math.floor(row0 * scale_y),
        min(size[0], math.ceil(column1 * scale_x)),
        min(size[1], math.ceil(row1 * scale_y)),
    )


def dask_pyramid(levels: Sequence[Level], name: str) -> list[dask.array.Array]:
    """Return levels as dask arrays, uint8 (H, W, 3); no pixels are read.

    Parameters
    ----------
    levels
        Levels of one slide.
    name
        What tells slides apart.
    """
    # Imported here: it takes 0.2 s, and the viewer does not need it.
    import dask.array

    return [
        dask.array.from_array(
            level.without_pool(),
            (*_dask_chunk(level), 3),
            name=f"{name}-{level.index}",
            asarray=False,
            inline_array=True,
        )
        for level in levels
    ]


def _dask_chunk(level: Level) -> tuple[int, int]:
    """Return the (height, width) of a level's chunks for dask: some of its own each way."""
    rows, columns, _ = level.chunks
    height, width = (
        side * 2 ** max(0, round(math.log2(DASK_CHUNK_PX / side))) for side in (rows[0], columns[0])
    )
    return height, width
