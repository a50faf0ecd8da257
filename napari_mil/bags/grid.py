"""Regular grids of tiles at any scale."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from napari_mil.bags.mask import TissueMask
from napari_mil.errors import MissingMppError, NapariMilError, Remedy, ResolutionError
from napari_mil.slides import Slide
from napari_mil.slides.resample import area_average

LARGEST_ENLARGEMENT = 2.0
"""Largest ratio of level-0 mpp to the mpp of tiles.

Tiles at a still finer scale would be interpolated, not read.
"""


@dataclass(frozen=True, slots=True)
class TileSpec:
    """Requested size and scale of tiles."""

    px: int
    """Side in pixels."""
    mpp: float
    """Micrometres per pixel, ignored where `level` is given."""
    overlap: float = 0.0
    """Share of a tile that its neighbour repeats, in [0, 1)."""
    level: int | None = None
    """Stored level to take pixels of; None goes by `mpp`."""

    def lay(self, slide: Slide, mask: TissueMask | None = None) -> TileGrid:
        """Lay the grid of these tiles over a slide; see `tile_grid`."""
        return tile_grid(slide, self.px, self.mpp, self.level, self.overlap, mask)


@dataclass(frozen=True, eq=False)
class TileGrid:
    """Plan of the tiles of one slide, without pixels.

    Attributes
    ----------
    coords
        int64 (N, 2): (x, y) of the top left corners in level-0 pixels, row by row, the exact
        position rounded.
    cells
        int64 (N, 2): (row, column) of each tile in the lattice of `shape`.
    shape
        (rows, columns) of the lattice that covers the whole slide.
    tile_px
        Side of a tile as an encoder gets it, in pixels.
    mpp
        Micrometres per pixel of a tile; None where the slide has no scale and tiles were asked for
        by level.
    tile_size0
        Width of a tile in level-0 pixels, exact; a tile covers [x, x + tile_size0).
    stride0
        Level-0 pixels from one tile to the next, exact; less than `tile_size0` where tiles overlap.
    level
        Stored level the pixels are read from.
    aspect
        Height of a level-0 pixel by its width: a tile covers [y, y + tile_size0 / aspect).
    """

    coords: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]
    tile_px: int
    mpp: float | None
    tile_size0: float
    stride0: float
    level: int
    aspect: float = 1.0

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def fingerprint(self) -> str:
        """Stable id of the positions, size, scale and level of tiles."""
        sizes = f"{self.tile_px}:{self.mpp!r}:{self.tile_size0!r}:{self.stride0!r}:{self.level}"
        if self.aspect != 1:
            sizes += f":{self.aspect!r}"
        positions = np.ascontiguousarray(self.coords).tobytes()
        return hashlib.sha256(sizes.encode() + positions).hexdigest()[:32]

    def subset(self, kept: np.ndarray) -> TileGrid:
        """Return the grid of some of the tiles.

        Parameters
        ----------
        kept
            bool (N,), or int: numbers of tiles.
        """
        return replace(self, coords=self.coords[kept], cells=self.cells[kept])

    def at(self, coords: np.ndarray) -> TileGrid:
        """Return the grid of the tiles at some corners, int (M, 2)."""
        wanted = set(map(tuple, coords.tolist()))
        return self.subset(
            np.array([corner in wanted for corner in map(tuple, self.coords.tolist())])
        )

    def is_readable(self, slide: Slide) -> np.ndarray:
        """Say which tiles had no unreadable pixel when they were read: bool (N,)."""
        size = (self.tile_size0, self.tile_size0 / self.aspect)
        return ~slide.damage.touches(self.level, self.coords, size)

    def read(self, slide: Slide, i: int) -> np.ndarray:
        """Read tile `i`: uint8 (tile_px, tile_px, 3).

        Its pixels are averaged from the level's pixels that it covers; it is white beyond the edge.
        """
        downsample = slide.level_downsamples[self.level]
        left, top = self.coords[i] / downsample
        across = self.tile_size0 / downsample
        down = across / self.aspect
        is_whole = across == down == self.tile_px
        if is_whole and left == int(left) and top == int(top):
            return slide.read_region(
                tuple(self.coords[i]), self.level, (self.tile_px, self.tile_px)
            )
        # The whole pixels of the level around the exact area of the tile.
        column = math.floor(left)
        row = math.floor(top)
        width = math.ceil(left + across) - column
        height = math.ceil(top + down) - row
        window = slide.read_region(
            (column * downsample, row * downsample), self.level, (width, height)
        )
        return area_average(
            window,
            (left - column, top - row, left - column + across, top - row + down),
            (self.tile_px, self.tile_px),
        )

    def read_batches(
        self,
        slide: Slide,
        order: np.ndarray,
        batch_size: int | Callable[[], int],
        pool: Executor,
        ahead: int,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read tiles in order, some batches ahead of their use.

        Parameters
        ----------
        slide
            The slide the grid was made for.
        order
            int (M,): indices of tiles.
        batch_size
            Tiles per batch; a function is asked when reading a batch begins.
        pool
            Threads that read; each takes one tile at a time.
        ahead
            Batches in flight, which bounds the memory.

        Yields
        ------
        indices, tiles
            int (B,) and uint8 (B, tile_px, tile_px, 3), in the order of `order`.
        """
        batches = _cut(order, batch_size)
        in_flight: list[tuple[np.ndarray, list[Future[np.ndarray]]]] = []
        try:
            while True:
                for indices in islice(batches, max(1, ahead) - len(in_flight)):
                    reads = [pool.submit(self.read, slide, int(i)) for i in indices]
                    in_flight.append((indices, reads))
                if not in_flight:
                    return
                indices, tiles = in_flight.pop(0)
                yield indices, np.stack([tile.result() for tile in tiles])
        finally:
            for _, tiles in in_flight:
                for tile in tiles:
                    tile.cancel()


