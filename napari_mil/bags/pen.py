"""Pen marks on the cover slip: ink in blue, green, red or black.

An ink is told from a stain by its hue, from blue and red stains and from black pigment by being of
one colour, without texture, with a sharp and smooth edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from napari_mil.bags.overview_pixels import opened, smoothed, texture

SMALLEST_MARK = 0.0005
"""Smallest area of a piece of ink as a share of the picture."""
LARGEST_SPREAD = 0.06
"""Largest median difference from the mark's own colour, as a share of white."""
LARGEST_TEXTURE = 4.0
"""Largest median texture within a mark, grey levels; tissue under thin ink has more."""
SMALLEST_SMOOTH_PART = 0.9
"""Smallest share of a mark that discs of half its half-width fit in; pigment is ragged."""
LARGEST_FRINGE = 0.8
"""Largest area of a paler fringe of the same hue as a share of the mark; stains fade out."""
PALER = 0.6
"""Saturation of the fringe of an ink as a share of its own."""
SMALLEST_ACCEPTED = 0.7
"""Smallest share of pieces of one ink's colour that must look like pen marks."""
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
    rough = texture(255 * colours.mean(2), 3)
    marks = np.zeros(sample.shape[:2], bool)
    for strict, loose in _ranges(colours):
        strict &= ~canvas
        if strict.mean() >= SMALLEST_MARK:
            marks |= _pieces_like_marks(strict, loose & ~canvas, colours, rough)
    if not marks.any():
        return marks
    return np.asarray(distance_transform_edt(~marks) <= HALO_PX)


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
    strict: np.ndarray, loose: np.ndarray, colours: np.ndarray, rough: np.ndarray
) -> np.ndarray:
    """Return pieces of an ink's colour that look like pen marks, bool (h, w).

    None where most of what has the colour looks otherwise: it is a stain or a pigment then.
    """
    labels, n = label(strict)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    large = [k for k in range(1, n + 1) if sizes[k] >= SMALLEST_MARK * strict.size]
    marks = [k for k in large if _is_mark(labels == k, colours, rough)]
    found = np.isin(labels, marks)
    if not marks or found.sum() < SMALLEST_ACCEPTED * sizes[large].sum():
        return np.zeros_like(strict)
    # The scanner's blur makes a fringe too: what is paler within its reach does not count.
    within_reach = distance_transform_edt(~found) <= HALO_PX
    fringe = (loose & ~within_reach).sum()
    return found if fringe <= LARGEST_FRINGE * found.sum() else np.zeros_like(strict)


def _is_mark(piece: np.ndarray, colours: np.ndarray, rough: np.ndarray) -> bool:
    """Say whether a piece is of one colour, without texture, and smooth at its edge."""
    own = colours[piece]
    spread = np.abs(own - np.median(own, 0)).max(1)
    if np.median(spread) > LARGEST_SPREAD or np.median(rough[piece]) > LARGEST_TEXTURE:
        return False
    depth = distance_transform_edt(np.pad(piece, 1, mode="edge"))[1:-1, 1:-1][piece]
    radius = max(1.0, 0.5 * float(np.quantile(depth, 0.9)))
    return bool(opened(piece, radius)[piece].mean() >= SMALLEST_SMOOTH_PART)
