"""Coarser views than the file holds: halved levels for the viewer, thumbnails, and a sampled overview of files without lower levels."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.levels import Level
from napari_mil.slides.resample import box_average
from napari_mil.slides.window import WHITE, is_stored, read_window, stored_extent

BLOCK_MP = 8.0
"""Megapixels decoded at once by one thread while a thumbnail is streamed."""


def halved_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of the next coarser level."""
    return max(1, round(width / 2)), max(1, round(height / 2))


class HalvedWindow:
    """Windows of a level of about half the size of `finer`, averaged over the pixels they cover."""

    def __init__(self, finer: Level, size: tuple[int, int]) -> None:
        self._finer = finer
        self._ratio_y, self._ratio_x = finer.shape[0] / size[1], finer.shape[1] / size[0]

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Return uint8 (height, width, 3)."""
        top, bottom = row * self._ratio_y, (row + height) * self._ratio_y
        left, right = column * self._ratio_x, (column + width) * self._ratio_x
        y0, y1 = math.floor(top), min(math.ceil(bottom), self._finer.shape[0])
        x0, x1 = math.floor(left), min(math.ceil(right), self._finer.shape[1])
        if self._finer.is_white(y0, y1, x0, x1):
            return np.full((height, width, 3), WHITE, np.uint8)
        source = self._finer.window(y0, y1, x0, x1)
        return box_average(
            source,
            (left - x0, top - y0, min(right - x0, x1 - x0), min(bottom - y0, y1 - y0)),
            (width, height),
        )


class SampledOverview:
    """One small picture of a level too large to be averaged, made once: the file's own thumbnail, or the mean colour of a lattice of its tiles."""

    def __init__(self, backend: SlideBackend, level: int, budget_mp: float) -> None:
        self._backend, self._level, self._budget_px = backend, level, budget_mp * 1e6
        self._picture: np.ndarray | None = None
        self._lock = threading.Lock()

    def window_of(self, size: tuple[int, int]) -> SampledWindow:
        """Return a reader of windows of this overview shown as a level of `size` (width, height)."""
        return SampledWindow(self, size)

    def picture(self) -> np.ndarray:
        """Return uint8 (h, w, 3) covering the whole level."""
        with self._lock:
            if self._picture is None:
                self._picture = self._thumbnail() if self._has_thumbnail() else self._sample()
            return self._picture

    def _has_thumbnail(self) -> bool:
        if "thumbnail" not in self._backend.associated_images:
            return False
        height, width, _ = self._thumbnail().shape
        level_width, level_height = self._backend.level_dimensions[self._level]
        return bool(abs(width / height / (level_width / level_height) - 1) < 2 / min(width, height))

    def _thumbnail(self) -> np.ndarray:
        return self._backend.associated_images["thumbnail"]

    def _sample(self) -> np.ndarray:
        width, height = self._backend.level_dimensions[self._level]
        column0, row0, column1, row1 = stored_extent(self._backend, self._level)
        tile_width, tile_height = self._backend.tile_sizes[self._level] or (256, 256)
        # So many tiles fit the budget; the lattice has square cells, each shown by the tile at its centre.
        cell = max(
            math.sqrt(
                (column1 - column0) * (row1 - row0) * tile_width * tile_height / self._budget_px
            ),
            tile_width,
            tile_height,
        )
        rows, columns = max(1, int(height / cell)), max(1, int(width / cell))
        picture = np.full((rows, columns, 3), WHITE, np.uint8)
        for i in range(rows):
            for j in range(columns):
                column = int((j + 0.5) * width / columns) // tile_width * tile_width
                row = int((i + 0.5) * height / rows) // tile_height * tile_height
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
    """Windows of a `SampledOverview` stretched over a level."""

    def __init__(self, overview: SampledOverview, size: tuple[int, int]) -> None:
        self._overview, self._size = overview, size

    def __call__(self, row: int, column: int, height: int, width: int) -> np.ndarray:
        """Return uint8 (height, width, 3)."""
        picture = self._overview.picture()
        scale_x, scale_y = picture.shape[1] / self._size[0], picture.shape[0] / self._size[1]
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
    """Average the whole slide to uint8 (height, width, 3) of `size` (width, height), decoding block by block.

    Memory is bounded by a block per thread whatever the levels (a target pixel is the least a block can be); time is that of the coarsest
    stored level that is at least as fine. Cancelling ends it within a block.
    """
    width, height = size
    fine_enough = [
        k for k, (w, h) in enumerate(backend.level_dimensions) if w >= width and h >= height
    ]
    level = fine_enough[-1] if fine_enough else 0
    level_width, level_height = backend.level_dimensions[level]
    ratio_x, ratio_y = level_width / width, level_height / height
    thumbnail = np.full((height, width, 3), WHITE, np.uint8)

    def fill(block: tuple[int, int, int, int]) -> None:
        cancel.raise_if_cancelled()
        left, top, right, bottom = block
        box = (left * ratio_x, top * ratio_y, right * ratio_x, bottom * ratio_y)
        x0, y0, x1, y1 = (
            math.floor(box[0]),
            math.floor(box[1]),
            math.ceil(box[2]),
            math.ceil(box[3]),
        )
        if not is_stored(backend, level, x0, y0, x1 - x0, y1 - y0):
            return
        source = read_window(backend, level, x0, y0, x1 - x0, y1 - y0)
        within = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
        thumbnail[top:bottom, left:right] = box_average(
            source, within, (right - left, bottom - top)
        )

    for _ in pool.map(fill, _blocks(width, height, ratio_x * ratio_y)):
        pass
    return thumbnail


def _blocks(
    width: int, height: int, pixels_per_pixel: float
) -> Iterator[tuple[int, int, int, int]]:
    side = max(1, int(math.sqrt(BLOCK_MP * 1e6 / max(pixels_per_pixel, 1e-9))))
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield left, top, min(left + side, width), min(top + side, height)
