"""Pixels of any depth and colour model as 8-bit RGB on white."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WHITE = 255
COMMON_BITS = (8, 10, 12, 14, 16)
"""Depths that cameras have."""


@dataclass(frozen=True)
class PixelFormat:
    """How stored samples become 8-bit RGB.

    Attributes
    ----------
    samples
        Samples of a pixel: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha or something else.
    dtype
        Type of a sample.
    bits
        Bits of a sample that are used; values above are clipped.
    has_alpha
        Whether the last sample is the opacity.
    is_premultiplied
        Whether colours are multiplied by the opacity already.
    is_inverted
        Whether 0 is white.
    is_ycbcr
        Whether the colours are full-range YCbCr.
    palette
        uint8 (n, 3): colour of each value, or None.
    """

    samples: int
    dtype: np.dtype
    bits: int = 8
    has_alpha: bool = False
    is_premultiplied: bool = False
    is_inverted: bool = False
    is_ycbcr: bool = False
    palette: np.ndarray | None = None

    @property
    def is_rgb8(self) -> bool:
        """Whether stored pixels are 8-bit RGB already."""
        is_plain = self.bits == 8 and not self.is_ycbcr
        return is_plain and self.samples == 3 and self.dtype == np.uint8

    def to_rgb(self, raw: np.ndarray) -> np.ndarray:
        """Convert (h, w, samples) to uint8 (h, w, 3), transparent pixels white."""
        if self.palette is not None:
            return self.palette[np.minimum(raw[..., 0], len(self.palette) - 1)]
        values = self._eight_bits(raw)
        alpha = values[..., -1:] if self.has_alpha else None
        n_colours = self.samples - (1 if self.has_alpha else 0)
        colours = values[..., :3] if n_colours >= 3 else values[..., :1]
        if self.is_ycbcr and n_colours >= 3:
            colours = rgb_from_ycbcr(colours)
        if self.is_inverted:
            colours = WHITE - colours
        if alpha is not None and self.is_premultiplied:
            colours = np.minimum(colours + (WHITE - alpha).astype(np.uint16), WHITE)
            colours = colours.astype(np.uint8)
        elif alpha is not None:
            colours = on_white(colours, alpha)
        return np.ascontiguousarray(np.broadcast_to(colours, (*raw.shape[:2], 3)))

    def _eight_bits(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype == np.uint8 and self.bits == 8:
            return raw
        if raw.dtype == bool:
            return raw.astype(np.uint8) * WHITE
        largest = np.float32(2**self.bits - 1)
        values = np.nan_to_num(raw.astype(np.float32))
        scaled = np.clip(values, 0, largest) * (WHITE / largest)
        return (scaled + np.float32(0.5)).astype(np.uint8)


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composite colours (h, w, n) with straight alpha (h, w, 1) on white, all uint8."""
    if alpha.min(initial=WHITE) == WHITE:
        return colours
    weight = alpha.astype(np.uint16)
    mixed = colours * weight + WHITE * (WHITE - weight)
    return ((mixed + WHITE // 2) // WHITE).astype(np.uint8)


def used_bits(largest: float, dtype: np.dtype) -> int:
    """Return the depth of a camera whose largest value this is.

    Files of 16 bits often hold 10, 12 or 14.
    """
    if not np.issubdtype(dtype, np.integer):
        if not largest > 1:
            return 1
        return max(8, int(np.ceil(np.log2(largest + 1)))) if np.isfinite(largest) else 8
    needed = int(largest).bit_length()
    stored = 8 * dtype.itemsize
    return next((bits for bits in COMMON_BITS if needed <= bits <= stored), stored)


def rgb_from_ycbcr(tile: np.ndarray) -> np.ndarray:
    """Convert full-range YCbCr (BT.601) to RGB: uint8 (h, w, 3)."""
    y, cb, cr = np.moveaxis(tile.astype(np.float32), -1, 0)
    cb -= 128
    cr -= 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
