"""Many points in the plane as pixels: where they lie, which are meant, how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

MARGIN_PX = 14
MOST_STRETCHED = 4
"""A panel below the canvas is wide and low."""
SIDES = ((400, 7), (4000, 5), (20_000, 3))
"""(instances up to which, pixels of a point): few are large enough to be seen as such."""
SMALLEST_SIDE = 2
HALO_PX = 2
"""Width of the ring around a selected point."""
CLICK_PX = 8
"""Farthest point from the mouse that a click means."""


@dataclass(frozen=True)
class PlaneView:
    """Part of the plane that is seen."""

    centre: tuple[float, float]
    """Point of the plane in the middle of the window."""
    scale: tuple[float, float]
    """Pixels for a unit of the plane, across and upwards."""
    width: int
    height: int

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels of points, y downwards: (N, 2) -> float32 (N, 2)."""
        scale = np.array([self.scale[0], -self.scale[1]], np.float32)
        middle = np.array([self.width / 2, self.height / 2], np.float32)
        places: np.ndarray = (points - np.array(self.centre, np.float32)) * scale + middle
        return places

    def to_plane(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the plane at a pixel."""
        return (
            self.centre[0] + (x - self.width / 2) / self.scale[0],
            self.centre[1] - (y - self.height / 2) / self.scale[1],
        )

    def zoomed(self, factor: float, x: float, y: float) -> PlaneView:
        """Return the view closer by a factor; what lies at a pixel stays there."""
        kept = self.to_plane(x, y)
        scale = (self.scale[0] * factor, self.scale[1] * factor)
        centre = (
            kept[0] - (x - self.width / 2) / scale[0],
            kept[1] + (y - self.height / 2) / scale[1],
        )
        return PlaneView(centre, scale, self.width, self.height)

    def moved(self, dx: float, dy: float) -> PlaneView:
        """Return the view with what it shows moved by pixels."""
        centre = (self.centre[0] - dx / self.scale[0], self.centre[1] + dy / self.scale[1])
        return PlaneView(centre, self.scale, self.width, self.height)

    def resized(self, width: int, height: int) -> PlaneView:
        """Return the view in a window of another size."""
        return PlaneView(self.centre, self.scale, width, height)


def fitting_view(points: np.ndarray, width: int, height: int) -> PlaneView:
    """Return the view that shows all points (N, 2) in a window and fills it.

    One axis is stretched at most `MOST_STRETCHED` times as much as the other.
    """
    low, high = points.min(0), points.max(0)
    spans = (high - low).astype(float)
    room = np.maximum(np.array([width, height]) - 2 * MARGIN_PX, 1)
    scale = np.divide(room, spans, out=np.full(2, np.inf), where=spans > 0)
    if not np.isfinite(scale).any():
        scale = np.ones(2)
    scale = np.minimum(scale, MOST_STRETCHED * scale.min())
    middle = (low + high) / 2
    return PlaneView(
        (float(middle[0]), float(middle[1])), (float(scale[0]), float(scale[1])), width, height
    )


def side_of(n: int) -> int:
    """Return the pixels along a side of each of n points."""
    return next((side for most, side in SIDES if n <= most), SMALLEST_SIDE)


def nearest_point(places: np.ndarray, x: float, y: float, within: float = CLICK_PX) -> int | None:
    """Return the index of the point nearest to a pixel, or None where all are farther away."""
    if not len(places):
        return None
    distances = (places[:, 0] - np.float32(x)) ** 2 + (places[:, 1] - np.float32(y)) ** 2
    nearest = int(distances.argmin())
    return nearest if distances[nearest] <= within**2 else None


def points_inside(corners: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the indices of the points inside a line that is drawn around them.

    Where the line crosses itself, a point is inside if it crosses the line an odd number of times
    on its way out.

    Parameters
    ----------
    corners
        (n, 2): corners of the line, which is closed.
    places
        (N, 2).
    """
    if len(corners) < 3:
        return np.empty(0, np.int64)
    area = shapely.make_valid(shapely.polygons(np.asarray(corners, float)))
    low, high = corners.min(0), corners.max(0)
    near = np.flatnonzero(((places >= low) & (places <= high)).all(1))
    shapely.prepare(area)
    return near[shapely.contains_xy(area, *places[near].T.astype(float))]


def draw_points(image: np.ndarray, places: np.ndarray, colours: np.ndarray, side: int) -> None:
    """Draw round points into a picture, later ones on top.

    Parameters
    ----------
    image
        uint8 (H, W, 4), drawn into.
    places
        (N, 2): x and y of the centres.
    colours
        uint8 (N, 4), or (4,) for all.
    side
        Width of a point in pixels.
    """
    height, width = image.shape[:2]
    corner = np.rint(places - np.float32((side - 1) / 2)).astype(np.int32)
    seen = ((corner > -side) & (corner < (width, height))).all(1)
    x, y = corner[seen].T
    # With a margin of a point's size no point has to be cut.
    wide = np.zeros((height + 2 * side, width + 2 * side), np.uint32)
    within = wide[side : side + height, side : side + width]
    within[:] = image.view(np.uint32)[..., 0]
    packed = np.ascontiguousarray(colours, np.uint8).view(np.uint32).ravel()
    ink = packed if len(packed) == 1 else np.repeat(packed[seen], len(_disc(side)))
    offsets = _disc(side) @ np.array([1, wide.shape[1]], np.int32)
    first = (y + side) * np.int32(wide.shape[1]) + x + side
    # Of several values for one cell numpy keeps the last.
    wide.reshape(-1)[(first[:, None] + offsets).ravel()] = ink
    image.view(np.uint32)[..., 0] = within


def _disc(side: int) -> np.ndarray:
    """Return the cells of a disc, int32 (K, 2), from the corner of its square."""
    y, x = np.indices((side, side))
    middle = (side - 1) / 2
    # Two and three pixels are squares: fewer would not be round either.
    round_enough = side < 4
    within = (x - middle) ** 2 + (y - middle) ** 2 <= (side / 2) ** 2
    return np.argwhere(within | round_enough)[:, ::-1].astype(np.int32)
