"""Where and how per-tile values are drawn: a low-resolution image layer, one element per lattice cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.utils.colormaps import Colormap
from scipy.stats import rankdata
from vispy.color import get_colormap

from napari_mil.bags import TileGrid, TissueMask
from napari_mil.gui.reader import AXES
from napari_mil.slides import Slide

STRONGEST_ALPHA, WEAKEST_ALPHA = 0.55, 0.06
"""The tissue under a hot tile stays readable; low values leave it alone, yet differ from no tile at all."""
COLOURS = 32


def overlay_colormap(base: str = "viridis") -> Colormap:
    """Return a colour map whose alpha rises with the value; NaN (no tile, or none yet) is transparent."""
    positions = np.linspace(0, 1, COLOURS)
    colours = np.array(get_colormap(base).map(positions))
    colours[:, 3] = WEAKEST_ALPHA + (STRONGEST_ALPHA - WEAKEST_ALPHA) * positions
    return Colormap(colours, name=f"{base}, fading", display_name=f"{base}, fading")


@dataclass(frozen=True)
class OverlaySpec:
    """What one per-tile column looks like on the canvas."""

    column: str
    """Column of `Prediction.columns`."""
    title: str
    """What it is called in layer names."""
    scale: str
    """``rank`` (share of tiles that are lower) or ``raw``."""
    visible: bool


def overlay_specs(columns: list[str], classes: tuple[str, ...]) -> list[OverlaySpec]:
    """Choose what is shown of the columns of an answer: scores in front where there are any, otherwise attention."""
    two_classes = len(classes) == 2
    scores = [
        f"score_{name}"
        for name in (classes[1:] if two_classes else classes)
        if f"score_{name}" in columns
    ]
    attentions = [name for name in columns if name.split("_")[0] == "attention"]
    specs = [
        OverlaySpec(name, name.replace("_", ": ", 1), "rank", visible=not scores and k == 0)
        for k, name in enumerate(attentions)
    ]
    specs += [
        OverlaySpec(name, name.replace("_", ": ", 1), "raw", visible=k == 0)
        for k, name in enumerate(scores)
    ]
    if "similarity" in columns:
        specs.append(OverlaySpec("similarity", "similarity", "rank", visible=not specs))
    return specs


def shown_values(spec: OverlaySpec, values: np.ndarray) -> np.ndarray:
    """Return values (n,) on the scale they are drawn on, in [0, 1]."""
    if spec.scale == "raw":
        return values.astype(np.float32)
    if len(values) == 1:
        return np.ones(1, np.float32)
    return ((rankdata(values) - 1) / (len(values) - 1)).astype(np.float32)


def lattice(grid: TileGrid, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return float32 (rows, columns) with the values of some tiles in their cells and NaN elsewhere."""
    image = np.full(grid.shape, np.nan, np.float32)
    cells = grid.cells[indices]
    image[cells[:, 0], cells[:, 1]] = values
    return image


def overlay_arguments(slide: Slide, grid: TileGrid) -> dict[str, Any]:
    """Place the lattice so that every element covers the stride cell centred on its tile.

    napari puts the centre of element k at ``k * scale + translate`` and the centre of level-0 pixel 0 at 0.
    """
    unit = slide.mpp or 1.0
    offset = (grid.tile_size0 - 1) / 2 * unit
    return {
        "scale": (grid.stride0 * unit,) * 2,
        "translate": (offset, offset),
        "units": ("um", "um") if slide.mpp else ("pixel", "pixel"),
        "axis_labels": AXES,
    }


def tissue_arguments(slide: Slide, mask: TissueMask) -> dict[str, Any]:
    """Place a tissue mask over its slide."""
    unit = slide.mpp or 1.0
    (across, down) = mask.downsample
    return {
        "scale": (down * unit, across * unit),
        "translate": ((down - 1) / 2 * unit, (across - 1) / 2 * unit),
        "units": ("um", "um") if slide.mpp else ("pixel", "pixel"),
        "axis_labels": AXES,
    }


def hover_text(
    grid: TileGrid, slide: Slide, spec: OverlaySpec, values: np.ndarray, world: tuple[float, ...]
) -> str:
    """Describe the tile under a world position (…, y, x): its raw value, its rank, its number; empty beside the tiles.

    `values` holds the raw value of every tile, NaN where there is none yet.
    """
    tile = tile_under(grid, slide, world)
    if tile is None or np.isnan(values[tile]):
        return ""
    rank = int((values > values[tile]).sum()) + 1
    return f"{spec.title} {values[tile]:.3g} · rank {rank} of {int((~np.isnan(values)).sum())} · tile {tile}"


def tile_under(grid: TileGrid, slide: Slide, world: tuple[float, ...]) -> int | None:
    """Return the tile under a world position (…, y, x), or None beside the tiles."""
    unit = slide.mpp or 1.0
    row, column = (
        int(np.floor((position / unit + 0.5 - (grid.tile_size0 - grid.stride0) / 2) / grid.stride0))
        for position in world[-2:]
    )
    found = np.flatnonzero((grid.cells[:, 0] == row) & (grid.cells[:, 1] == column))
    return int(found[0]) if len(found) else None
