"""Instances as one picture: a contact sheet with a line of words below each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_mil.exports.lettering import drawable, fitted, font_of
from napari_mil.files import whole_or_nothing

TILE_PX = 224
GAP_PX = 12
TEXT_PX = 16
MOST_COLUMNS = 8
INK, PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class SheetTile:
    """One picture of a contact sheet."""

    pixels: np.ndarray
    """uint8 (H, W, 3)."""
    words: str
    """Line below it."""


def draw_contact_sheet(tiles: Sequence[SheetTile], title: str) -> Image.Image:
    """Draw pictures in rows, in their order, under a title.

    Parameters
    ----------
    tiles
        At least one picture; larger ones are made to fit.
    title
        One line that says what is shown.
    """
    columns = min(MOST_COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = TILE_PX + GAP_PX, TILE_PX + GAP_PX + 2 * TEXT_PX
    head = 3 * TEXT_PX
    sheet = Image.new("RGB", (columns * step_x + GAP_PX, rows * step_y + head + GAP_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = font_of(TEXT_PX)
    words = fitted(drawable(title, font), font, sheet.width - 2 * GAP_PX)
    draw.text((GAP_PX, TEXT_PX), words, INK, font)
    for k, tile in enumerate(tiles):
        left = GAP_PX + (k % columns) * step_x
        top = head + (k // columns) * step_y
        picture = Image.fromarray(np.ascontiguousarray(tile.pixels))
        scale = TILE_PX / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
        at = (left + (TILE_PX - size[0]) // 2, top + (TILE_PX - size[1]) // 2)
        sheet.paste(picture.resize(size, method), at)
        words = fitted(drawable(tile.words, font), font, TILE_PX)
        draw.text((left, top + TILE_PX + 4), words, INK, font)
    return sheet


def write_contact_sheet(tiles: Sequence[SheetTile], title: str, path: Path) -> None:
    """Write a contact sheet as PNG.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left of it then.
    """
    sheet = draw_contact_sheet(tiles, title)
    with whole_or_nothing(path) as part:
        sheet.save(part, format="PNG")
