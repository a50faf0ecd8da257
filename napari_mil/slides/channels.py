"""Channels of fluorescence slides and their rendering to RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DEFAULT_COLOURS = (
    (0, 0, 255),
    (0, 255, 0),
    (255, 0, 0),
    (255, 255, 0),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
)
"""Colours of channels without one of their own, in turn; DAPI usually comes first."""
BRIGHTEST = 0.998
"""Quantile of a channel's pixels that is shown at full brightness."""
DARKEST = 0.02
"""Quantile of a channel's pixels that is shown black."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Channel of a fluorescence slide."""

    name: str
    colour: tuple[int, int, int]
    """RGB at full brightness, 0 to 255."""
    range: tuple[float, float]
    """Values shown black and at full brightness."""
    dtype: str
    """numpy's name of the type of the raw values."""


def default_colour(index: int, count: int) -> tuple[int, int, int]:
    """Return the colour of a channel without one: white where it is the only one."""
    return (255, 255, 255) if count == 1 else DEFAULT_COLOURS[index % len(DEFAULT_COLOURS)]


def contrast_range(values: np.ndarray) -> tuple[float, float]:
    """Choose the range of a channel from some of its values (any shape)."""
    values = values.astype(np.float32)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(each) for each in np.quantile(finite, (DARKEST, BRIGHTEST)))
    if high <= low:
        low = float(finite.min())
        high = float(finite.max())
    return (low, high) if high > low else (low, low + 1.0)


def render(raw: np.ndarray, channels: Sequence[Channel]) -> np.ndarray:
    """Add up the channels in their colours.

    Parameters
    ----------
    raw
        (h, w, C) values of any number type.
    channels
        C channels.

    Returns
    -------
    np.ndarray
        uint8 (h, w, 3), black where there is no signal.
    """
    light = np.zeros((*raw.shape[:2], 3), np.float32)
    for k, channel in enumerate(channels):
        low, high = channel.range
        share = (raw[..., k].astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low))
        np.clip(np.nan_to_num(share, copy=False), 0, 1, out=share)
        for c, brightness in enumerate(channel.colour):
            if brightness:
                light[..., c] += share * np.float32(brightness)
    np.clip(light, 0, 255, out=light)
    return (light + 0.5).astype(np.uint8)
