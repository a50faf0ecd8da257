"""Words of the window: remedies of faults, counts, numbers."""

from __future__ import annotations

from napari_mil.errors import Remedy

REMEDIES = {
    Remedy.GIVE_SCALE: "enter its µm per pixel in the Slide tab",
    Remedy.TAKE_LEVEL: "choose tiles of a level in the Classify tab",
    Remedy.FINER_SCAN: "open a finer scan of it",
    Remedy.SMALLER_TILES: "choose a classifier of smaller tiles",
    Remedy.WHOLE_IMAGE: "choose the whole image as tissue",
    Remedy.DRAW_TISSUE: "detect tissue in the Slide tab and paint it",
}

HAND_REMEDIES = {
    remedy: f"open it and {REMEDIES[remedy]}"
    for remedy in (Remedy.GIVE_SCALE, Remedy.TAKE_LEVEL, Remedy.WHOLE_IMAGE, Remedy.DRAW_TISSUE)
}
"""What can be done for a slide that is not open."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 tile``, ``3 tiles``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def time_left(seconds: float | None) -> str:
    """Return the time left as the end of a line, or nothing while it is unknown or short."""
    if seconds is None or seconds < 1:
        return ""
    if seconds < 90:
        return f" · {seconds:.0f} s left"
    return f" · {seconds / 60:.0f} min left"
