"""Tissue mask of a slide from the saturation of an overview.

HSV saturation, with Otsu's threshold kept within plausible limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from skimage.filters import gaussian, threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects

from napari_mil.events import CancellationToken
from napari_mil.slides import Slide

WANTED_MPP = 8.0
"""Wanted µm per pixel of the overview.

A tile of 224 px at 0.5 µm/px then covers 14 x 14 mask pixels.
"""
LARGEST_MASK_PX = 4096
"""Largest allowed longer side of the mask, px."""
SMALLEST_MASK_PX = 512
"""Smallest longer side of the mask, px, where the slide is large enough."""
PAPER_SATURATION = 0.05
"""Mean saturation below which the papers discard tiles.

Breast patches, methods §5.1.
"""
SATURATION_LIMITS = (0.02, 0.10)
"""Lowest and highest threshold of saturation.

JPEG noise on white glass reaches 0.02, eosin at its palest 0.10.
"""
SMALLEST_CONTRAST = 0.03
"""Smallest difference of mean saturation between glass and tissue.

Otsu always splits; two classes closer than this are one (all glass, or all tissue).
"""
DARKEST_VALUE = 0.08
"""Brightness below which saturation is noise.

Black canvas, masks and deep pen are that dark.
"""
SMALLEST_PIECE_UM2 = 2_500.0
"""Area below which a piece is dust, µm² (50 µm x 50 µm)."""


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Tissue of a whole slide as a mask.

    Attributes
    ----------
    mask
        bool (h, w).
    downsample
        Level-0 pixels per mask pixel, (along x, along y); a mask pixel (row, column) covers
        level-0 x in [column * downsample[0], (column + 1) * downsample[0]).
    """

    mask: np.ndarray
    downsample: tuple[float, float]

    @property
    def fraction(self) -> float:
        """Share of the slide that is tissue."""
        return float(self.mask.mean())

    def coverage(self, corners: np.ndarray, size0: float) -> np.ndarray:
        """Return the share of tissue in each square.

        Parameters
        ----------
        corners
            float (N, 2): (x, y) of the top left corners in level-0 pixels.
        size0
            Side in level-0 pixels.

        Returns
        -------
        np.ndarray
            float64 (N,); mask pixels at the border of a square count by the share that lies inside.
        """
        height, width = self.mask.shape
        integral = np.zeros((height + 1, width + 1))
        integral[1:, 1:] = self.mask.cumsum(0).cumsum(1)
        left = corners[:, 0] / self.downsample[0]
        top = corners[:, 1] / self.downsample[1]
        right = left + size0 / self.downsample[0]
        bottom = top + size0 / self.downsample[1]
        inside = (
            _bilinear(integral, bottom, right)
            - _bilinear(integral, top, right)
            - _bilinear(integral, bottom, left)
            + _bilinear(integral, top, left)
        )
        return inside / ((right - left) * (bottom - top))


def tissue_mask(slide: Slide, cancel: CancellationToken | None = None) -> TissueMask:
    """Find tissue on an overview of the slide.

    Saturation is measured after dividing by the colour of the glass, so that tinted and dim scans
    behave like white ones; black canvas is no tissue. The threshold is Otsu's within
    `SATURATION_LIMITS`; where the two classes hardly differ it is the papers' 0.05, so that a slide
    of glass has no tissue and a slide without glass is all tissue.

    Parameters
    ----------
    slide
        An open slide.
    cancel
        Asked while the overview is read.

    Returns
    -------
    TissueMask
        bool array at about 8 µm per pixel (at most 4096 pixels a side) and its downsample.
    """
    width, height = slide.dimensions
    downsample = max(_wanted_downsample(slide), max(width, height) / LARGEST_MASK_PX, 1.0)
    thumbnail = slide.thumbnail(
        (math.ceil(width / downsample), math.ceil(height / downsample)), cancel
    )
    downsample_xy = (width / thumbnail.shape[1], height / thumbnail.shape[0])
    mpp = slide.mpp or 0.5
    mask_pixel_um2 = mpp**2 * downsample_xy[0] * downsample_xy[1]
    smallest_piece = max(4, round(SMALLEST_PIECE_UM2 / mask_pixel_um2))
    # Only the stored part is searched: white around it would be taken for glass.
    x, y, stored_width, stored_height = slide.bounds
    left = int(x / downsample_xy[0])
    top = int(y / downsample_xy[1])
    right = math.ceil((x + stored_width) / downsample_xy[0])
    bottom = math.ceil((y + stored_height) / downsample_xy[1])
    mask = np.zeros(thumbnail.shape[:2], bool)
    mask[top:bottom, left:right] = _segment(thumbnail[top:bottom, left:right], smallest_piece)
    return TissueMask(mask, downsample_xy)


