"""Signal of a fluorescence picture above its dark ground."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from napari_mil.bags.glass import Glass
from napari_mil.bags.overview_pixels import opened, smoothed, texture

BLACK = 0.08
"""Brightness of a black ground as a share of the brightest pixels."""
DARK = 0.35
"""Brightness of a dark ground as a share of the brightest pixels."""
SMALLEST_GROUND = 0.03
"""Smallest share of a picture that shows its black ground."""
LARGEST_BRIGHT_PART = 0.3
"""Largest share of smooth bright areas in what is not black."""
SMALLEST_SIGNAL = 10.0
"""Smallest difference between ground and signal in grey levels.

Noise and label masks, whose values are 0, 1, 2, stay below.
"""


def has_dark_ground(sample: np.ndarray, glass: Glass | None) -> bool:
    """Say whether a picture shows something bright on a dark ground.

    Either a texture-free part is black, or most of the picture is dark; stained tissue that fills
    a picture is neither. Bright areas that may be glass speak against it unless they are a small
    part of what is not black, as bright nuclei are.

    Parameters
    ----------
    sample
        uint8 (h, w, 3).
    glass
        Glass found on it, or None.
    """
    value = _largest(smoothed(sample))
    brightest = float(np.quantile(value, 0.995))
    if brightest < SMALLEST_SIGNAL:
        return True
    is_black = value <= max(BLACK * brightest, 2)
    if glass is not None and glass.area.sum() > LARGEST_BRIGHT_PART * (~is_black).sum():
        return False
    fifth, middle = np.quantile(value, [0.2, 0.5])
    if max(fifth, middle) < DARK * brightest:
        return True
    return bool(opened(is_black & (texture(value, 3) < 2), 2).mean() >= SMALLEST_GROUND)


def signal(picture: np.ndarray) -> np.ndarray:
    """Find pixels brighter than the dark ground and its noise.

    The ground is the darker fifth of the pixels; where no noise shows, a twentieth of the
    brightest signal is asked for. A pixel goes with the majority of its 3 x 3 neighbours, which
    leaves edges where they are.

    Parameters
    ----------
    picture
        uint8 (h, w, 3).

    Returns
    -------
    np.ndarray
        bool (h, w); empty where nothing is `SMALLEST_SIGNAL` above the ground.
    """
    value = _largest(picture)
    some = value[::4].astype(np.int16)
    fifth, highest = np.quantile(some, [0.2, 0.999])
    ground = float(np.median(some[some <= fifth]))
    if highest - ground < SMALLEST_SIGNAL:
        return np.zeros(value.shape, bool)
    # The darker fifth is below the mean of the ground by as much as its neighbours differ from it.
    beside = np.abs(np.diff(some, axis=1))[some[:, :-1] <= fifth]
    noise = float(np.median(beside)) if beside.size else 0.0
    above = value > ground + max(2.5 * noise, 0.05 * (highest - ground), 3.0)
    votes = uniform_filter(above.astype(np.uint8) * np.uint8(9), 3, mode="nearest")
    return votes >= 5


def _largest(pixels: np.ndarray) -> np.ndarray:
    """Return the largest of the three colours, (h, w)."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
