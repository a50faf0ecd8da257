"""Evidence of glass on an overview, and what lies on it.

Glass is bright, unsaturated and free of texture over an area, which neither pale stroma nor the
lumen of a gland is. Where no such area is found the picture shows tissue alone; a threshold would
split it all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from napari_mil.bags.overview_pixels import (
    brightness,
    opened,
    pieces_of_size,
    saturation,
    smoothed,
    texture,
)
from napari_mil.events import CancellationToken

SMOOTH = 0.012
"""Largest texture of glass, as a share of the brightest pixels.

JPEG blocks and noise of the camera, averaged over 3 x 3 pixels, stay below; pale stroma does not.
"""
ROUNDING = 0.8
"""Texture that rounding to whole grey levels adds, which counts in dark scans."""
LARGEST_TINT = 0.12
"""Largest saturation of glass of any hue."""
LARGEST_YELLOW = 0.30
"""Largest saturation of yellow glass; no common stain is yellow alone."""
DARKEST_GLASS = 0.4
"""Darkest glass (corners of a vignette, shadows) as a share of the brightest pixels."""
SMALLEST_WIDTH = 0.02
"""Smallest width of glass as a share of the longer side of the picture."""
SAME_GLASS = 0.035
"""Saturation relative to the glass from which a smooth area is pale tissue."""
FURTHER_AREA = 0.25
"""Smallest area of further glass as a share of the smallest that is evidence."""
STRIP_ROWS = 256
"""Rows handled at once, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Glass:
    """Glass found on the sample of an overview."""

    area: np.ndarray
    """bool (h, w): smooth glass on the sample."""
    colour: np.ndarray
    """float32 (3,): its colour, 0 to 255."""
    light: np.ndarray
    """float32 (h, w): brightness of the nearest glass, which follows a vignette."""
    is_grey: bool
    """Whether nothing in the picture has a colour, so that only brightness tells tissue."""


def find_glass(sample: np.ndarray, smallest_area: float) -> Glass | None:
    """Look for glass on a sample of an overview.

    Parameters
    ----------
    sample
        uint8 (h, w, 3), at most `SAMPLE_PX` a side.
    smallest_area
        Pixels of the smallest area that is evidence of glass; smaller smooth bright areas are
        lumens or vacuoles. Beside such an area, areas of `FURTHER_AREA` of it count too.

    Returns
    -------
    Glass or None
        None where the picture shows no glass.
    """
    averaged = smoothed(sample)
    value = brightness(averaged)
    brightest = float(np.quantile(value, 0.99))
    # A window of 7 pixels is nearly all of a tiny picture.
    window = 7 if min(value.shape) > 100 else 3
    plain = texture(value, window) < SMOOTH * brightest + ROUNDING
    plain &= _is_tint_of_glass(averaged, brightest) & (value > DARKEST_GLASS * brightest)
    radius = max(1.0, SMALLEST_WIDTH / 2 * max(value.shape))
    further_area = FURTHER_AREA * smallest_area
    plain = pieces_of_size(opened(plain, radius), further_area)
    if not plain.any():
        return None
    colour = _colour_of_brightest(plain, averaged, value)
    if colour.mean() < 0.85 * np.quantile(value, 0.95):
        return None
    stain = saturation(averaged, colour)
    is_grey = bool(np.quantile(stain[~plain], 0.9) < SAME_GLASS) if not plain.all() else True
    area = plain & (stain < SAME_GLASS)
    if is_grey:
        area = _without_darker_areas(area, value)
    area = opened(area, radius)
    if not pieces_of_size(area, smallest_area).any():
        return None
    area = pieces_of_size(area, further_area)
    nearest = distance_transform_edt(~area, return_distances=False, return_indices=True)
    return Glass(area, colour, value[tuple(nearest)], is_grey)


