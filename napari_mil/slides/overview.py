"""Views of a slide coarser than the levels of its file.

Halved levels for the viewer, thumbnails, and a sampled overview of files without lower levels.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.levels import Level
from napari_mil.slides.pixels import WHITE
from napari_mil.slides.resample import box_average
from napari_mil.slides.window import is_stored, read_window, stored_extent

Block = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels of a thumbnail."""
OVERVIEW_PX = 4096
"""Longer side of the overview of a slide without coarse levels, in pixels."""
BLOCK_MP = 8.0
"""Megapixels decoded at once by one thread while a thumbnail is streamed."""


def halved_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of the next coarser level."""
    return max(1, round(width / 2)), max(1, round(height / 2))


class HalvedWindow:
    """Reader of a level of about half the size of a finer one.

    A pixel is the average of the pixels of `finer` that it covers.
    """

    def __init__(self, finer: Level, size: tuple[int, int]) -> None:
        self._finer = finer
        self._ratio_y = finer.shape[0] / size[1]
        self._ratio_x = finer.shape[1] / size[0]

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Read a window: uint8 (height, width, 3)."""
        # Exact borders in pixels of the finer level, and the whole pixels around them.
        top = row * self._ratio_y
        bottom = (row + height) * self._ratio_y
        left = column * self._ratio_x
        right = (column + width) * self._ratio_x
        y0 = math.floor(top)
        y1 = min(math.ceil(bottom), self._finer.shape[0])
        x0 = math.floor(left)
        x1 = min(math.ceil(right), self._finer.shape[1])
        if self._finer.is_white(y0, y1, x0, x1):
            return np.full((height, width, 3), WHITE, np.uint8)
        source = self._finer.window(y0, y1, x0, x1)
        return box_average(
            source,
            (left - x0, top - y0, min(right - x0, x1 - x0), min(bottom - y0, y1 - y0)),
            (width, height),
        )


class ReducedWindow:
    """Reader of a level that the decoder shrinks while it decodes a stored one.

    Unreadable tiles are hatched.
    """

    def __init__(self, backend: SlideBackend, level: int, factor: int) -> None:
        self._backend = backend
        self._level = level
        self._factor = factor

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the level."""
        width, height = self._backend.level_dimensions[self._level]
        return -(-width // self._factor), -(-height // self._factor)

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Read a window: uint8 (height, width, 3)."""
        pixels = self._backend.read_reduced(self._level, self._factor, column, row, width, height)
        if self._backend.damage:
            downsample = self._backend.level_downsamples[self._level] * self._factor
            self._backend.damage.hatch(pixels, self._level, column, row, downsample)
        return pixels


class SampledOverview:
    """Small picture of a level too large to be averaged.

    It is an average that was made before, the file's own thumbnail, or the mean colour of a lattice
    of its tiles; made once.
    """

    def __init__(
        self,
        backend: SlideBackend,
        level: int,
        budget_mp: float,
        stored: Callable[[], np.ndarray | None] = lambda: None,
    ) -> None:
        self._stored = stored
        self._backend = backend
        self._level = level
        self.budget_mp = budget_mp
        """Megapixels that may be read for the picture."""
        self._picture: np.ndarray | None = None
        self._lock = threading.Lock()

    def window_of(self, size: tuple[int, int]) -> SampledWindow:
        """Return a reader that shows this as a level of `size`.

        `size` is (width, height) in pixels.
        """
        return SampledWindow(self, size)

    def picture(self) -> np.ndarray:
        """Return the picture of the whole level, uint8 (h, w, 3)."""
        with self._lock:
            if self._picture is None:
                self._picture = self._stored()
            if self._picture is None:
                self._picture = self._thumbnail() if self._has_thumbnail() else self._sample()
            return self._picture

    def replace(self, picture: np.ndarray) -> None:
        """Take another picture of the whole level from now on, uint8 (h, w, 3)."""
        with self._lock:
            self._picture = picture

    def _has_thumbnail(self) -> bool:
        """Say whether the file has a thumbnail of the level's proportions."""
        if "thumbnail" not in self._backend.associated_images:
            return False
        height, width, _ = self._thumbnail().shape
        level_width, level_height = self._backend.level_dimensions[self._level]
        return bool(abs(width / height / (level_width / level_height) - 1) < 2 / min(width, height))

    def _thumbnail(self) -> np.ndarray:
        return self._backend.associated_images["thumbnail"]

    def _sample(self) -> np.ndarray:
        """Average the tiles at the centres of a lattice over the level."""
        width, height = self._backend.level_dimensions[self._level]
        column0, row0, column1, row1 = stored_extent(self._backend, self._level)
        tile_width, tile_height = self._backend.tile_sizes[self._level] or (256, 256)
        # The lattice has square cells, as many as the tiles that fit the budget; each cell is
        # shown by the tile at its centre.
        stored_px = (column1 - column0) * (row1 - row0)
        cell_for_budget = math.sqrt(stored_px * tile_width * tile_height / (self.budget_mp * 1e6))
        cell = max(cell_for_budget, tile_width, tile_height)
        rows = max(1, int(height / cell))
        columns = max(1, int(width / cell))
        picture = np.full((rows, columns, 3), WHITE, np.uint8)
        for i in range(rows):
            row = int((i + 0.5) * height / rows) // tile_height * tile_height
            for j in range(columns):
                column = int((j + 0.5) * width / columns) // tile_width * tile_width
                if is_stored(self._backend, self._level, column, row, tile_width, tile_height):
                    tile = read_window(
                        self._backend,
                        self._level,
                        column,
                        row,
                        min(tile_width, width - column),
                        min(tile_height, height - row),
                    )
                    picture[i, j] = tile.mean((0, 1)).round()
        return picture


