"""Micrometres per pixel: what a slide says, what is believed, and where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

SMALLEST_MPP = 0.05
"""Micrometres per pixel; a 100x objective gives 0.1."""
LARGEST_MPP = 50.0
"""Micrometres per pixel; a macro camera gives 30. Beyond lie wrong units and the dpi of screens."""


class ScaleSource(StrEnum):
    """Where a scale comes from."""

    OPENSLIDE = "openslide"
    """The vendor's own entry."""
    TIFF = "tiff"
    """The resolution tag of a TIFF file, which writers often get wrong."""
    USER = "user"
    """A person entered it."""
    CLASSIFIER = "classifier"
    """Assumed by a classifier for slides that do not say theirs, as in its training."""
    UNKNOWN = "unknown"
    """Nothing says it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Micrometres per level-0 pixel and where they come from."""

    mpp: float | None = None
    """Micrometres per level-0 pixel, or None where nothing believable is known."""
    source: ScaleSource = ScaleSource.UNKNOWN
    implausible: float | None = None
    """Figure of the source that is not believed; `mpp` is None then."""

    def __str__(self) -> str:
        """Return the words of `Slide.mpp_source`."""
        if self.implausible is not None:
            return f"implausible: {self.implausible:.4g} ({self.source})"
        return str(self.source)


def is_plausible(mpp: float) -> bool:
    """Say whether a scanner could have so many micrometres per pixel."""
    return math.isfinite(mpp) and SMALLEST_MPP <= mpp <= LARGEST_MPP


def judge_scale(mpp: float | None, source: ScaleSource) -> Scale:
    """Return what is believed of the figure that a file gives.

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
    """Return the scale that a person or a classifier gives.

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
