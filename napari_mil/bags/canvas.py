"""Parts of a picture where nothing was scanned: filled with black or white."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, binary_opening

from napari_mil.bags.overview_pixels import brightness, opened, texture, within

BLACK = 8
"""Largest grey level of black canvas."""
BLURRED_PX = 6
"""Pixels of the sample that a canvas is blurred over at its edge."""
STRAIGHT_PX = 9
"""Length of a straight part of an edge, px of the sample."""
SMALLEST_STRAIGHT_PART = 0.6
"""Smallest share of the edge of white canvas that runs along rows and columns."""


def find_canvas(sample: np.ndarray) -> np.ndarray:
    """Find where nothing was scanned, on a sample of an overview.

    Black canvas is black without texture. White canvas is pure white with edges along rows and
    columns, as it fills up the fields of a scanner; other pure white is glass.

    Parameters
    ----------
    sample
        uint8 (h, w, 3).

    Returns
    -------
    np.ndarray
        bool (h, w), with the blurred edge of the canvas.
    """
    value = brightness(sample)
    radius = max(2.0, 0.01 * max(value.shape))
    canvas = opened((value <= BLACK) & (texture(value, 3) < 1), radius)
    white = opened(sample.min(2) == 255, radius)
    if white.any() and not white.all() and _has_straight_edges(white):
        canvas |= white
    return within(canvas, BLURRED_PX) if canvas.any() else canvas


def _has_straight_edges(mask: np.ndarray) -> bool:
    """Say whether the edge of a mask runs along rows and columns for the most part."""
    edge = mask & ~binary_erosion(mask, border_value=1)
    straight = binary_opening(edge, np.ones((1, STRAIGHT_PX)))
    straight |= binary_opening(edge, np.ones((STRAIGHT_PX, 1)))
    return bool(straight.sum() >= SMALLEST_STRAIGHT_PART * edge.sum())
