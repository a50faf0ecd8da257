"""Laying of stored positions on level 0: corners, tile size, and whether the slide fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.bags.readers.stored import Anchor, Positions, Unit, scale_of
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

if TYPE_CHECKING:
    from napari_mil.slides import Slide

FARTHEST = 2.0**40
"""Largest coordinate that is believed, far beyond any slide."""
LEAST_SHARE = 0.25
"""Share of the gaps between neighbours that the most common one needs to be a tile's side."""


@dataclass(eq=False)
class Placed:
    """Tiles on level 0."""

    corners: np.ndarray | None = None
    """int64 (N, 2): (x, y) of top left corners in level-0 pixels."""
    tile_size0: float | None = None
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: FindingKind, path: Path, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, path, text))


def place(
    positions: Positions, n: int, slide: Slide | None, tile_size0: float | None = None
) -> Placed:
    """Convert stored positions to top left corners in level-0 pixels.

    Parameters
    ----------
    positions
        As the tool wrote them.
    n
        Number of instances.
    slide
        Supplies the scale, and is asked whether the tiles lie on it; may be None.
    tile_size0
        Side of a tile in level-0 pixels that the user gives; it wins over the file.

    Raises
    ------
    BagError
        If there are not N pairs or boxes of finite numbers.
    """
    values = _checked(positions, n)
    placed = Placed(tile_size0=tile_size0)
    if placed.tile_size0 is None and positions.side is not None:
        placed.tile_size0 = positions.side.in_pixels(slide)
    exact = _in_level0(values, positions, placed, slide)
    if exact is None:
        return placed
    if positions.anchor is Anchor.CENTRE:
        exact = _corners_of_centres(exact, positions, placed)
    placed.corners = _rounded(exact, positions, placed)
    if placed.tile_size0 is None and positions.anchor is Anchor.CORNER:
        _guess_size(positions, placed)
    if slide is not None:
        _check_slide(positions, placed, slide)
    return placed


def _checked(positions: Positions, n: int) -> np.ndarray:
    """Return the numbers of positions, (N, 2), or (N, 4) where they are boxes."""
    name = positions.path.name
    values = np.asarray(positions.values)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    widths = (2, 4) if positions.unit is Unit.UNSTATED else (2,)
    if values.ndim != 2 or values.shape[1] not in widths:
        raise BagError(
            f"{name} holds coordinates of shape {values.shape}; pairs (x, y) are expected."
        )
    if len(values) != n:
        raise BagError(
            f"{name} holds {n} feature rows but {len(values)} coordinates; "
            "extract them together again."
        )
    if values.dtype.kind not in "fiu" or not (np.abs(values.astype(float)) <= FARTHEST).all():
        raise BagError(f"{name} holds coordinates that are no numbers; extract them again.")
    return values


def neighbour_gap(corners: np.ndarray) -> float | None:
    """Return the most common distance between neighbours in a row or a column.

    The most common rather than the smallest: tools that begin a grid in every piece of tissue
    leave smaller gaps between the pieces.

    Parameters
    ----------
    corners
        int64 (N, 2).

    Returns
    -------
    float or None
        Exact to the mean where rounding gives two whole numbers; None where no distance is common.
    """
    found = []
    for along, across in ((0, 1), (1, 0)):
        order = np.lexsort((corners[:, along], corners[:, across]))
        sorted_corners = corners[order]
        gaps = np.diff(sorted_corners[:, along])
        found.append(gaps[(np.diff(sorted_corners[:, across]) == 0) & (gaps > 0)])
    gaps, counts = np.unique(np.concatenate(found), return_counts=True)
    if not len(gaps):
        return None
    near = np.abs(gaps - gaps[counts.argmax()]) <= 1
    if counts[near].sum() < max(2, LEAST_SHARE * counts.sum()):
        return None
    return float(np.average(gaps[near], weights=counts[near]))


