"""Keeps shapes that the user drew as regions of a class, beside their slide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_mil.annotations import DRAWN, Annotations, read_annotations, write_geojson
from napari_mil.errors import NapariMilError
from napari_mil.gui.drawn_regions import regions_of_shapes
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.state import WindowState
from napari_mil.gui.views.train_tab import TrainTab


class RegionsController:
    """Speaks of the chosen slide and the chosen shapes layer."""

    def __init__(
        self, state: WindowState, view: TrainTab, book: LayerBook, notify: Callable[[str], None]
    ) -> None:
        self._state, self._view, self._book, self._notify = state, view, book, notify
        view.regions_requested.connect(self.keep)
        state.current_changed.connect(self._name_slide)
        self._name_slide()

    def keep(self, name: str) -> None:
        """Write the shapes of the chosen layer as regions of a class, beside the chosen slide; what that layer held before is replaced."""
        entry, layer = self._state.current, self._shapes()
        if entry is None or layer is None:
            self._notify(
                "Choose the shapes layer to keep in the layer list, over an open slide; add one by the button above the list."
            )
            return
        target = entry.slide.path.with_name(f"{entry.slide.path.stem}{DRAWN}")
        left, top = (
            float(entry.slide.properties.get(f"openslide.bounds-{axis}", 0)) for axis in "xy"
        )
        try:
            earlier = read_annotations(target).regions if target.is_file() else ()
            drawn = regions_of_shapes(layer, entry.slide, name)
            if not drawn and all(region.drawn_in != layer.name for region in earlier):
                self._notify(
                    f"No shape in {layer.name} has an area (points and lines have none); draw rectangles, ellipses or polygons."
                )
                return
            others = [region for region in earlier if region.drawn_in != layer.name]
            write_geojson([*others, *Annotations(tuple(drawn)).moved(-left, -top).regions], target)
        except NapariMilError as error:
            self._notify(str(error))
            return
        self._view.set_message(
            f"{len(drawn)} regions of the layer {layer.name} kept as {name} in {target.name}. Choose the folder again to train with them.",
            caution=False,
        )

    def _shapes(self) -> Any | None:
        """Return the shapes layer that is chosen, or the only one."""
        active = self._book.viewer.layers.selection.active
        layers = [layer for layer in self._book.viewer.layers if type(layer).__name__ == "Shapes"]
        return active if active in layers else layers[0] if len(layers) == 1 else None

    def _name_slide(self) -> None:
        entry = self._state.current
        where = f"over {entry.layer_name}" if entry is not None else "over an open slide"
        self._view.regions_line.setText(
            f"Shapes of the chosen layer, drawn {where}, become regions of a class beside the slide: they teach or score the tiles."
        )
