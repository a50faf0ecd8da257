"""Reading windows of a stored level that may exceed its edge."""

from __future__ import annotations

import math

import numpy as np

from napari_mil.slides.backend import SlideBackend
from napari_mil.slides.pixels import WHITE


def stored_extent(backend: SlideBackend, level: int) -> tuple[int, int, int, int]:
    """Return the box of a level outside which nothing is stored.

    (column0, row0, column1, row1) in pixels of `level`.
    """
    x, y, width, height = backend.bounds
    downsample = backend.level_downsamples[level]
    level_width, level_height = backend.level_dimensions[level]
    return (
        math.floor(x / downsample),
        math.floor(y / downsample),
        min(level_width, math.ceil((x + width) / downsample)),
        min(level_height, math.ceil((y + height) / downsample)),
    )


def stored_megapixels(backend: SlideBackend, level: int) -> float:
    """Return the area of a level's stored part in megapixels."""
    _, _, width, height = backend.bounds
    return width * height / backend.level_downsamples[level] ** 2 / 1e6


def is_stored(
    backend: SlideBackend, level: int, column: int, row: int, width: int, height: int
) -> bool:
    """Say whether any pixel of the window is stored."""
    column0, row0, column1, row1 = stored_extent(backend, level)
    return column < column1 and row < row1 and column + width > column0 and row + height > row0


def read_window(
    backend: SlideBackend,
    level: int,
    column: int,
    row: int,
    width: int,
    height: int,
    raw: bool = False,
) -> np.ndarray:
    """Read any window in pixels of a level.

    Where nothing is stored nothing is read, and the window is white, or 0 in every channel.

    Returns
    -------
    np.ndarray
        uint8 (height, width, 3), or values of the channels (height, width, C) where `raw`.
    """
    column0, row0, column1, row1 = stored_extent(backend, level)
    left = max(column, column0)
    right = min(column + width, column1)
    top = max(row, row0)
    bottom = min(row + height, row1)
    read = backend.read_channels if raw else backend.read
    if (left, top, right, bottom) == (column, row, column + width, row + height):
        return read(level, column, row, width, height)
    if raw:
        dtype = np.dtype(backend.channels[0].dtype)
        window = np.zeros((height, width, len(backend.channels)), dtype)
    else:
        window = np.full((height, width, 3), WHITE, np.uint8)
    if left < right and top < bottom:
        inside = read(level, left, top, right - left, bottom - top)
        window[top - row : bottom - row, left - column : right - column] = inside
    return window
