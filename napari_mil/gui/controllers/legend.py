"""Keeps a title and one colour bar on the canvas for the overlay that is in front."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer

from napari_mil.gui.layer_book import LEGEND_KEY, LayerBook

FONT_SIZE = 12
AFTER_THE_LAYER_MS = 50
"""A layer and its legend each hold up the event loop for 0.1 s when they are new: not in one go."""


class LegendController:
    """Follows the layers of one viewer."""

    def __init__(self, book: LayerBook) -> None:
        self._book, self._viewer = book, book.viewer
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_THE_LAYER_MS)
        self._timer.timeout.connect(self.update)
        book.legend_changed.connect(self.update)
        events = self._viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self.update)
        events.reordered.connect(self.update)
        for layer in self._viewer.layers:
            layer.events.visible.connect(self.update)

    @property
    def pending(self) -> bool:
        """Whether a new layer's legend is still to be shown."""
        return self._timer.isActive()

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        self._timer.stop()
        self._book.legend_changed.disconnect(self.update)
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        for event in (events.removed, events.reordered):
            event.disconnect(self.update)
        for layer in self._viewer.layers:
            layer.events.visible.disconnect(self.update)

    def update(self, _: Any = None) -> None:
        """Show the legend of the topmost visible overlay, or none."""
        overlays = [layer for layer in self._viewer.layers if LEGEND_KEY in layer.metadata]
        front = next((layer for layer in reversed(overlays) if layer.visible), None)
        for layer in overlays:
            if layer.rgb:
                continue  # its colours are names, explained beside it
            bar = layer.colorbar
            if bar.visible != (layer is front):
                bar.visible = layer is front
                bar.box = True
        text = self._viewer.canvas.overlays.text
        text.visible = front is not None
        if front is not None:
            text.text, text.position, text.font_size, text.box = (
                front.metadata[LEGEND_KEY],
                "top_left",
                FONT_SIZE,
                True,
            )

    def _on_inserted(self, event: Any) -> None:
        event.value.events.visible.connect(self.update)
        self._timer.start()
