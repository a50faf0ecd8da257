"""The camera of a viewer, with a view of its own for each subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from psygnal import Signal

from napari_mil.gui.model.placement import Placement
from napari_mil.gui.model.subjects import Place
from napari_mil.gui.model.view import View

MARGIN = 0.95
"""Share of the canvas that a subject fills when it is fitted."""

WhereIs = Callable[[int], "tuple[Place, Placement] | None"]
"""From the key of a subject to its stored part, in level-0 pixels, and its place on the canvas."""


@dataclass(frozen=True, slots=True)
class _Left:
    """Camera of a subject as it was left."""

    center: tuple[float, ...]
    zoom: float
    unit: float
    """World units per level-0 pixel at that time."""


class SubjectCamera:
    """Moves the camera of one viewer.

    Parameters
    ----------
    viewer
        The napari viewer.
    """

    moved = Signal()
    """The camera moved, or the canvas got another size."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._camera = viewer.scene.camera
        self._where: WhereIs = lambda key: None
        self._left: dict[int, _Left] = {}
        self._subject: int | None = None
        self._unit = 1.0
        for event in self._events():
            event.connect(self._tell)

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        for event in self._events():
            event.disconnect(self._tell)

    def _events(self) -> tuple[Any, ...]:
        events = self._camera.events
        return events.center, events.zoom, self._viewer.canvas.events.size

    def _tell(self, event: Any) -> None:
        self.moved.emit()

    @property
    def subject(self) -> int | None:
        """Key of the subject that the camera looks at."""
        return self._subject

    def set_place(self, where: WhereIs) -> None:
        """Say how to find the stored part and the placement of a subject by its key."""
        self._where = where

    def show(self, key: int | None) -> bool:
        """Look at a subject as when it was left, or fit it; say whether it is another one.

        A subject that got another scale meanwhile keeps the same part in view.
        """
        unit = self._unit_of(key)
        if key == self._subject:
            if unit != self._unit:
                self._take(self._now(), unit)
            return False
        if self._subject is not None:
            self._left[self._subject] = self._now()
        self._subject = key
        self._unit = unit
        if key is None:
            return True
        left = self._left.get(key)
        if left is None:
            self.fit()
        else:
            self._take(left, unit)
        self.moved.emit()
        return True

    def fit(self) -> None:
        """Fit what the subject stores."""
        found = None if self._subject is None else self._where(self._subject)
        if found is None:
            return
        place, placement = found
        height, width = self._viewer.canvas.size
        unit_y, unit_x = placement.unit_yx
        self._camera.center = (0, *placement.world(np.array(place.centre)))
        across = width / (place.width * unit_x)
        down = height / (place.height * unit_y)
        self._camera.zoom = MARGIN * min(across, down)

    def centre(self) -> tuple[float, float]:
        """Return the position (y, x) in the middle of the canvas."""
        _, y, x = self._camera.center
        return float(y), float(x)

    def look_at(self, world: tuple[float, float]) -> None:
        """Move a position (y, x) to the middle of the canvas, if it is outside."""
        height, width = self._viewer.canvas.size
        y, x = self.centre()
        half_height = height / self._camera.zoom / 2
        half_width = width / self._camera.zoom / 2
        if abs(world[0] - y) > half_height or abs(world[1] - x) > half_width:
            self._camera.center = (0, *world)

    @property
    def view(self) -> View | None:
        """Part of the subject that is in view, or None with nothing open."""
        found = None if self._subject is None else self._where(self._subject)
        if found is None:
            return None
        _, placement = found
        height, width = self._viewer.canvas.size
        unit_y, unit_x = placement.unit_yx
        zoom = float(self._camera.zoom)
        x, y = placement.level0(np.array(self.centre()))
        across = width / zoom / unit_x
        down = height / zoom / unit_y
        return View(Place(x - across / 2, y - down / 2, across, down), zoom * unit_x)

    def move_to(self, point: tuple[float, float]) -> None:
        """Move a point (x, y) of the subject, in level-0 pixels, to the middle of the canvas."""
        found = None if self._subject is None else self._where(self._subject)
        if found is not None:
            self._camera.center = (0, *found[1].world(np.array(point)))

    def zoom_to(self, zoom: float) -> None:
        """Show so many pixels of the canvas per level-0 pixel, around the same centre."""
        self._camera.zoom = zoom / self._unit

    def _now(self) -> _Left:
        return _Left(tuple(self._camera.center), float(self._camera.zoom), self._unit)

    def _take(self, left: _Left, unit: float) -> None:
        """Move the camera to where it was, in a world of so many units per level-0 pixel."""
        grown = unit / left.unit
        self._camera.center = tuple(value * grown for value in left.center)
        self._camera.zoom = left.zoom / grown
        self._unit = unit

    def _unit_of(self, key: int | None) -> float:
        found = None if key is None else self._where(key)
        return 1.0 if found is None else found[1].unit