def _cut(order: np.ndarray, batch_size: int | Callable[[], int]) -> Iterator[np.ndarray]:
    """Yield consecutive parts of an order."""
    start = 0
    while start < len(order):
        end = start + (batch_size if isinstance(batch_size, int) else batch_size())
        yield order[start:end]
        start = end


def tile_grid(
    slide: Slide,
    tile_px: int = 224,
    mpp: float = 0.5,
    level: int | None = None,
    overlap: float = 0.0,
    mask: TissueMask | None = None,
    min_tissue: float = 0.5,
) -> TileGrid:
    """Lay a regular grid over the slide.

    A tile belongs to the grid when its centre lies inside the slide (a slide smaller than a tile
    gives one tile) and at least `min_tissue` of the part inside the slide is tissue.

    Parameters
    ----------
    slide
        An open slide.
    tile_px
        Side of a tile in pixels.
    mpp
        Micrometres per pixel of a tile.
    level
        Take tiles of `tile_px` pixels of this stored level instead of a scale.
    overlap
        Share of a tile that its neighbour repeats, in [0, 1).
    mask
        Tissue; None is the whole slide.
    min_tissue
        Share of tissue that a tile needs, in [0, 1].

    Returns
    -------
    TileGrid

    Raises
    ------
    MissingMppError
        If a scale is asked for and the slide has none.
    ResolutionError
        If the slide is more than twice as coarse as asked for, or has no such level.
    """
    _check_arguments(tile_px, mpp, overlap, min_tissue)
    # Tiles by level are pixels, whatever their shape.
    aspect = slide.scale.aspect if level is None else 1.0
    tile_mpp, tile_size0, level = tile_scale(slide, tile_px, mpp, level)
    stride0 = tile_size0 * (1 - overlap)
    # Heights count in widths of a pixel: tiles are then squares.
    extent = (slide.dimensions[0], slide.dimensions[1] * aspect)
    # Tiles whose centre i * stride0 + tile_size0 / 2 lies inside [0, length).
    columns, rows = (max(1, math.ceil((length - tile_size0 / 2) / stride0)) for length in extent)
    lattice = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    cells = np.stack(lattice, -1).reshape(-1, 2)
    if mask is not None:
        squares = replace(mask, downsample=(mask.downsample[0], mask.downsample[1] * aspect))
        share = _tissue_share(squares, cells[:, ::-1] * stride0, tile_size0, extent)
        # A millionth below: shares are rounded sums of parts of mask pixels, and a tile that is
        # all tissue must pass a minimum of 1.
        cells = cells[share >= min_tissue - 1e-6]
    corners = cells[:, ::-1] * stride0 / (1.0, aspect)
    coords = np.floor(corners + 0.5).astype(np.int64)
    return TileGrid(
        coords, cells, (rows, columns), tile_px, tile_mpp, tile_size0, stride0, level, aspect
    )


