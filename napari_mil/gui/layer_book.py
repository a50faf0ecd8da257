"""The layers that are ours in a viewer: found by name, replaced in place, never brought back against the user's will."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_mil.gui.overlays import overlay_colormap
from napari_mil.gui.reader import SLIDE_KEY
from napari_mil.gui.state import OpenSlide
from napari_mil.slides import Slide

OURS_KEY = "napari_mil_layer"
"""Metadata key of layers that we made and may replace."""
LEGEND_KEY = "napari_mil_legend"
"""Metadata key of an overlay's title: classifier, what is shown, scale."""
OWNER_KEY = "napari_mil_owner"
"""Metadata key of the `Slide` a layer was made from."""
MADE_KEY = "napari_mil_made"
"""Metadata key of (classifier, title): what a layer was made as."""
STATUS_KEY = "napari_mil_status"
"""Metadata key of a layer's own `get_status` where ours stands before it."""
TISSUE_COLOUR = "#00695c"
MARK_COLOUR = "#d4006a"
"""Stands out on pink, violet and viridis."""


class LayerBook:
    """Finds, adds and updates layers through napari's public interface."""

    legend_changed = Signal()
    """A layer that is there means something else now."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    @property
    def viewer(self) -> Any:
        """The napari viewer."""
        return self._viewer

    def slides(self) -> tuple[OpenSlide, ...]:
        """Return the open slides in the order of their layers."""
        return tuple(
            OpenSlide(layer.name, layer.metadata[SLIDE_KEY])
            for layer in self._viewer.layers
            if SLIDE_KEY in layer.metadata
        )

    def layer_of(self, slide: Slide) -> Any | None:
        """Return the layer that shows a slide, whatever it is called now, or None."""
        return next(
            (layer for layer in self._viewer.layers if layer.metadata.get(SLIDE_KEY) is slide), None
        )

    def remove_made_from(self, slide: Slide) -> None:
        """Remove the layers we made from a slide, not the slide itself."""
        for layer in [
            layer for layer in self._viewer.layers if layer.metadata.get(OWNER_KEY) is slide
        ]:
            self._viewer.layers.remove(layer)

    def find(self, name: str) -> Any | None:
        """Return the layer of that name, or None."""
        return self._viewer.layers[name] if name in self._viewer.layers else None

    def put_overlay(
        self,
        slide: Slide,
        name: str,
        values: np.ndarray,
        legend: str,
        visible: bool,
        arguments: dict[str, Any],
        made: tuple[str, str] | None = None,
    ) -> Any:
        """Show values (rows, columns) in [0, 1] as a layer with a legend; one of that name keeps its visibility, opacity and colours."""
        layer = self.find(name)
        if layer is not None and layer.metadata.get(OURS_KEY) == "overlay":
            layer.data = values
            layer.scale, layer.translate = arguments["scale"], arguments["translate"]
            return layer
        return self._viewer.add_image(
            values,
            name=name,
            colormap=overlay_colormap(),
            contrast_limits=(0, 1),
            interpolation2d="nearest",
            blending="translucent",
            visible=visible,
            metadata={
                OURS_KEY: "overlay",
                LEGEND_KEY: legend,
                OWNER_KEY: slide,
                **({MADE_KEY: made} if made else {}),
            },
            **arguments,
        )

    def find_made(self, slide: Slide, made: tuple[str, str]) -> Any | None:
        """Return the layer made from a slide as (classifier, title), whatever it is called now, or None."""
        return next(
            (
                one
                for one in self._viewer.layers
                if one.metadata.get(OWNER_KEY) is slide and one.metadata.get(MADE_KEY) == made
            ),
            None,
        )

    def groups_of(self, slide: Slide, classifier: str) -> list[Any]:
        """Return the layers of groups made from a slide with a classifier."""
        ours = [
            layer
            for layer in self._viewer.layers
            if layer.metadata.get(OURS_KEY) == "groups" and layer.metadata.get(OWNER_KEY) is slide
        ]
        return [layer for layer in ours if layer.metadata[MADE_KEY][0] == classifier]

    def put_groups(
        self,
        slide: Slide,
        name: str,
        made: tuple[str, str],
        image: np.ndarray,
        legend: str,
        arguments: dict[str, Any],
    ) -> Any:
        """Show drawn groups, uint8 (rows, columns, 4), as a layer with a legend; one made before keeps its name, visibility and opacity."""
        layer = self.find_made(slide, made)
        if layer is not None:
            layer.data = image
            layer.scale, layer.translate = arguments["scale"], arguments["translate"]
            layer.metadata[LEGEND_KEY] = legend
            self.legend_changed.emit()
            return layer
        metadata = {OURS_KEY: "groups", LEGEND_KEY: legend, OWNER_KEY: slide, MADE_KEY: made}
        layer = self._viewer.add_image(
            image,
            name=name,
            rgb=True,
            interpolation2d="nearest",
            blending="translucent",
            metadata=metadata,
            **arguments,
        )
        layers = self._viewer.layers
        for marks in [other for other in layers if other.metadata.get(OURS_KEY) == "marks"]:
            layers.move(layers.index(marks), len(layers))  # stay in front
        return layer

    def put_marks(
        self,
        slide: Slide,
        name: str,
        made: tuple[str, str],
        positions: np.ndarray,
        side: float,
        arguments: dict[str, Any],
    ) -> Any:
        """Outline places (n, 2), world (y, x), as squares of a side in world units; a layer made before keeps what the user did to it."""
        layer = self.find_made(slide, made)
        if layer is not None:
            layer.data = positions
            layer.size = side
            return layer
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_points(
            positions,
            name=name,
            size=side,
            symbol="square",
            face_color="transparent",
            border_color=MARK_COLOUR,
            border_width=0.2,
            metadata={OURS_KEY: "marks", OWNER_KEY: slide, MADE_KEY: made},
            **arguments,
        )
        self._viewer.layers.selection.active = (
            active  # the status bar goes on to speak of the overlay
        )
        return layer

    def remove(self, layer: Any | None) -> None:
        """Remove a layer of ours, if it is still there."""
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def describe(self, layer: Any, text_at: Callable[[tuple[float, ...]], str]) -> None:
        """Let the status bar say `text_at(world position)` for a layer; asked by napari's status thread, so it only reads."""
        plain = layer.metadata.setdefault(STATUS_KEY, layer.get_status)

        def get_status(
            position: tuple[float, ...] | None = None, **arguments: Any
        ) -> dict[str, str]:
            status: dict[str, str] = plain(position, **arguments)
            if position is not None and arguments.get("world"):
                status["value"] = text_at(tuple(position))
                status["coordinates"] = ": ".join((status["coords"], status["value"]))
            return status

        layer.get_status = get_status

    def update_overlay(self, layer: Any, values: np.ndarray) -> None:
        """Write new values into a layer of the same shape: nothing but the pixels is redone."""
        layer.data[...] = values
        layer.refresh(thumbnail=False, highlight=False, extent=False)

    def put_tissue(
        self, slide: Slide, name: str, mask: np.ndarray, arguments: dict[str, Any]
    ) -> Any:
        """Show a tissue mask as an outline that can be painted on."""
        layer = self.find(name)
        if layer is not None and layer.metadata.get(OURS_KEY) == "tissue":
            layer.data = mask.astype(np.uint8)
            layer.scale, layer.translate = arguments["scale"], arguments["translate"]
            return layer
        colours = DirectLabelColormap(
            color_dict={None: "transparent", 0: "transparent", 1: TISSUE_COLOUR}
        )
        layer = Labels(
            mask.astype(np.uint8),
            name=name,
            colormap=colours,
            opacity=0.8,
            metadata={OURS_KEY: "tissue", OWNER_KEY: slide},
            **arguments,
        )
        layer.contour = 2  # before it is drawn for the first time
        return self._viewer.add_layer(layer)
