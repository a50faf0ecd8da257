"""Measures of pixels of an overview: brightness, texture, saturation, and shapes of masks."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, label, uniform_filter

SAMPLE_PX = 768
"""Largest longer side of the picture that evidence is looked for in, px."""
STRIP_ROWS = 256
"""Rows handled at once, which bounds the memory."""


def sample_step(shape: tuple[int, ...]) -> int:
    """Return the side of the squares of pixels that make one pixel of the sample."""
    return math.ceil(max(shape[:2]) / SAMPLE_PX)


def reduced(picture: np.ndarray, step: int) -> np.ndarray:
    """Average squares of `step` pixels a side.

    uint8 (h, w, 3) becomes uint8 (ceil(h / step), ceil(w / step), 3).
    """
    return picture if step == 1 else np.asarray(Image.fromarray(picture).reduce(step))


def enlarged(sample: np.ndarray, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat every pixel (h, w) of a sample `step` times along both axes, cut to `shape`."""
    rows = np.arange(shape[0]) // step
    columns = np.arange(shape[1]) // step
    return sample[rows[:, None], columns]


def smoothed(picture: np.ndarray) -> np.ndarray:
    """Average 3 x 3 pixels around each one, against noise of the camera.

    uint8 (h, w, 3) becomes float32 (h, w, 3) in [0, 255].
    """
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge").astype(np.uint16)
    rows = padded[:-2] + padded[1:-1]
    rows += padded[2:]
    total = rows[:, :-2] + rows[:, 1:-1]
    total += rows[:, 2:]
    return total * np.float32(1 / 9)


def smoothed_rows(picture: np.ndarray, top: int) -> np.ndarray:
    """Return `STRIP_ROWS` rows from `top` on of the smoothed picture, float32 (n, w, 3)."""
    first = max(0, top - 1)
    return smoothed(picture[first : top + STRIP_ROWS + 1])[top - first :][:STRIP_ROWS]


def brightness(picture: np.ndarray) -> np.ndarray:
    """Return the mean of the colours, float32 (...) in [0, 255], of (..., 3)."""
    total = np.add(picture[..., 0], picture[..., 1], dtype=np.float32)
    total += picture[..., 2]
    total /= 3
    return total


def texture(values: np.ndarray, side: int) -> np.ndarray:
    """Return the standard deviation in a window of `side` pixels, float32 (h, w)."""
    mean = uniform_filter(values, side, mode="nearest")
    mean_square = uniform_filter(values * values, side, mode="nearest")
    return np.sqrt(np.maximum(mean_square - mean * mean, 0))


def saturation(pixels: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Compute the HSV saturation of pixels relative to a white.

    (max - min) / max as float32 (...), of pixels (..., 3) divided by a colour (3,) or by one for
    each pixel. It works plane by plane to spare memory.
    """
    largest = np.divide(pixels[..., 0], white[..., 0], dtype=np.float32)
    smallest = largest.copy()
    for channel in (1, 2):
        plane = np.divide(pixels[..., channel], white[..., channel], dtype=np.float32)
        np.maximum(largest, plane, out=largest)
        np.minimum(smallest, plane, out=smallest)
    np.subtract(largest, smallest, out=smallest)
    np.maximum(largest, 1e-6, out=largest)
    return np.divide(smallest, largest, out=smallest)


def opened(mask: np.ndarray, radius: float) -> np.ndarray:
    """Keep what discs of a radius in pixels fit in; bool (h, w).

    The mask is taken to go on beyond the picture.
    """
    margin = math.ceil(radius) + 1
    padded = np.pad(mask, margin, mode="edge")
    if padded.all():
        return mask
    centres = distance_transform_edt(padded) > radius
    if not centres.any():
        return np.zeros_like(mask)
    return within(centres, radius)[margin:-margin, margin:-margin]


def within(mask: np.ndarray, distance: float) -> np.ndarray:
    """Return the pixels within a distance of a mask that is not empty, bool (h, w)."""
    return np.asarray(distance_transform_edt(~mask) <= distance)


def pieces_of_size(mask: np.ndarray, smallest: float) -> np.ndarray:
    """Keep connected pieces of at least `smallest` pixels; bool (h, w)."""
    labels, n = label(mask)
    if n == 0:
        return mask
    sizes = np.zeros(n + 1, np.int64)
    # Counting makes 64-bit copies of the labels: some rows at a time.
    for top in range(0, len(labels), STRIP_ROWS):
        sizes += np.bincount(labels[top : top + STRIP_ROWS].ravel(), minlength=n + 1)
    keep = sizes >= smallest
    keep[0] = False
    return keep[labels]
