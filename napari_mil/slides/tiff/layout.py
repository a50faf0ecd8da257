"""Which directories of a TIFF file make up the slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from napari_mil.slides.pixels import PixelFormat
from napari_mil.slides.tiff.philips import is_philips, read_philips

LEFT_TO_OPENSLIDE = ("is_scn", "is_bif", "is_ndpi")
"""Flags of layouts whose places and gaps OpenSlide knows."""
ALPHA = (1, 2)
"""Values of ExtraSamples that say opacity."""
PREMULTIPLIED = 1
"""Value of ExtraSamples that says opacity by which colours are multiplied already."""
CONVERTED = (6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002, 52546)
"""Compressions whose decoders turn YCbCr into RGB."""
REFUSED_MODELS = {
    tifffile.PHOTOMETRIC.SEPARATED: "CMYK",
    tifffile.PHOTOMETRIC.CIELAB: "CIELAB",
    tifffile.PHOTOMETRIC.ICCLAB: "CIELAB",
}
"""Colour models that only a colour profile can turn into RGB."""
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
    bits = int(page.bitspersample)
    return PixelFormat(
        samples,
        dtype,
        bits if 1 < bits < 8 else 8 * dtype.itemsize,
        has_alpha=has_alpha(page),
        is_premultiplied=tuple(page.extrasamples or ())[-1:] == (PREMULTIPLIED,),
        is_ycbcr=page.photometric == tifffile.PHOTOMETRIC.YCBCR
        and page.compression not in CONVERTED,
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


@dataclass(frozen=True)
class TiffLevel:
    """One level of a slide in a TIFF file."""

    series: Any
    """Its directories (a `tifffile.TiffPageSeries`)."""
    size: tuple[int, int]
    """(width, height) in pixels; what is stored beyond is no part of the slide."""
    downsample: float
    """Level-0 pixels per pixel."""


def levels_of(file: Any) -> list[TiffLevel]:
    """Return the levels of a file's first image, finest first.

    Raises
    ------
    LevelsError
        If they are not what the file says.
    """
    if is_philips(file):
        return _philips_levels(file)
    series = _series_of_levels(file)
    sizes = [stored_size(level.keyframe) for level in series]
    width, height = sizes[0]
    return [
        TiffLevel(level, (w, h), (width / w + height / h) / 2)
        for level, (w, h) in zip(series, sizes, strict=True)
    ]


class LevelsError(Exception):
    """Levels that are not what a file says of them; the message says how."""


def _philips_levels(file: Any) -> list[TiffLevel]:
    """Return the levels of a Philips file, cut to the sizes that its XML implies."""
    pages = [page for page in file.pages if page.is_tiled]
    downsamples = read_philips(file.pages.first.description).downsamples
    if len(pages) == 1 and not downsamples:
        downsamples = (1,)
    if len(pages) != len(downsamples):
        raise LevelsError(
            f"its XML gives the scale of {len(downsamples)} levels, the file has {len(pages)}"
        )
    width, height = stored_size(pages[0])
    levels = []
    for page, downsample in zip(pages, downsamples, strict=True):
        size = (max(1, width // downsample), max(1, height // downsample))
        if any(side > stored for side, stored in zip(size, stored_size(page), strict=True)):
            raise LevelsError("a level has fewer pixels than its scale implies")
        levels.append(TiffLevel(tifffile.TiffPageSeries([page]), size, downsample))
    return levels


def stored_size(page: Any) -> tuple[int, int]:
    """Return (width, height) of a directory as its tags say.

    tifffile changes `imagewidth` and `imagelength` of Philips files.
    """
    return int(page.tags["ImageWidth"].value), int(page.tags["ImageLength"].value)


def _series_of_levels(file: Any) -> list[Any]:
    """Return the levels as tifffile has them, finest first, without repeated sizes.

    Levels stand in sub-directories, in directories that tifffile takes for levels, or in later
    directories that call themselves reduced.
    """
    first = file.series[0]
    candidates = list(first.levels)
    if len(candidates) == 1 and first.kind in ("generic", "uniform", "shaped"):
        candidates += [
            other
            for other in file.series[1:]
            if len(other.pages) == 1 and other.keyframe.is_tiled and other.keyframe.is_reduced
        ]
    levels: list[Any] = []
    for level in candidates:
        if not levels or _continues(levels[-1].keyframe, level.keyframe):
            levels.append(level)
    return levels


def _continues(before: Any, page: Any) -> bool:
    """Say whether a directory is the next coarser level of another."""
    is_smaller = page.imagewidth < before.imagewidth and page.imagelength < before.imagelength
    is_alike = math.isclose(
        page.imagewidth / page.imagelength, before.imagewidth / before.imagelength, rel_tol=0.1
    )
    has_same_pixels = (page.dtype, page.samplesperpixel) == (before.dtype, before.samplesperpixel)
    return is_smaller and is_alike and has_same_pixels


def refusal_of(file: Any) -> str:
    """Say in words why a file's first image is no slide that is read; empty where it is one."""
    page = file.series[0].keyframe
    model = REFUSED_MODELS.get(page.photometric)
    if model is not None:
        return f"its colours are {model}; save it as RGB"
    n_channels = axes_of(file.series[0]).n_channels
    if n_channels > 1 and int(page.samplesperpixel) > 1:
        return f"each of its {n_channels} channels holds colours; save each as a file of its own"
    if file.is_svs and not page.is_tiled:
        return "its first image is not the slide"
    if int(page.imagedepth) > 1:
        return "its directories hold volumes; save its planes one by one"
    return ""


def others_left_out(file: Any, levels: list[TiffLevel]) -> int:
    """Count further images of a file that are neither levels nor pictures of the glass."""
    first = file.series[0]
    if first.kind in ("svs", "qpi") or is_philips(file):
        return 0
    known = [level.series for level in levels]
    return len([other for other in file.series[1:] if other not in known])


def orientation_of(page: Any) -> int:
    """Return how a directory says that it is turned, 1 for not at all."""
    tag = page.tags.get("Orientation")
    value = 1 if tag is None else tag.value
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
