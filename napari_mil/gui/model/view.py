"""Part of a subject that the canvas shows, and its magnification."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mil.gui.model.subjects import Place

OBJECTIVE_UM = 10.0
"""Magnification times micrometres per pixel of the canvas: 40× is 0.25 µm, as scanners count."""
PRESETS = (1.25, 2.5, 5.0, 10.0, 20.0, 40.0)
"""Magnifications to choose from: those of objectives."""


@dataclass(frozen=True, slots=True)
class View:
    """Part of a subject that the canvas shows."""

    place: Place
    zoom: float
    """Pixels of the canvas per level-0 pixel, along x."""


def magnification_of(zoom: float, mpp: float) -> float:
    """Return the magnification of an objective that shows as much.

    Parameters
    ----------
    zoom
        Pixels of the canvas per level-0 pixel.
    mpp
        Micrometres per level-0 pixel.
    """
    return OBJECTIVE_UM * zoom / mpp


def zoom_of(magnification: float, mpp: float) -> float:
    """Return the pixels of the canvas per level-0 pixel at a magnification."""
    return magnification * mpp / OBJECTIVE_UM