def _check_arguments(tile_px: int, mpp: float, overlap: float, min_tissue: float) -> None:
    """Refuse arguments of `tile_grid` that are out of range."""
    for name, value, is_valid in (
        ("tile_px", tile_px, tile_px >= 1 and tile_px == int(tile_px)),
        ("mpp", mpp, math.isfinite(mpp) and mpp > 0),
        ("overlap", overlap, 0 <= overlap < 1),
        ("min_tissue", min_tissue, 0 <= min_tissue <= 1),
    ):
        if not is_valid:
            raise NapariMilError(
                f"{name} cannot be {value:g}; tile_px is at least 1, mpp positive, "
                "overlap in [0, 1) and min_tissue in [0, 1]."
            )


def tile_scale(
    slide: Slide, tile_px: int, mpp: float, level: int | None
) -> tuple[float | None, float, int]:
    """Compute the scale of tiles without reading pixels.

    Returns
    -------
    mpp, tile_size0, level
        Micrometres per pixel of the tiles, side in level-0 pixels, and level to read.

    Raises
    ------
    MissingMppError, ResolutionError
        See `tile_grid`.
    """
    if level is not None:
        if not 0 <= level < slide.level_count:
            raise ResolutionError(
                f"{slide.path.name} has no level {level}",
                f"its levels are 0 to {slide.level_count - 1}",
            )
        downsample = slide.level_downsamples[level]
        level_mpp = slide.mpp * downsample if slide.mpp else None
        return level_mpp, tile_px * downsample, level
    if slide.mpp is None:
        raise MissingMppError(_missing_scale(slide), Remedy.GIVE_SCALE, Remedy.TAKE_LEVEL)
    if slide.mpp > LARGEST_ENLARGEMENT * mpp:
        raise ResolutionError(
            f"{slide.path.name} has {slide.mpp:.3g} µm per pixel at its finest, "
            f"too coarse for tiles of {mpp:g} µm per pixel",
            Remedy.FINER_SCAN,
            Remedy.TAKE_LEVEL,
        )
    downsample = mpp / (slide.scale.mpp_x or slide.mpp)
    # The axis with the larger pixels decides which level is fine enough.
    finest = downsample / max(slide.scale.aspect, 1.0)
    return mpp, tile_px * downsample, slide.best_level_for_downsample(finest)


def _missing_scale(slide: Slide) -> str:
    """Say in words what is wrong with the scale of a slide."""
    implausible = slide.scale.implausible
    if implausible is None:
        return f"{slide.path.name} has no resolution"
    return f"{slide.path.name} has an implausible resolution ({implausible:.4g} µm per pixel)"


def _tissue_share(
    mask: TissueMask, corners: np.ndarray, size0: float, dimensions: Sequence[float]
) -> np.ndarray:
    """Return the share (N,) of tissue in each tile's part inside the slide."""
    inside = np.clip(np.asarray(dimensions) - corners, 0, size0).prod(1) / size0**2
    return mask.coverage(corners, size0) / np.maximum(inside, 1e-9)
