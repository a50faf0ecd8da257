"""Scales of slides: micrometres per pixel, their source and plausibility."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

SMALLEST_MPP = 0.05
"""Smallest plausible scale, micrometres per pixel.

A 100x objective gives 0.1.
"""
LARGEST_MPP = 50.0
"""Largest plausible scale, micrometres per pixel.

A macro camera gives 30. Larger figures come from wrong units and the dpi of screens.
"""


class ScaleSource(StrEnum):
    """Source of a scale."""

    OPENSLIDE = "openslide"
    """Entry of the slide's vendor."""
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

    def __str__(self) -> str:
        """Return the source in words, as `Slide.mpp_source`."""
        if self.implausible is not None:
            return f"implausible: {self.implausible:.4g} ({self.source})"
        return str(self.source)


def is_plausible(mpp: float) -> bool:
    """Say whether a scanner could have this scale, micrometres per pixel."""
    return math.isfinite(mpp) and SMALLEST_MPP <= mpp <= LARGEST_MPP


def judge_scale(mpp: float | None, source: ScaleSource) -> Scale:
    """Return a file's scale, without its figure if implausible.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel as the file says.
    source
        Entry of the file that says so.
    """
    if mpp is None or not math.isfinite(mpp) or mpp <= 0:
        return Scale()
    if not is_plausible(mpp):
        return Scale(None, source, mpp)
    return Scale(mpp, source)


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
    return Scale(float(mpp), source)
