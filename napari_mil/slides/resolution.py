"""Micrometres per pixel: what to believe."""

from __future__ import annotations

import math

SMALLEST_MPP, LARGEST_MPP = 0.05, 50.0
"""A 100x objective gives 0.1 µm per pixel, a macro camera 30; what lies beyond is a unit written wrong or a screen's dpi."""


def judge_mpp(mpp: float | None, source: str, given: float | None) -> tuple[float | None, str]:
    """Return (mpp or None, where it comes from) from the file's own figure and the user's.

    Parameters
    ----------
    mpp
        Micrometres per level-0 pixel as the file says.
    source
        Where the file says so.
    given
        The user's figure, which wins.

    Raises
    ------
    ValueError
        If the user's figure is not plausible.
    """
    if given is not None:
        if not (math.isfinite(given) and SMALLEST_MPP <= given <= LARGEST_MPP):
            raise ValueError(
                f"{given:g} µm per pixel is not plausible: give a number between {SMALLEST_MPP} and {LARGEST_MPP:g}, for example 0.25."
            )
        return float(given), "user"
    if mpp is None or not math.isfinite(mpp) or mpp <= 0:
        return None, "unknown"
    if not SMALLEST_MPP <= mpp <= LARGEST_MPP:
        return None, f"implausible: {mpp:.4g} ({source})"
    return mpp, source
