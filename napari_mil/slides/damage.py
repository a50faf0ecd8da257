"""Parts of a slide that cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from napari_mil.slides.pixels import WHITE

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in level-0 pixels."""
Window = tuple[int, int, int, int]
"""(column, row, width, height) in pixels of a level."""
HATCH_PX = 16
"""Distance of the lines of the hatching, in pixels of the view."""
HATCH_GREY = 150


def level0_box(window: Window, downsample: float) -> Box:
    """Return the extent of a window of a level in level-0 pixels."""
    column, row, width, height = window
    return (
        column * downsample,
        row * downsample,
        (column + width) * downsample,
        (row + height) * downsample,
    )


class DamagedPixelsError(Exception):
    """Pixels that cannot be read; the message is the decoder's reason."""


def read_around_damage(
    read: Callable[[Window], np.ndarray],
    window: Window,
    tile: tuple[int, int],
    note: Callable[[Window, str], None],
) -> np.ndarray:
    """Read a window; where that fails read it tile by tile, unreadable tiles white.

    Parameters
    ----------
    read
        Reads a window, uint8 (height, width, 3), or raises `DamagedPixelsError`.
    window
        What to read.
    tile
        (width, height) of the parts that are tried alone.
    note
        Called with each unreadable part and the reason.
    """
    try:
        return read(window)
    except DamagedPixelsError:
        pass
    column, row, width, height = window
    pixels = np.full((height, width, 3), WHITE, np.uint8)
    for part in _tiles_of(window, tile):
        left, top, part_width, part_height = part
        try:
            readable = read(part)
        except DamagedPixelsError as error:
            note(part, str(error))
            continue
        y = top - row
        x = left - column
        pixels[y : y + part_height, x : x + part_width] = readable
    return pixels


def _tiles_of(window: Window, tile: tuple[int, int]) -> Iterator[Window]:
    """Yield the parts of a window that lie in one tile each."""
    column, row, width, height = window
    for y in range(row // tile[1] * tile[1], row + height, tile[1]):
        for x in range(column // tile[0] * tile[0], column + width, tile[0]):
            left = max(x, column)
            top = max(y, row)
            right = min(x + tile[0], column + width)
            bottom = min(y + tile[1], row + height)
            yield left, top, right - left, bottom - top


class Damage:
    """Unreadable tiles of one slide, as they are met; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[tuple[int, Box], None] = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._reason = ""

    def __len__(self) -> int:
        return len(self._boxes)

    def __bool__(self) -> bool:
        return bool(self._boxes)

    def add(self, level: int, box: Box, reason: str) -> None:
        """Note an unreadable box of a level and the decoder's reason."""
        with self._lock:
            self._boxes[(level, box)] = None
            self._arrays.pop(level, None)
            self._reason = self._reason or reason

    @property
    def reason(self) -> str:
        """What the decoder said of the first unreadable tile."""
        return self._reason

    def boxes(self, level: int) -> np.ndarray:
        """Return unreadable boxes of a level, float64 (n, 4), in the order of their reading."""
        with self._lock:
            if level not in self._arrays:
                found = [box for at, box in self._boxes if at == level]
                self._arrays[level] = np.array(found, float).reshape(-1, 4)
            return self._arrays[level]

    def touches(self, level: int, corners: np.ndarray, size: tuple[float, float]) -> np.ndarray:
        """Say which of some rectangles contain an unreadable pixel.

        Parameters
        ----------
        level
            Level the rectangles were read from.
        corners
            (N, 2): (x, y) of the top left corners in level-0 pixels.
        size
            (width, height) of each in level-0 pixels.

        Returns
        -------
        np.ndarray
            bool (N,).
        """
        touched = np.zeros(len(corners), bool)
        boxes = self.boxes(level)
        if len(boxes) == 0:
            return touched
        # Row by row: a million tiles and 50 000 boxes are too many to compare each with each.
        boxes = boxes[np.argsort(boxes[:, 0])]
        rows, row_of = np.unique(corners[:, 1], return_inverse=True)
        order = np.argsort(row_of, kind="stable")
        ends = np.cumsum(np.bincount(row_of))
        for y, members in zip(rows, np.split(order, ends[:-1]), strict=True):
            left, _, right, _ = boxes[(boxes[:, 1] < y + size[1]) & (boxes[:, 3] > y)].T
            if len(left) == 0:
                continue
            x = corners[members, 0]
            # Of the boxes that begin before the end of a rectangle, how far the furthest reaches.
            n_before = np.searchsorted(left, x + size[0])
            reach = np.concatenate(([-np.inf], np.maximum.accumulate(right)))
            touched[members] = reach[n_before] > x
        return touched

    def hatch(
        self, pixels: np.ndarray, level: int, column: int, row: int, downsample: float
    ) -> None:
        """Hatch the unreadable parts of a window in place.

        Parameters
        ----------
        pixels
            uint8 (h, w, 3), a window of a level.
        level
            Index of that level.
        column, row
            Its place in pixels of the level.
        downsample
            Level-0 pixels per pixel of the level.
        """
        height, width = pixels.shape[:2]
        boxes = self.boxes(level) / downsample
        is_near = (boxes[:, 0] <= column + width) & (boxes[:, 2] >= column)
        is_near &= (boxes[:, 1] <= row + height) & (boxes[:, 3] >= row)
        for box in boxes[is_near]:
            left, top, right, bottom = (round(side) for side in box)
            x0 = max(left - column, 0)
            x1 = min(right - column, width)
            y0 = max(top - row, 0)
            y1 = min(bottom - row, height)
            if x0 >= x1 or y0 >= y1:
                continue
            rows = np.arange(row + y0, row + y1)[:, None]
            columns = np.arange(column + x0, column + x1)
            is_line = (rows + columns) % HATCH_PX < 2
            part = pixels[y0:y1, x0:x1]
            part[...] = WHITE
            part[is_line] = HATCH_GREY
