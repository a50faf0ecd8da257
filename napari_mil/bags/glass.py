"""Evidence of glass on an overview, and what lies on it.

Glass is bright, unsaturated and free of texture over an area, which neither pale stroma nor the
lumen of a gland is. Where no such area is found the picture shows tissue alone; a threshold would
split it all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, label, uniform_filter

from napari_mil.bags.overview_pixels import (
    STRIP_ROWS,
    brightness,
    opened,
    pieces_of_size,
    saturation,
    smoothed,
    smoothed_rows,
    texture,
)
from napari_mil.events import CancellationToken

SMOOTH = (0.005, 0.012)
"""Least and largest limit of the texture of glass, as shares of the brightest pixels.

JPEG blocks and noise of the camera, averaged over 3 x 3 pixels, stay below the larger. The limit is
lower where the picture has less noise, as pale stroma has little texture too.
"""
SMOOTHEST = 0.1
"""Share of pixels whose texture is taken for noise."""
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
SMALLEST_RADIUS = 5.0
"""Smallest half-width of glass, px of the sample: gaps between fibres in a small field are less."""
SAME_GLASS = 0.025
"""Saturation relative to the glass from which a smooth area is pale tissue."""
DARKER = 0.025
"""Share of light lost from which half of `SAME_GLASS` is pale tissue; a shadow has no colour."""
BROAD = 0.015
"""Half the width, as a share of the longer side, of what is grey and dark but no line."""
AREA_INSIDE = 0.15
"""Smallest area of further glass within tissue as a share of the smallest that is evidence."""
AREA_AT_EDGE = 0.05
"""The same for glass at the edge of the scan."""
LARGEST_SHADOW = 0.7
"""Largest share of light that a shadow takes; saturation is noise in what is darker."""
CALM_PX = 9
"""Side of the window of the sample in which the tint of glass is judged, px."""
NEAR_PX = 15
"""Side of the window of the sample in which the colour of glass is averaged, px."""
LEAST_LIMITS = (0.02, 0.03)
LARGEST_LIMITS = (0.06, 0.1)
"""Bounds of the saturation and the loss of light that noise of the glass may have."""
BLEEDING = 0.15
"""Share of the strongest stain that JPEG lets bleed into the glass; bounds `LEAST_LIMITS` too."""
LEAST_BLEEDING = 0.01
"""Saturation of glass that is never taken for stain."""
LIMIT_STRIPS = 6
"""Strips of rows that the noise of the glass is measured on."""


@dataclass(frozen=True, eq=False)
class Glass:
    """Glass found on the sample of an overview."""

    area: np.ndarray
    """bool (h, w): smooth glass on the sample."""
    colour: np.ndarray
    """float32 (3,): its colour, 0 to 255."""
    nearest_colour: np.ndarray
    """float32 (h, w, 3): mean colour of the nearest glass.

    It follows a vignette, and fields of another white where a scan was put together.
    """
    darker: np.ndarray
    """bool (h, w): broad parts darker than the glass, which the edge of a cover slip is not."""
    strongest_stain: float
    """Saturation relative to the glass that a twentieth of the rest of the picture exceeds."""
    is_grey: bool
    """Whether nothing in the picture has a colour, so that only brightness tells tissue."""


def find_glass(sample: np.ndarray, canvas: np.ndarray, smallest_area: float) -> Glass | None:
    """Look for glass on a sample of an overview.

    Parameters
    ----------
    sample
        uint8 (h, w, 3), at most `SAMPLE_PX` a side.
    canvas
        bool (h, w): where nothing was scanned.
    smallest_area
        Pixels of the smallest area that is evidence of glass; smaller smooth bright areas are
        lumens or vacuoles. Beside such an area, shares of it count too.

    Returns
    -------
    Glass or None
        None where the picture shows no glass.
    """
    if canvas.all():
        return None
    averaged = smoothed(sample)
    value = brightness(averaged)
    brightest = float(np.quantile(value[~canvas], 0.99))
    smooth = _is_smooth(value, brightest, canvas)
    plain = smooth & _is_tint_of_glass(averaged, brightest) & (value > DARKEST_GLASS * brightest)
    plain &= ~canvas
    radius = max(SMALLEST_RADIUS, SMALLEST_WIDTH / 2 * max(value.shape))
    plain = pieces_of_size(opened(plain, radius), AREA_AT_EDGE * smallest_area)
    if not plain.any():
        return None
    colour = _colour_of_brightest(plain, averaged, value)
    if colour.mean() < 0.85 * np.quantile(value[~canvas], 0.95):
        return None
    stain = saturation(averaged, colour)
    others = stain[~plain & ~canvas]
    most, strongest = np.quantile(others, [0.9, 0.95]) if others.size else (0.0, 0.0)
    is_grey = bool(most < SAME_GLASS)
    area = plain & ~_is_stained(averaged, colour)
    if is_grey:
        area = _without_darker_areas(area, value)
    area = _proven(opened(area, radius), value / colour.mean(), canvas, smallest_area)
    if not area.any():
        return None
    nearest_colour = _colour_beside(area, averaged)
    darker = ~area & (value < (1 - DARKER) * brightness(nearest_colour))
    darker = opened(darker, BROAD * max(value.shape))
    return Glass(area, colour, nearest_colour, darker, float(strongest), is_grey)


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
    limits = _limits(picture, glass, step)
    background = ink.copy()
    for top in range(0, len(picture), STRIP_ROWS):
        cancel.raise_if_cancelled()
        rows = slice(top, top + STRIP_ROWS)
        white, darker = (
            enlarged_rows(plane, step, rows, picture.shape)
            for plane in (glass.nearest_colour, glass.darker)
        )
        stain, loss = _absorption(smoothed_rows(picture, top), white)
        if not glass.is_grey:
            # Grey is the edge of a cover slip, however dark, unless it is broad.
            loss[~darker & (loss < LARGEST_SHADOW)] = 0
        background[rows] |= (stain < limits[0]) & (loss < limits[1])
    labels, n = label(background)
    cancel.raise_if_cancelled()
    reaches_glass = np.zeros(n + 1, bool)
    reaches_glass[labels[::step, ::step][glass.area]] = True
    reaches_glass[0] = False
    return ~reaches_glass[labels]


def enlarged_rows(sample: np.ndarray, step: int, rows: slice, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat pixels of a sample for some rows of the picture."""
    n = len(range(*rows.indices(shape[0])))
    wanted = sample[(np.arange(n) + rows.start) // step]
    return np.repeat(wanted, step, axis=1)[:, : shape[1]]


def _is_smooth(value: np.ndarray, brightest: float, canvas: np.ndarray) -> np.ndarray:
    """Say where the brightness (h, w) has no more texture than noise has."""
    # A window of 7 pixels is nearly all of a tiny picture.
    window = 7 if min(value.shape) > 32 else 3
    # The slope of a shadow or a vignette is no texture.
    roughness = texture(value - uniform_filter(value, window, mode="nearest"), window)
    noise = 2 * float(np.quantile(roughness[~canvas], SMOOTHEST))
    low, high = (share * brightest + ROUNDING for share in SMOOTH)
    return np.asarray(roughness < np.clip(noise, low, high))


def _is_tint_of_glass(pixels: np.ndarray, brightest: float) -> np.ndarray:
    """Say where the colour may be that of glass: nearly grey, or yellow."""
    red, green, blue = (pixels[..., k] for k in range(3))
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


def _proven(
    area: np.ndarray, light: np.ndarray, canvas: np.ndarray, smallest_area: float
) -> np.ndarray:
    """Return the smooth areas that are glass, bool (h, w); none without evidence.

    One of them is large, or those that reach the edge of the scan are together: the glass around
    tissue does, a lumen seldom. Away from the edge, glass has the full light: nothing throws a
    shadow there.
    """
    labels, n = label(area)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    edge = np.zeros_like(area)
    edge[[0, -1]] = True
    edge[:, [0, -1]] = True
    # Texture is measured in a window, so that areas end some pixels from the canvas.
    edge |= binary_dilation(canvas, iterations=8)
    at_edge = np.isin(np.arange(n + 1), labels[edge])
    bright = np.array(
        [False, *(np.median(light[labels == k]) > 1 - DARKER for k in range(1, n + 1))]
    )
    kept = np.where(
        at_edge,
        sizes >= AREA_AT_EDGE * smallest_area,
        bright & (sizes >= AREA_INSIDE * smallest_area),
    )
    kept[0] = False
    largest = max(sizes[kept].max(initial=0), sizes[kept & at_edge].sum())
    return kept[labels] if largest >= smallest_area else np.zeros_like(area)


def _is_stained(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Say where smooth parts have more colour than glass has, bool (h, w)."""
    planes = [uniform_filter(pixels[..., k], CALM_PX, mode="nearest") for k in range(3)]
    stain, loss = _absorption(np.stack(planes, -1), colour)
    return (stain > SAME_GLASS) | ((stain > SAME_GLASS / 2) & (loss > DARKER))


def _colour_beside(area: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the mean colour of the nearest glass, float32 (h, w, 3)."""
    weight = np.maximum(uniform_filter(area.astype(np.float32), NEAR_PX), 1e-6)
    planes = [uniform_filter(pixels[..., k] * area, NEAR_PX) for k in range(3)]
    nearest = distance_transform_edt(~area, return_distances=False, return_indices=True)
    return np.maximum(np.stack([plane / weight for plane in planes], -1)[tuple(nearest)], 1)


def _absorption(pixels: np.ndarray, white: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the saturation and the share of light lost, float32 (...), of pixels (..., 3).

    Both are relative to the colour of the glass beside each pixel.
    """
    return saturation(pixels, white), 1 - brightness(pixels) / brightness(white)


def _limits(picture: np.ndarray, glass: Glass, step: int) -> tuple[float, float]:
    """Return the largest saturation and loss of light that noise on this glass explains."""
    tops = range(0, len(picture), STRIP_ROWS)
    measured = []
    for top in tops[:: -(-len(tops) // LIMIT_STRIPS)]:
        rows = smoothed_rows(picture, top)[-top % step :: step, ::step]
        first = -(-top // step)
        area = glass.area[first : first + len(rows)]
        white = glass.nearest_colour[first : first + len(rows)]
        measured.append(_absorption(rows[area], white[area]))
    stain, loss = (np.concatenate(values) for values in zip(*measured, strict=True))
    least_stain = np.clip(BLEEDING * glass.strongest_stain, LEAST_BLEEDING, LEAST_LIMITS[0])
    least = np.array([least_stain, LEAST_LIMITS[1]])
    if stain.size == 0:
        return tuple(least)
    noise = [1.25 * np.quantile(values, 0.99) for values in (stain, loss)]
    return tuple(np.clip(noise, least, LARGEST_LIMITS))
