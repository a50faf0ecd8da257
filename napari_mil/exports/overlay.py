"""The slide with the values of its tiles over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.exports.colours import DIVERGING, MAGMA, VIRIDIS, shade
from napari_mil.exports.glyphs import draw_groups
from napari_mil.exports.maps import SIGNED, split_key
from napari_mil.exports.source import ExportSource

LARGEST_ENLARGEMENT = 2
"""Largest ratio of the whole canvas as it is read to the stored part of it that is shown."""
WHITE, BLACK = 255, 0
FULL = 255
"""Cover of 1."""


@dataclass(frozen=True, eq=False)
class Overview:
    """Picture of the part of a slide that is shown."""

    pixels: np.ndarray
    """uint8 (h, w, 3)."""
    area: tuple[float, float, float, float]
    """(x, y, width, height) in level-0 pixels."""

    @property
    def level0_per_pixel(self) -> float:
        """Level-0 pixels along x per pixel."""
        return self.area[2] / self.pixels.shape[1]


def overview(source: ExportSource, size: tuple[int, int], cancel: CancellationToken) -> Overview:
    """Read the stored part of a slide, fitted into (width, height) in pixels.

    Without a slide, the part that has tiles is left white.
    """
    slide = source.slide
    if slide is None:
        return _blank(source, size)
    x, y, width, height = slide.bounds
    scale = min(size[0] / width, size[1] / (height * source.aspect))
    whole = tuple(
        max(1, min(round(side * scale), LARGEST_ENLARGEMENT * longest))
        for side, longest in zip(slide.dimensions, size, strict=True)
    )
    thumbnail = Image.fromarray(slide.thumbnail((whole[0], whole[1]), cancel))
    across, down = (
        shown / side for shown, side in zip(thumbnail.size, slide.dimensions, strict=True)
    )
    box = (x * across, y * down, (x + width) * across, (y + height) * down)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale * source.aspect)))
    picture = thumbnail.resize(fitted, Image.Resampling.BICUBIC, box)
    return Overview(np.asarray(picture), (x, y, width, height))


def _blank(source: ExportSource, size: tuple[int, int]) -> Overview:
    corners = source.corners
    low = corners.min(0)
    width, height = (corners.max(0) + source.tile_size - low).tolist()
    scale = min(size[0] / width, size[1] / (height * source.aspect))
    shape = (max(1, round(height * scale * source.aspect)), max(1, round(width * scale)), 3)
    area = (float(low[0]), float(low[1]), width, height)
    return Overview(np.full(shape, WHITE, np.uint8), area)


def with_instances(picture: Overview, source: ExportSource) -> np.ndarray:
    """Return a picture with the values or groups of tiles over it: uint8 (h, w, 3).

    Each pixel takes the cell that its centre lies in; beside the tiles it stays as it is.
    """
    inks = _inks(source)
    if inks is None:
        return picture.pixels
    layout = source.layout
    parts = inks.shape[0] // layout.shape[0]
    height, width = picture.pixels.shape[:2]
    left, top, across, down = picture.area
    rows = layout.rows_at(top + (np.arange(height) + 0.5) * down / height, parts)
    columns = layout.columns_at(left + (np.arange(width) + 0.5) * across / width, parts)
    inside = (columns >= 0) & (columns < inks.shape[1])
    covered = picture.pixels.copy()
    for y in np.flatnonzero((rows >= 0) & (rows < inks.shape[0])):
        ink = inks[rows[y], columns[inside]].astype(np.float32)
        cover = ink[:, 3:] / FULL
        covered[y, inside] = np.rint(covered[y, inside] * (1 - cover) + ink[:, :3] * cover)
    return covered


def _inks(source: ExportSource) -> np.ndarray | None:
    """Return the lattice of tiles as colours: uint8 (rows, columns, 4), RGB and cover.

    Patterned groups have several elements a tile along each side. None where nothing is shown.
    """
    layout = source.layout
    if source.grouping is not None:
        return draw_groups(layout, source.grouping.groups)
    shown = source.shown
    if shown is None:
        return None
    cells = layout.spread(np.arange(len(layout)), shown.shown)
    inks = shade(cells, shown.low, shown.high, palette(source))
    inks[..., 3] *= FULL
    return np.rint(inks).astype(np.uint8)


def palette(source: ExportSource) -> bytes:
    """Return the colour map of the shown values.

    Diverging where they have a sign, magma on the dark of fluorescence, otherwise viridis.
    """
    shown = source.shown
    if shown is not None and split_key(shown.key)[0] in SIGNED:
        return DIVERGING
    return MAGMA if is_dark(source) else VIRIDIS


def is_dark(source: ExportSource) -> bool:
    """Say whether the slide has a dark background."""
    return source.slide is not None and bool(source.slide.channels)
