"""Scales of slides: micrometres per pixel, their source and plausibility."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from napari_mil.errors import NapariMilError

SMALLEST_MPP = 0.05
"""Smallest plausible scale, micrometres per pixel.

A 100x objective gives 0.1.
"""
LARGEST_MPP = 50.0
"""Largest plausible scale, micrometres per pixel.

A macro camera gives 30. Larger figures come from wrong units and the dpi of screens.
"""

MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "\\u00b5m": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "inch": 25_400.0,
}
"""Micrometres of each unit of length, as formats write them."""
SQUARE_WITHIN = 0.02
"""Relative difference of width and height up to which a pixel counts as square."""


class ScaleSource(StrEnum):
    """Source of a scale."""

    OPENSLIDE = "openslide"
    """Entry of the slide's vendor."""
    VENDOR = "vendor"
    """Entry of the vendor in a file that OpenSlide does not read."""
    OME = "ome"
    """Physical size of a pixel in OME metadata."""
    DICOM = "dicom"
    """Pixel spacing of a DICOM file."""
    TIFF = "tiff"
    """Resolution tag of a TIFF file, which writers often get wrong."""
    USER = "user"
    """Figure that the user entered."""
    CLASSIFIER = "classifier"
    """Scale of a classifier's training, assumed for slides without one."""
    UNKNOWN = "unknown"
    """No source."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Micrometres per level-0 pixel and their source."""

    mpp: float | None = None
    """Micrometres per level-0 pixel, or None without a plausible figure."""
    source: ScaleSource = ScaleSource.UNKNOWN
    implausible: float | None = None
    """Implausible figure of the source, with which `mpp` is None."""
    aspect: float = 1.0
    """Height of a pixel by its width; 1 where they differ by at most `SQUARE_WITHIN`."""
    xy: tuple[float, float] | None = None
    """Micrometres per level-0 pixel along x and y; None without a plausible figure."""

    @property
    def mpp_x(self) -> float | None:
        """Micrometres per level-0 pixel along x; along y it is `aspect` times that."""
        if self.aspect == 1 or self.xy is None:
            return self.mpp
        return self.xy[0]

    def __str__(self) -> str:
        """Return the source in words, as `Slide.mpp_source`."""
        if self.implausible is not None:
            return f"implausible: {self.implausible:.4g} ({self.source})"
        return str(self.source)


def is_plausible(mpp: float) -> bool:
    """Say whether a scanner could have this scale, micrometres per pixel."""
    return math.isfinite(mpp) and SMALLEST_MPP <= mpp <= LARGEST_MPP


def judge_scale(mpp_xy: tuple[float, float] | None, source: ScaleSource) -> Scale:
    """Return a file's scale, without its figure if implausible.

    Parameters
    ----------
    mpp_xy
        Micrometres per level-0 pixel along x and y as the file says.
    source
        Entry of the file that says so.
    """
    if mpp_xy is None or not all(math.isfinite(mpp) and mpp > 0 for mpp in mpp_xy):
        return Scale()
    for mpp in mpp_xy:
        if not is_plausible(mpp):
            return Scale(None, source, mpp)
    x, y = mpp_xy
    is_square = abs(x - y) <= SQUARE_WITHIN * min(x, y)
    return Scale((x + y) / 2, source, aspect=1.0 if is_square else y / x, xy=(x, y))


def given_scale(mpp: float, source: ScaleSource = ScaleSource.USER) -> Scale:
    """Return the scale that a user or a classifier gives.

    Raises
    ------
    ValueError
        If it is not plausible.
    """
    if not is_plausible(mpp):
        raise ValueError(
            f"{mpp:g} µm per pixel is not plausible: give a number between {SMALLEST_MPP} "
            f"and {LARGEST_MPP:g}, for example 0.25."
        )
    return Scale(float(mpp), source, xy=(float(mpp), float(mpp)))


def scale_of(file_xy: tuple[float, float] | None, source: ScaleSource, mpp: float | None) -> Scale:
    """Return the user's scale or else the file's, if plausible.

    Parameters
    ----------
    file_xy, source
        Micrometres per level-0 pixel along x and y as the file says, and which entry of it.
    mpp
        Micrometres per level-0 pixel as the user says, or None.

    Raises
    ------
    NapariMilError
        If the user's is not plausible.
    """
    if mpp is None:
        return judge_scale(file_xy, source)
    try:
        return given_scale(mpp)
    except ValueError as error:
        raise NapariMilError(str(error)) from None