def _wanted_downsample(slide: Slide) -> float:
    """Return the downsample of an overview of 8 µm per pixel.

    It is never so large that the mask is too small to have shapes. Without mpp a pixel counts as
    0.5 µm.
    """
    wanted = WANTED_MPP / (slide.mpp or 0.5)
    return min(wanted, max(slide.dimensions) / SMALLEST_MASK_PX)


def _segment(thumbnail: np.ndarray, smallest_piece: int) -> np.ndarray:
    """Segment tissue in uint8 (h, w, 3): bool (h, w)."""
    lit = thumbnail.max(2) > DARKEST_VALUE * 255
    saturation = gaussian(_saturation(thumbnail, _glass_colour(thumbnail)), 1)
    tissue = lit & (saturation > _threshold(saturation[lit]))
    tissue = remove_small_objects(tissue, max_size=smallest_piece - 1)
    return remove_small_holes(tissue, max_size=smallest_piece - 1)


def _saturation(pixels: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Compute the HSV saturation of pixels relative to a white.

    (max - min) / max as float32 (h, w), of uint8 (h, w, 3) divided by a colour (3,). It works plane
    by plane to spare memory.
    """
    largest = pixels[..., 0] * np.float32(1 / white[0])
    smallest = largest.copy()
    for channel in (1, 2):
        plane = pixels[..., channel] * np.float32(1 / white[channel])
        np.maximum(largest, plane, out=largest)
        np.minimum(smallest, plane, out=smallest)
    np.subtract(largest, smallest, out=smallest)
    np.maximum(largest, 1e-6, out=largest)
    return np.divide(smallest, largest, out=smallest)


def _glass_colour(pixels: np.ndarray) -> np.ndarray:
    """Estimate the colour (3,) of the glass.

    It is the median colour of the brightest pixels that are nearly grey; white where there are
    hardly any.
    """
    white = np.full(3, 255, np.float32)
    value = pixels.max(2)
    bright = pixels[value >= max(0.9 * np.quantile(value, 0.99), 0.3 * 255)]
    nearly_grey = bright[_saturation(bright[None], white)[0] < 2 * SATURATION_LIMITS[1]]
    if len(nearly_grey) < 0.01 * value.size:
        return white
    return np.maximum(np.median(nearly_grey, 0), 0.3 * 255).astype(np.float32)


def _threshold(saturation: np.ndarray) -> float:
    """Return the saturation above which a pixel is tissue.

    It is computed from the saturation of all lit pixels (n,).
    """
    if saturation.size == 0 or saturation.max() - saturation.min() < 1e-3:
        return PAPER_SATURATION
    otsu = float(threshold_otsu(saturation))
    above = saturation[saturation > otsu]
    below = saturation[saturation <= otsu]
    if above.size == 0 or below.size == 0 or above.mean() - below.mean() < SMALLEST_CONTRAST:
        return PAPER_SATURATION
    return float(np.clip(otsu, *SATURATION_LIMITS))


def _bilinear(integral: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate a summed-area table at fractional positions.

    The table is (h + 1, w + 1); positions (n,) are clipped to its extent.
    """
    rows = np.clip(rows, 0, integral.shape[0] - 1)
    columns = np.clip(columns, 0, integral.shape[1] - 1)
    i = np.minimum(rows.astype(int), integral.shape[0] - 2)
    j = np.minimum(columns.astype(int), integral.shape[1] - 2)
    v = rows - i
    u = columns - j
    upper = integral[i, j] * (1 - u) + integral[i, j + 1] * u
    lower = integral[i + 1, j] * (1 - u) + integral[i + 1, j + 1] * u
    return upper * (1 - v) + lower * v
