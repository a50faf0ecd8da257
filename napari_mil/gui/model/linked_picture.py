"""A picture of the part of a subject that the canvas shows, with another map over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.exports.colours import DIVERGING, MAGMA, VIRIDIS, shade
from napari_mil.exports.maps import SIGNED, scaled
from napari_mil.gui.model.compared import Side
from napari_mil.gui.model.display import Display, scale_of
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.subjects import Place, Subject, SubjectKind, coarsest_pixels, pixels_place

FULL = 255
"""Cover of 1."""
_remember = Memo(4)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """Pixels of a part of a subject."""

    pixels: np.ndarray
    """uint8 (h, w, 3)."""
    place: Place
    """Part that they cover."""


def fitted_place(place: Place, size: tuple[int, int], aspect: float = 1.0) -> Place:
    """Grow a place around its middle until it has the shape of a picture.

    Parameters
    ----------
    place
        Part that must be seen.
    size
        (width, height) of the picture in pixels.
    aspect
        Height of a level-0 pixel by its width.
    """
    zoom = min(size[0] / place.width, size[1] / (place.height * aspect))
    width = size[0] / zoom
    height = size[1] / (zoom * aspect)
    x, y = place.centre
    return Place(x - width / 2, y - height / 2, width, height)


def whole_backdrop(subject: Subject) -> Backdrop:
    """Return the coarsest pixels of a subject, which are in memory."""
    return Backdrop(coarsest_pixels(subject), pixels_place(subject))


def read_backdrop(subject: Subject, place: Place, size: tuple[int, int]) -> Backdrop:
    """Read a part of a subject at the coarsest level that is fine enough.

    Parameters
    ----------
    subject
        What is read; the layers of the canvas have the same levels.
    place
        Part that is read, cut to what the subject has.
    size
        (width, height) in pixels of the screen that it is drawn with.
    """
    data = subject.pixels.data
    levels = data if subject.pixels.multiscale else [data]
    whole = pixels_place(subject)
    wanted = place.width / size[0]
    downs = [whole.width / level.shape[1] for level in levels]
    fitting = [k for k, down in enumerate(downs) if down <= max(wanted, downs[0])]
    level = levels[fitting[-1]]
    across = whole.width / level.shape[1]
    down = whole.height / level.shape[0]
    left = max(0, math.floor((place.x - whole.x) / across))
    top = max(0, math.floor((place.y - whole.y) / down))
    right = min(level.shape[1], math.ceil((place.x + place.width - whole.x) / across))
    bottom = min(level.shape[0], math.ceil((place.y + place.height - whole.y) / down))
    if right <= left or bottom <= top:
        return whole_backdrop(subject)
    # A slide of one level is not read pixel by pixel.
    step = max(1, math.floor(wanted / across))
    pixels = np.asarray(level[top:bottom:step, left:right:step])[..., :3]
    rows, columns = pixels.shape[:2]
    covered = Place(
        whole.x + left * across,
        whole.y + top * down,
        columns * step * across,
        rows * step * down,
    )
    return Backdrop(pixels, covered)


def map_inks(subject: Subject, side: Side, display: Display) -> np.ndarray | None:
    """Return the cells of a map as colours: uint8 (rows, columns, 4), RGB and cover.

    None where the answer has no map.
    """
    values = side.values
    column = side.column
    if values is None or column is None:
        return None
    mode = scale_of(display, column.kind)
    shown, low, high = _remember(scaled, values, mode, column.kind)
    is_dark = subject.is_fluorescence or subject.kind is SubjectKind.IMAGES
    table = DIVERGING if column.kind in SIGNED else MAGMA if is_dark else VIRIDIS
    return _remember(_inks, side.layout, shown, low, high, table)


def linked_picture(
    backdrops: tuple[Backdrop, ...],
    place: Place,
    size: tuple[int, int],
    layout: Layout,
    inks: np.ndarray | None,
    ground: int = 255,
) -> np.ndarray:
    """Return a picture of a place: uint8 (height, width, 3).

    Every pixel takes what lies under its centre, as the canvas does.

    Parameters
    ----------
    backdrops
        Pixels of the subject, later ones on top.
    place
        Part that is seen, in level-0 pixels.
    size
        (width, height) of the picture in pixels.
    layout
        Lattice of the map.
    inks
        Its cells, uint8 (rows, columns, 4); None draws none.
    ground
        Grey beside the subject.
    """
    width, height = size
    x = place.x + (np.arange(width) + 0.5) * place.width / width
    y = place.y + (np.arange(height) + 0.5) * place.height / height
    picture = np.full((height, width, 3), ground, np.uint8)
    for backdrop in backdrops:
        covered = backdrop.place
        rows, columns = backdrop.pixels.shape[:2]
        row = np.floor((y - covered.y) * rows / covered.height).astype(np.int64)
        column = np.floor((x - covered.x) * columns / covered.width).astype(np.int64)
        _lay(picture, backdrop.pixels[..., :3], row, column)
    if inks is not None:
        _lay(picture, inks, layout.rows_at(y), layout.columns_at(x))
    return picture


def _lay(picture: np.ndarray, source: np.ndarray, row: np.ndarray, column: np.ndarray) -> None:
    """Lay the pixels of a source, with a cover or without, over a picture in place."""
    inside_rows = np.flatnonzero((row >= 0) & (row < source.shape[0]))
    inside_columns = np.flatnonzero((column >= 0) & (column < source.shape[1]))
    if not len(inside_rows) or not len(inside_columns):
        return
    # Rows and columns that are seen stand together.
    part = np.s_[inside_rows[0] : inside_rows[-1] + 1, inside_columns[0] : inside_columns[-1] + 1]
    taken = source[np.ix_(row[inside_rows], column[inside_columns])]
    if taken.shape[2] == 3:
        picture[part] = taken
        return
    cover = taken[..., 3:].astype(np.uint16)
    below = picture[part].astype(np.uint16)
    picture[part] = (below * (FULL - cover) + taken[..., :3] * cover + FULL // 2) // FULL


def _inks(layout: Layout, shown: np.ndarray, low: float, high: float, table: bytes) -> np.ndarray:
    colours = shade(layout.spread(np.arange(len(layout)), shown), low, high, table)
    colours[..., 3] *= FULL
    return np.rint(colours).astype(np.uint8)
