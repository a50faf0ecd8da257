"""What the navigator shows: the whole subject, the part in view, its magnification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import Place, Subject, coarsest_pixels, pixels_place
from napari_mil.gui.model.view import PRESETS, View, magnification_of

NO_SCALE = "Enter its µm per pixel below to choose a magnification."


@dataclass(frozen=True, slots=True)
class Preset:
    """A magnification to choose."""

    magnification: float
    reason: str = ""
    """Why it cannot be chosen; empty where it can."""

    @property
    def text(self) -> str:
        """Text of its button."""
        return magnification_words(self.magnification)


@dataclass(frozen=True, eq=False)
class NavigatorSnapshot:
    """What the navigator shows."""

    pixels: np.ndarray | None = None
    """uint8 (h, w, 3) of the whole subject; None with nothing open."""
    shape: float = 1.0
    """Height of the whole subject by its width."""
    view: Place | None = None
    """Part in view, as shares of the width and the height of the whole."""
    readout: str = ""
    """Magnification, and micrometres per pixel of the screen."""
    presets: tuple[Preset, ...] = ()


def navigator_snapshot(state: SessionState, view: View | None) -> NavigatorSnapshot:
    """Return what the navigator shows while the canvas shows `view`."""
    subject = state.current_subject
    if subject is None:
        return NavigatorSnapshot()
    whole = pixels_place(subject)
    mpp = subject.placement.mpp
    return NavigatorSnapshot(
        pixels=coarsest_pixels(subject),
        shape=whole.height * subject.placement.aspect / whole.width,
        view=None if view is None else _shares(view.place, whole),
        readout="" if view is None else _readout(view, mpp),
        presets=_presets(subject),
    )


def point_at(subject: Subject, x: float, y: float) -> tuple[float, float]:
    """Return the level-0 pixel (x, y) at shares of the width and the height of a subject."""
    whole = pixels_place(subject)
    return whole.x + x * whole.width, whole.y + y * whole.height


def magnification_words(magnification: float) -> str:
    """Write a magnification: ``1.25×``, ``10×``, ``0.034×``."""
    digits = f"{magnification:.3g}" if magnification < 100 else f"{magnification:.0f}"
    return f"{digits}×"


def _shares(place: Place, whole: Place) -> Place:
    return Place(
        (place.x - whole.x) / whole.width,
        (place.y - whole.y) / whole.height,
        place.width / whole.width,
        place.height / whole.height,
    )


def _readout(view: View, mpp: float | None) -> str:
    if mpp is None:
        return f"{100 * view.zoom:.3g} % of level 0"
    magnification = magnification_words(magnification_of(view.zoom, mpp))
    return f"{magnification} · {mpp / view.zoom:.3g} µm per screen pixel"


def _presets(subject: Subject) -> tuple[Preset, ...]:
    if subject.slide is None:
        return ()
    reason = NO_SCALE if subject.placement.mpp is None else ""
    return tuple(Preset(magnification, reason) for magnification in PRESETS)
