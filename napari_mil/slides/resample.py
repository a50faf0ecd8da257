"""Shrinking images: exactly for encoders, quickly for viewers."""

from __future__ import annotations

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the source; fractions allowed."""


def area_average(pixels: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """Average uint8 (h, w, 3) over the exact area of target pixels.

    A source pixel cut by a border counts by the part inside.

    Returns
    -------
    np.ndarray
        uint8 (height, width, 3) of `size` (width, height).
    """
    left, top, right, bottom = box
    # (height, w, 3), then (width, height, 3)
    by_row = _averages(pixels.astype(np.float32), top, bottom, size[1])
    by_column = _averages(np.ascontiguousarray(by_row.swapaxes(0, 1)), left, right, size[0])
    return np.floor(by_column.swapaxes(0, 1) + 0.5).astype(np.uint8)


def _averages(values: np.ndarray, start: float, stop: float, count: int) -> np.ndarray:
    """Average (n, …) over `count` equal parts of [start, stop).

    Averages are differences of the running integral, which is linear within a pixel.
    """
    borders = np.linspace(start, stop, count + 1)
    whole = np.minimum(borders.astype(int), len(values) - 1)
    # float32 has 24 bits: an error of 0.01 of a grey level over 500 pixels.
    integral = np.empty((len(values) + 1, *values.shape[1:]), np.float32)
    integral[0] = 0
    np.cumsum(values, 0, out=integral[1:])
    fraction = (borders - whole).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    at_borders = values[whole]
    at_borders *= fraction
    at_borders += integral[whole]
    averages = at_borders[1:] - at_borders[:-1]
    averages *= np.float32(count / (stop - start))
    return averages


def box_average(pixels: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """Average over target pixels ten times faster, for views.

    Like `area_average`, but a source pixel counts wholly for the target pixel its centre lies in.
    """
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, box=box))
