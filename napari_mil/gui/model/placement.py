"""Between level-0 pixels and the world of the canvas.

napari puts the centre of element k of a layer at ``k * scale + translate`` and the centre of
level-0 pixel 0 at 0; coordinates of files count from the corner of that pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.slides import Slide


@dataclass(frozen=True, slots=True)
class Affine:
    """Place of a layer's array on the canvas, (along y, along x)."""

    scale: tuple[float, float]
    """World units per element."""
    translate: tuple[float, float]
    """World position of the centre of the first element."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Scale of one subject on the canvas."""

    mpp: float | None = None
    """Micrometres per level-0 pixel along x; None leaves the canvas in pixels."""
    aspect: float = 1.0
    """Height of a level-0 pixel by its width."""

    @property
    def unit(self) -> float:
        """World units per level-0 pixel along x."""
        return 1.0 if self.mpp is None else self.mpp

    @property
    def unit_yx(self) -> tuple[float, float]:
        """World units per level-0 pixel along y and x."""
        return self.unit * self.aspect, self.unit

    @property
    def units(self) -> tuple[str, str]:
        """Names of the units of a layer, for napari."""
        return ("pixel", "pixel") if self.mpp is None else ("um", "um")

    def world(self, points: np.ndarray) -> np.ndarray:
        """Return (y, x) on the canvas of (x, y) in level-0 pixels: (..., 2) -> (..., 2)."""
        return (np.asarray(points, float)[..., ::-1] - 0.5) * self.unit_yx

    def level0(self, world: np.ndarray) -> np.ndarray:
        """Return (x, y) in level-0 pixels of (y, x) on the canvas: (..., 2) -> (..., 2)."""
        return (np.asarray(world, float) / self.unit_yx)[..., ::-1] + 0.5

    def pixels(self) -> Affine:
        """Place the pixels of level 0."""
        return Affine(self.unit_yx, (0.0, 0.0))

    def mask(self, downsample: tuple[float, float]) -> Affine:
        """Place a mask of so many level-0 pixels per element, (along x, along y)."""
        across, down = downsample
        unit_y, unit_x = self.unit_yx
        return Affine(
            (down * unit_y, across * unit_x),
            ((down - 1) / 2 * unit_y, (across - 1) / 2 * unit_x),
        )

    def lattice(self, layout: Layout, cell: int = 1) -> Affine:
        """Place the cells of a layout, each drawn with `cell` times `cell` elements.

        Every cell covers the stride that is centred on its tile.
        """
        side = layout.stride0 * self.unit
        x, y = layout.origin
        width, height = layout.size0
        unit_y, unit_x = self.unit_yx
        inset = side / cell / 2 - side / 2
        return Affine(
            (side / cell, side / cell),
            (
                (y + (height - 1) / 2) * unit_y + inset,
                (x + (width - 1) / 2) * unit_x + inset,
            ),
        )

    def centres(self, layout: Layout, instances: np.ndarray) -> np.ndarray:
        """Return the centres (n, 2) of instances on the canvas, as (y, x)."""
        corners = layout.coords[instances]
        return self.world(corners + np.array(layout.size0) / 2)

    def instance_under(self, layout: Layout, world: tuple[float, ...]) -> int | None:
        """Return the instance under a position (…, y, x) on the canvas, or None beside all."""
        x, y = self.level0(np.asarray(world[-2:]))
        return layout.instance_at(float(x), float(y))


def placement_of(slide: Slide) -> Placement:
    """Return the placement of a slide at its scale."""
    return Placement(slide.scale.mpp_x, slide.scale.aspect if slide.scale.mpp else 1.0)


def world_segments(outlines: np.ndarray, placement: Placement) -> np.ndarray:
    """Return outlines (M, 2, 2), (x, y) of both ends, as (start, vector), (y, x) on the canvas."""
    starts = placement.world(outlines[:, 0])
    vectors = outlines[:, 1, ::-1] * placement.unit_yx
    return np.stack([starts, vectors], 1)