class SampledWindow:
    """Reader of a `SampledOverview` stretched over a level."""

    def __init__(self, overview: SampledOverview, size: tuple[int, int]) -> None:
        self._overview = overview
        self._size = size

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Read a window: uint8 (height, width, 3)."""
        picture = self._overview.picture()
        scale_x = picture.shape[1] / self._size[0]
        scale_y = picture.shape[0] / self._size[1]
        box = (
            column * scale_x,
            row * scale_y,
            (column + width) * scale_x,
            (row + height) * scale_y,
        )
        return np.asarray(
            Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, box=box)
        )


def stream_thumbnail(
    backend: SlideBackend, size: tuple[int, int], pool: Executor, cancel: CancellationToken
) -> np.ndarray:
    """Average the whole slide to a thumbnail, block by block.

    Memory is bounded by a block per thread whatever the levels (the smallest block is one target
    pixel); time is that of the coarsest stored level that is at least as fine. Cancelling ends it
    within a block.

    Returns
    -------
    np.ndarray
        uint8 (height, width, 3) of `size` (width, height).
    """
    width, height = size
    fine_enough = [
        k for k, (w, h) in enumerate(backend.level_dimensions) if w >= width and h >= height
    ]
    level = fine_enough[-1] if fine_enough else 0
    level_width, level_height = backend.level_dimensions[level]
    ratio = min(level_width / width, level_height / height)
    # The decoder shrinks as far as it can.
    factor = max((each for each in backend.reductions[level] if each <= ratio), default=1)
    ratio_x = level_width / factor / width
    ratio_y = level_height / factor / height
    thumbnail = np.full((height, width, 3), WHITE, np.uint8)

    def fill(block: Block) -> None:
        """Write one block of the thumbnail."""
        cancel.raise_if_cancelled()
        left, top, right, bottom = block
        # Exact borders in pixels of the level, and the whole pixels around them.
        box = (left * ratio_x, top * ratio_y, right * ratio_x, bottom * ratio_y)
        x0 = math.floor(box[0])
        y0 = math.floor(box[1])
        # Not beyond the level for a rounding error of the borders.
        x1 = min(math.ceil(box[2]), -(-level_width // factor))
        y1 = min(math.ceil(box[3]), -(-level_height // factor))
        if factor > 1:
            source = backend.read_reduced(level, factor, x0, y0, x1 - x0, y1 - y0)
        elif is_stored(backend, level, x0, y0, x1 - x0, y1 - y0):
            source = read_window(backend, level, x0, y0, x1 - x0, y1 - y0)
        else:
            return
        within = (
            box[0] - x0,
            box[1] - y0,
            min(box[2] - x0, source.shape[1]),
            min(box[3] - y0, source.shape[0]),
        )
        thumbnail[top:bottom, left:right] = box_average(
            source, within, (right - left, bottom - top)
        )

    for _ in pool.map(fill, _blocks(width, height, ratio_x * ratio_y)):
        pass
    return thumbnail


def _blocks(width: int, height: int, pixels_per_pixel: float) -> Iterator[Block]:
    """Yield the blocks of a thumbnail, given source pixels per target pixel."""
    side = max(1, int(math.sqrt(BLOCK_MP * 1e6 / max(pixels_per_pixel, 1e-9))))
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield left, top, min(left + side, width), min(top + side, height)
