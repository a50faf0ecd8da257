"""Pen marks on the cover slip: ink in blue, green, red or black.

An ink is told from a stain by its hue, from blue and red stains and from black pigment by being of
one colour, without texture, with a sharp and smooth edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from napari_mil.bags.overview_pixels import opened, smoothed, texture, within

SMALLEST_PIECE = 0.0005
"""Smallest area of a piece of ink as a share of the picture."""
SMALLEST_MARKS = 0.005
"""Smallest area of all ink of one colour as a share of the picture; dirt is smaller."""
STROKE = 8.0
"""Smallest area of a stroke in squares of its half-width: it is longer than wide."""
SMALLEST_BLOT = 0.02
"""Smallest area of a mark that is no stroke as a share of the picture.

Clumps of dark stain are smaller.
"""
LARGEST_SPREAD = 0.06
"""Largest median difference from the mark's own colour, as a share of white."""
LARGEST_TEXTURE = 6.0
"""Largest texture within a mark, grey levels; tissue under thin ink has more."""
SMALLEST_SMOOTH_PART = 0.9
"""Smallest share of a mark that discs of half its half-width fit in; pigment is ragged."""
LARGEST_FRINGE = 0.4
"""Largest share of a paler version of its colour around a mark; stains fade out."""
PALER = 0.6
"""Saturation of the fringe of an ink as a share of its own."""
HALO_PX = 2
"""Pixels of the sample around a mark that the scanner blurs it over."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Colour range of an ink relative to white."""

    hues: tuple[float, float]
    """Lowest and highest hue in degrees, which may pass through 360."""
    saturation: float
    """Lowest HSV saturation."""

    def covers(self, hue: np.ndarray, saturation: np.ndarray, share: float = 1.0) -> np.ndarray:
        """Say where pixels have this colour, with a share of its saturation at least."""
        low, high = self.hues
        within = (hue - low) % 360 <= high - low
        return within & (saturation > share * self.saturation)


BLUE = (Ink((180, 232), 0.45), Ink((232, 245), 0.68))
"""Haematoxylin and chromogens are of the deeper blue too, but paler."""
GREEN = (Ink((80, 180), 0.35),)
RED = (Ink((344, 376), 0.72),)
BLACK_VALUE = 0.33
"""Largest brightness of black ink relative to white."""
BLACK_COLOUR = 0.12
"""Largest difference of the colours of black ink, as a share of white."""


def pen_marks(sample: np.ndarray, white: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """Find pen marks on a sample of an overview.

    Parameters
    ----------
    sample
        uint8 (h, w, 3).
    white
        Colour (3,) of the glass, or of the brightest pixels where no glass was found.
    canvas
        bool (h, w): black where nothing was scanned.

    Returns
    -------
    np.ndarray
        bool (h, w), with the blurred edge of the marks.
    """
    averaged = smoothed(sample)
    colours = np.minimum(averaged / np.float32(white), 1)
    smooth = texture(255 * colours.mean(2), 3) < LARGEST_TEXTURE
    marks = np.zeros(sample.shape[:2], bool)
    for strict, loose in _ranges(colours):
        if strict.mean() >= SMALLEST_MARKS:
            marks |= _pieces_like_marks(strict & ~canvas, loose & ~canvas, smooth, colours)
    if not marks.any():
        return marks
    return within(marks, 2 * HALO_PX)


def _ranges(colours: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, of each ink, where its colour is and where a paler version is: bool (h, w)."""
    largest = colours.max(2)
    difference = largest - colours.min(2)
    saturation = difference / np.maximum(largest, 1e-3)
    hue = _hue(colours, largest, np.maximum(difference, 1e-6))
    # The saturation of what is nearly black is noise.
    coloured = largest > 0.2
    ranges = []
    for inks in (BLUE, GREEN, RED):
        strict, loose = (
            coloured & np.any([ink.covers(hue, saturation, share) for ink in inks], 0)
            for share in (1.0, PALER)
        )
        ranges.append((strict, loose))
    black = (largest < BLACK_VALUE) & (difference < BLACK_COLOUR)
    grey = (largest < 1.5 * BLACK_VALUE) & (difference < 1.5 * BLACK_COLOUR)
    return [*ranges, (black, grey)]


def _hue(colours: np.ndarray, largest: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Return the HSV hue in degrees, float32 (h, w)."""
    red, green, blue = (colours[..., k] for k in range(3))
    sextant = np.where(
        largest == red,
        ((green - blue) / difference) % 6,
        np.where(largest == green, (blue - red) / difference + 2, (red - green) / difference + 4),
    )
    return 60 * sextant


def _pieces_like_marks(
    strict: np.ndarray, loose: np.ndarray, smooth: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Return pieces of an ink's colour that look like pen marks, bool (h, w).

    None where most of what has the colour looks otherwise: it is a stain or a pigment then.
    """
    # Opening parts a mark from tissue of its colour beside it.
    labels, n = label(opened(strict & smooth, 1.5))
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    large = [k for k in range(1, n + 1) if sizes[k] >= SMALLEST_PIECE * strict.size]
    marks = [k for k in large if _is_mark(labels == k, loose, colours)]
    if not marks:
        return np.zeros_like(strict)
    # The rim of a mark is not smooth: what touches its inside and has its colour belongs to it.
    found = within(np.isin(labels, marks), HALO_PX) & strict
    others = sum(sizes[k] for k in large if k not in marks)
    is_ink = found.sum() >= max(SMALLEST_MARKS * strict.size, others)
    return found if is_ink else np.zeros_like(strict)


def _is_mark(piece: np.ndarray, loose: np.ndarray, colours: np.ndarray) -> bool:
    """Say whether a piece is long or large, of one colour, and sharp and smooth at its edge."""
    own = colours[piece]
    if np.median(np.abs(own - np.median(own, 0)).max(1)) > LARGEST_SPREAD:
        return False
    # The scanner's blur makes a fringe too: beyond its reach, ink has none.
    around = within(piece, 2 * HALO_PX + 1) & ~within(piece, HALO_PX + 1)
    if not around.any() or loose[around].mean() > LARGEST_FRINGE:
        return False
    depth = distance_transform_edt(np.pad(piece, 1, mode="edge"))[1:-1, 1:-1][piece]
    if depth.size < min(STROKE * depth.max() ** 2, SMALLEST_BLOT * piece.size):
        return False
    radius = max(1.0, 0.5 * float(np.quantile(depth, 0.9)))
    return bool(opened(piece, radius)[piece].mean() >= SMALLEST_SMOOTH_PART)
