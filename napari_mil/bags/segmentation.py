"""Tissue in a picture of a slide or a field, by the rule that fits the picture.

Glass is looked for first: what lies on it is tissue. A picture without glass is all tissue, unless
it shows something bright on a dark ground. Pen marks are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mil.bags.canvas import find_canvas
from napari_mil.bags.fluorescence import has_dark_ground, signal
from napari_mil.bags.glass import Glass, find_glass, tissue_on_glass
from napari_mil.bags.mask import TissueMethod
from napari_mil.bags.overview_pixels import enlarged, pieces_of_size, reduced, sample_step
from napari_mil.bags.pen import pen_marks
from napari_mil.events import CancellationToken

SMALLEST_PIECE_UM2 = 2_500.0
"""Area below which a piece is dust, µm² (50 µm x 50 µm)."""
SMALLEST_PIECE = 1 / 2000
"""Area below which a piece is dust as a share of the picture.

It counts where the scale is unknown, and in fields so small that 50 µm x 50 µm is more.
"""
SMALLEST_GLASS_UM2 = 20_000.0
"""Area of glass that is evidence of glass, µm² (140 µm x 140 µm); most lumens are smaller."""
SMALLEST_GLASS = 0.05
"""Area of glass that is evidence of glass as a share of the picture; used as `SMALLEST_PIECE`."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Tissue in a picture."""

    tissue: np.ndarray
    """bool (h, w)."""
    method: TissueMethod
    """Rule by which it was found."""
    ink: float = 0.0
    """Share of the picture under pen marks and their blurred edges."""


def segment_tissue(
    picture: np.ndarray,
    pixel_um2: float | None = None,
    *,
    fluorescent: bool = False,
    cancel: CancellationToken | None = None,
) -> Segmentation:
    """Find tissue in a picture.

    Evidence of glass, dark ground and ink is looked for on a sample of at most `SAMPLE_PX` pixels
    a side; the mask has all pixels of the picture.

    Parameters
    ----------
    picture
        uint8 (h, w, 3): the scanned part of a slide, or a field.
    pixel_um2
        Area of a pixel in µm²; None where the scale is unknown: sizes are then relative to the
        picture.
    fluorescent
        Whether it is known to show fluorescence.
    cancel
        Asked between the steps.
    """
    cancel = cancel or CancellationToken()
    step = sample_step(picture.shape)
    sample = reduced(picture, step)
    smallest_piece = _area(SMALLEST_PIECE, SMALLEST_PIECE_UM2, picture.shape, pixel_um2)
    smallest_glass = _area(SMALLEST_GLASS, SMALLEST_GLASS_UM2, picture.shape, pixel_um2) / step**2
    cancel.raise_if_cancelled()
    canvas = find_canvas(sample)
    glass = None if fluorescent else find_glass(sample, canvas, smallest_glass)
    cancel.raise_if_cancelled()
    if fluorescent or has_dark_ground(sample, glass):
        bright = pieces_of_size(signal(picture), smallest_piece)
        return Segmentation(~pieces_of_size(~bright, smallest_piece), TissueMethod.FLUORESCENCE)
    ink = pen_marks(sample, _white(sample, glass), canvas)
    cancel.raise_if_cancelled()
    tissue = _without(picture, glass, step, ink, canvas, cancel)
    method = TissueMethod.WHOLE_FIELD if glass is None else TissueMethod.GLASS
    return Segmentation(pieces_of_size(tissue, smallest_piece), method, float(ink.mean()))


def _area(share: float, um2: float, shape: tuple[int, ...], pixel_um2: float | None) -> float:
    """Return an area in pixels: a share of the picture, or less where its scale says so."""
    relative = share * shape[0] * shape[1]
    return relative if pixel_um2 is None else min(relative, um2 / pixel_um2)


def _white(sample: np.ndarray, glass: Glass | None) -> np.ndarray:
    """Return the colour (3,) of the glass, or that of the brightest pixels of each colour."""
    if glass is not None:
        return glass.colour
    return np.maximum(np.quantile(sample, 0.99, (0, 1)), 1).astype(np.float32)


def _without(
    picture: np.ndarray,
    glass: Glass | None,
    step: int,
    ink: np.ndarray,
    canvas: np.ndarray,
    cancel: CancellationToken,
) -> np.ndarray:
    """Return what is neither glass nor ink nor canvas, bool (h, w)."""
    shape = picture.shape[:2]
    left_out = enlarged(ink | canvas, step, shape)
    if glass is None:
        return ~left_out
    return tissue_on_glass(picture, glass, step, left_out, cancel) & ~left_out