def tissue_on_glass(
    picture: np.ndarray,
    glass: Glass,
    step: int,
    ink: np.ndarray,
    cancel: CancellationToken,
) -> np.ndarray:
    """Find what lies on the glass of an overview.

    Background is what has the colour of the glass and is connected to an area of it, through ink
    too; so lumens and vacuoles within tissue count as tissue.

    Parameters
    ----------
    picture
        uint8 (h, w, 3).
    glass
        Glass on its sample.
    step
        Pixels of the picture per pixel of the sample, a side.
    ink
        bool (h, w): ink on the picture.
    cancel
        Asked between steps.

    Returns
    -------
    np.ndarray
        bool (h, w).
    """
    averaged = smoothed(picture)
    cancel.raise_if_cancelled()
    limits = _limits(averaged[::step, ::step], glass)
    background = ink.copy()
    for top in range(0, len(picture), STRIP_ROWS):
        cancel.raise_if_cancelled()
        rows = slice(top, top + STRIP_ROWS)
        light = enlarged_rows(glass.light, step, rows, picture.shape)
        background[rows] |= _looks_like_glass(averaged[rows], glass, light, limits)
    del averaged
    labels, n = label(background)
    cancel.raise_if_cancelled()
    reaches_glass = np.zeros(n + 1, bool)
    reaches_glass[labels[::step, ::step][glass.area]] = True
    reaches_glass[0] = False
    return ~reaches_glass[labels]


def enlarged_rows(sample: np.ndarray, step: int, rows: slice, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat pixels of a sample for some rows of the picture."""
    n = len(range(*rows.indices(shape[0])))
    columns = np.arange(shape[1]) // step
    return sample[(np.arange(n) + rows.start)[:, None] // step, columns]


def _is_tint_of_glass(pixels: np.ndarray, brightest: float) -> np.ndarray:
    """Say where the colour may be that of glass: nearly grey, or yellow."""
    red, green, blue = (pixels[..., k].astype(np.int16) for k in range(3))
    saturated = saturation(pixels, np.full(3, 255, np.float32))
    yellow = (red >= green - 2) & (green >= blue) & (red - green < 0.08 * brightest)
    return (saturated < LARGEST_TINT) | (yellow & (saturated < LARGEST_YELLOW))


def _colour_of_brightest(plain: np.ndarray, pixels: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the colour (3,) of the smooth areas that are about as bright as the brightest."""
    labels, n = label(plain)
    bright = max(float(np.median(value[labels == k])) for k in range(1, n + 1))
    return np.maximum(np.median(pixels[plain & (value > 0.9 * bright)], 0), 1).astype(np.float32)


def _without_darker_areas(area: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Leave out areas of a grey picture that are darker than the brightest one.

    Without colours a smooth darker area is tissue; a soft shadow is part of the bright area.
    """
    labels, n = label(area)
    middle = np.array([0, *(np.median(value[labels == k]) for k in range(1, n + 1))])
    return (middle >= 0.9 * middle.max(initial=0))[labels] & area


def _limits(pixels: np.ndarray, glass: Glass) -> tuple[float, float]:
    """Return the largest saturation and loss of light that noise on this glass explains."""
    on_glass = pixels[glass.area]
    stain = float(np.quantile(saturation(on_glass, glass.colour), 0.99))
    loss = 1 - on_glass.mean(1, dtype=np.float32) / glass.light[glass.area]
    return (
        float(np.clip(1.25 * stain, 0.02, 0.06)),
        float(np.clip(1.25 * np.quantile(loss, 0.99), 0.03, 0.1)),
    )


def _looks_like_glass(
    pixels: np.ndarray, glass: Glass, light: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """Say which pixels (h, w) have the colour of the glass.

    In a coloured picture, grey is the shadow or the edge of a cover slip, however dark.
    """
    largest_saturation, largest_loss = limits
    loss = 1 - brightness(pixels) / light
    if glass.is_grey:
        return loss < largest_loss
    return (saturation(pixels, glass.colour) < largest_saturation) & (loss < 0.7)
