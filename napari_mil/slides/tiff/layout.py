"""Which directories of a TIFF file make up the slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from napari_mil.slides.pixels import PixelFormat

LEFT_TO_OPENSLIDE = ("is_scn", "is_bif", "is_ndpi", "is_philips")
"""Flags of layouts whose places and gaps OpenSlide knows."""
ALPHA = (1, 2)
"""Values of ExtraSamples that say opacity."""
RGB_MODELS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)


@dataclass(frozen=True)
class Axes:
    """Axes of a series beside rows, columns and samples.

    Attributes
    ----------
    names
        Their letters, as tifffile has them (``C`` channel, ``Z`` depth, ``T`` time).
    shape
        Their lengths.
    """

    names: str
    shape: tuple[int, ...]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.shape[self.names.index("C")] if "C" in self.names else 1

    def plane(self, channel: int) -> int:
        """Return the number of the plane of a channel: the middle of a stack, the first in time."""
        if not self.shape:
            return 0
        at = []
        for name, length in zip(self.names, self.shape, strict=True):
            index = channel if name == "C" else length // 2 if name == "Z" else 0
            at.append(index)
        return int(np.ravel_multi_index(at, self.shape))

    def left_out(self) -> str:
        """Say in words what of a stack is not shown; empty where all is."""
        words = []
        for name, length in zip(self.names, self.shape, strict=True):
            if length == 1 or name == "C":
                continue
            if name == "Z":
                words.append(f"the middle one of {length} planes of depth")
            elif name == "T":
                words.append(f"the first of {length} moments")
            else:
                words.append(f"the first of {length} pages")
        return " and ".join(words)


def axes_of(series: Any) -> Axes:
    """Return the axes of a series beside those of its pages."""
    names = series.get_axes(squeeze=False)
    shape = series.get_shape(squeeze=False)
    pairs = [(n, s) for n, s in zip(names, shape, strict=True) if n not in "YXS"]
    return Axes("".join(name for name, _ in pairs), tuple(length for _, length in pairs))


def pixel_format(page: Any) -> PixelFormat:
    """Return the format of a directory's pixels, as if all its bits were used."""
    dtype = np.dtype(page.dtype)
    samples = int(page.samplesperpixel)
    palette = None
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        palette = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
    return PixelFormat(
        samples,
        dtype,
        8 * dtype.itemsize,
        has_alpha=has_alpha(page),
        is_inverted=page.photometric == tifffile.PHOTOMETRIC.MINISWHITE,
        palette=palette,
    )


def has_alpha(page: Any) -> bool:
    """Say whether the last sample of a pixel is its opacity."""
    extra = tuple(page.extrasamples or ())
    return bool(extra) and int(extra[-1]) in ALPHA


def is_fluorescence(page: Any, axes: Axes, is_named: bool) -> bool:
    """Say whether a series has channels of its own instead of colours.

    Parameters
    ----------
    page
        First directory of the series.
    axes
        Axes beside those of the page.
    is_named
        Whether the file names or colours its channels.
    """
    samples = int(page.samplesperpixel)
    is_grey = page.photometric not in RGB_MODELS and samples - has_alpha(page) == 1
    if is_grey:
        has_signs = np.dtype(page.dtype).kind in "if"
        return axes.n_channels > 1 or is_named or has_signs
    return page.photometric not in RGB_MODELS


def levels_of(series: Any) -> list[Any]:
    """Return the levels of a series, finest first, without repeated sizes."""
    levels: list[Any] = []
    for level in series.levels:
        page = level.keyframe
        if levels:
            before = levels[-1].keyframe
            is_smaller = page.imagewidth < before.imagewidth
            is_alike = math.isclose(
                page.imagewidth / page.imagelength,
                before.imagewidth / before.imagelength,
                rel_tol=0.1,
            )
            if not (is_smaller and is_alike) or page.dtype != before.dtype:
                continue
        levels.append(level)
    return levels