def _in_level0(
    values: np.ndarray, positions: Positions, placed: Placed, slide: Slide | None
) -> np.ndarray | None:
    """Return positions (N, 2) in level-0 pixels, or None where they have no place.

    The sides of boxes count as the tiles' size.
    """
    if positions.unit is Unit.MICROMETRES:
        mpp = scale_of(slide)
        if mpp is None:
            text = (
                "It counts in micrometres and the slide's scale is unknown: "
                "it has no place on a slide."
            )
            placed.find(FindingKind.UNCERTAIN_PLACE, positions.path, text)
            placed.tile_size0 = None
            return None
        return values[:, :2] / mpp
    if values.shape[1] == 2:
        return values
    side = float(np.median(values[:, 2:] - values[:, :2]))
    if side <= 0:
        raise BagError(
            f"{positions.path.name} holds boxes without an area; give positions as corners."
        )
    return _corners_of_boxes(values, side, positions, placed, slide)


def _corners_of_boxes(
    values: np.ndarray, side: float, positions: Positions, placed: Placed, slide: Slide | None
) -> np.ndarray | None:
    """Return the corners of boxes, which may be in pixels of a scale that is not stated."""
    if placed.tile_size0 is not None:
        return values[:, :2] * (placed.tile_size0 / side)
    if slide is not None and (2 * values[:, 2:].max(0) <= slide.dimensions).all():
        text = (
            "It does not say at which scale its tiles were read, and more than one fits the slide; "
            "give the side of a tile in level-0 pixels."
        )
        placed.find(FindingKind.UNCERTAIN_PLACE, positions.path, text)
        return None
    text = (
        f"It does not say at which scale its tiles were read; level 0 is taken, tiles of {side:g} "
        "px (if that is wrong, give the side of a tile)."
    )
    placed.find(FindingKind.UNCERTAIN_PLACE, positions.path, text)
    placed.tile_size0 = side
    return values[:, :2]


def _corners_of_centres(centres: np.ndarray, positions: Positions, placed: Placed) -> np.ndarray:
    """Return corners; where the size of tiles is unknown and cannot be guessed, the centres."""
    if placed.tile_size0 is None:
        _guess_size(positions, placed, np.rint(centres).astype(np.int64))
    if placed.tile_size0 is None:
        text = "Its positions are the centres of its tiles, which are taken for their corners."
        placed.find(FindingKind.UNCERTAIN_PLACE, positions.path, text)
        return centres
    return centres - int(placed.tile_size0 / 2)


def _rounded(exact: np.ndarray, positions: Positions, placed: Placed) -> np.ndarray:
    """Return whole pixels, with a finding where the tool's own pixels were not whole."""
    corners = np.rint(exact).astype(np.int64)
    is_converted = positions.unit is not Unit.LEVEL0
    if not is_converted and exact.dtype.kind == "f" and (corners != exact).any():
        text = "Coordinates are not whole pixels and were rounded."
        placed.find(FindingKind.ROUNDED, positions.path, text)
    return corners


def _guess_size(positions: Positions, placed: Placed, corners: np.ndarray | None = None) -> None:
    """Take the distance of neighbours for the size of tiles, and say so."""
    known = placed.corners if corners is None else corners
    gap = None if known is None else neighbour_gap(known)
    if gap is None:
        text = "It does not say how large its tiles are; give their side in level-0 pixels."
    else:
        text = (
            f"It does not say how large its tiles are: {gap:g} px, the distance of neighbours, is "
            "taken (if tiles overlap, give their side)."
        )
    placed.tile_size0 = gap
    placed.find(FindingKind.UNCERTAIN_PLACE, positions.path, text)


def _check_slide(positions: Positions, placed: Placed, slide: Slide) -> None:
    """Say where a slide has another size, or tiles lie off it."""
    size = np.array(slide.dimensions)
    width, height = slide.dimensions
    stated = positions.slide_size
    if stated is not None and (np.abs(size - stated) > positions.size_tolerance).any():
        text = (
            f"It was made on a slide of {stated[0]:.0f} × {stated[1]:.0f} pixels, but "
            f"{slide.path.name} has {width} × {height}: it belongs to another slide."
        )
        placed.find(FindingKind.OTHER_SLIDE, positions.path, text)
    corners = placed.corners
    if corners is None:
        return
    is_beyond = (corners >= size) | (corners + (placed.tile_size0 or 1) <= 0)
    off = np.asarray(is_beyond.any(1))
    if off.any():
        x, y = corners[off][0]
        text = (
            f"{off.sum()} of {len(off)} tiles lie off {slide.path.name} ({width} × {height} "
            f"pixels), the first at ({x}, {y}): another slide, or another scale."
        )
        placed.find(FindingKind.OTHER_SLIDE, positions.path, text)
