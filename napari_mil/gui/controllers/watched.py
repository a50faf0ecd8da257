"""The slide that is watched while a model learns: its overlay of every epoch, kept in a ring and drawn again at will."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_mil.bags import TileGrid
from napari_mil.events import Watched
from napari_mil.gui.glyphs import MASK_GLYPHS, draw_groups, glyph_arguments
from napari_mil.gui.layer_book import LEGEND_KEY, LayerBook
from napari_mil.gui.overlays import lattice, overlay_arguments
from napari_mil.gui.views.train_tab import TrainTab
from napari_mil.slides import Slide

RING_MB = 64
"""Memory for the epochs of one run: 1 000 epochs of 10 000 tiles."""
REDRAW_MS = 250
"""Epochs of small bags end faster than anybody looks."""
IN_TRAINING, MASKED = "in training", "masked"


class WatchedSlide:
    """The layers of one watched slide and the epochs they can show."""

    def __init__(self, view: TrainTab, book: LayerBook) -> None:
        self._view, self._book = view, book
        self._ring: deque[tuple[int, Watched]] = deque()
        self._slide: Slide | None = None
        self._grid: TileGrid | None = None
        self._run, self._part = "", ""
        self._classes: tuple[str, ...] = ()
        self._shown: int | None = None
        self._follows = True
        self._made: set[str] = set()
        self._path: Path | None = None
        self._legend_changed = self._lost = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._draw)

    @property
    def epochs(self) -> list[int]:
        """Epochs that can be shown."""
        return [epoch for epoch, _ in self._ring]

    @property
    def shown(self) -> int | None:
        """The epoch on the slide, counted from 1."""
        return self._shown

    def begin(
        self, slide: Slide | None, run: str, classes: tuple[str, ...], goes_on: bool = False
    ) -> None:
        """Forget the last run, and hide its layers; unless it is the one that goes on, on the same slide."""
        if (
            goes_on
            and self._ring
            and slide is not None
            and (slide.path, run) == (self._path, self._run)
        ):
            return
        self._timer.stop()
        self._ring.clear()
        if self._slide is not None and run != self._run:
            for title in (IN_TRAINING, MASKED):
                layer = self._book.find_made(self._slide, (self._run, title))
                if layer is not None:
                    layer.visible = False
        self._slide, self._grid, self._run, self._classes = slide, None, run, classes
        self._made, self._path = set(), None if slide is None else slide.path
        self._shown, self._follows = None, True
        self._view.set_epochs(0, 0, 0)
        self._view.set_watched(
            "" if slide is None else "Its overlay comes with the first epoch.", {}
        )

    def watch(self, grid: TileGrid | None, part: str) -> None:
        """Lay out the tiles."""
        self._grid, self._part = grid, part

    def add(self, epoch: int, watched: Watched) -> None:
        """Keep an epoch; show it, unless the user is looking at an earlier one."""
        if self._grid is None:
            return
        size = watched.values.nbytes + sum(mask.nbytes for mask in watched.masks.values())
        self._ring.append((epoch, watched))
        while len(self._ring) > max(2, int(RING_MB * 1e6 // max(1, size))):
            self._ring.popleft()
        first = self._ring[0][0]
        self._shown = epoch if self._follows or self._shown is None else max(first, self._shown)
        self._view.set_epochs(first, self._ring[-1][0], self._shown)
        if not self._timer.isActive():
            self._timer.start()

    def show(self, epoch: int) -> None:
        """Show an epoch that is still in the ring; the last one follows the training again."""
        if not self._ring:
            return
        self._made.clear()  # whoever asks for an epoch wants to see it
        self._shown = min(self.epochs, key=lambda known: abs(known - epoch))
        self._follows = self._shown == self._ring[-1][0]
        self._view.set_epochs(self._ring[0][0], self._ring[-1][0], self._shown)
        if not self._timer.isActive():
            self._timer.start(30)

    def look_again(self) -> None:
        """Draw on a slide that was closed and has been opened again."""
        if self._lost and self._ring and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Stop drawing."""
        self._timer.stop()

    def _draw(self) -> None:
        self._timer.setInterval(REDRAW_MS)
        watched = next((kept for epoch, kept in self._ring if epoch == self._shown), None)
        if watched is None or self._grid is None or self._slide is None:
            return
        layer = self._layer()
        self._lost = layer is None
        if layer is None:
            self._view.set_watched("The slide was closed; open it again to see the overlay.", {})
            return
        probabilities = watched.probabilities
        names = self._classes[1:] if len(probabilities) == 1 else self._classes
        said = ", ".join(
            f"{name} {float(p):.2f}" for name, p in zip(names, probabilities, strict=False)
        )
        counts = {kind: int(mask.sum()) for kind, mask in watched.masks.items()}
        masked = (
            f" · {int(np.any(list(watched.masks.values()), axis=0).sum())} of {len(self._grid)} tiles masked"
            if counts
            else ""
        )
        part = (
            f"a {self._part} bag"
            if self._part in ("training", "validation", "test")
            else self._part
        )
        self._view.set_watched(f"{part} · {said}{masked}", counts)
        new = self._put_overlay(layer.name, watched, bool(counts))
        if counts and new:
            self._timer.start()  # not two new layers in one turn of the event loop
        elif counts:
            self._put_masks(layer.name, watched)
        if self._legend_changed:
            self._legend_changed = False
            self._book.legend_changed.emit()

    def _layer(self) -> Any | None:
        """Return the layer of the slide, also of one that was closed and opened again."""
        assert self._slide is not None
        layer = self._book.layer_of(self._slide)
        if layer is None:
            again = next(
                (entry for entry in self._book.slides() if entry.slide.path == self._path), None
            )
            if again is not None:
                self._slide, self._made = again.slide, set()
                layer = self._book.layer_of(again.slide)
        return layer

    def _put_overlay(self, name: str, watched: Watched, behind_masks: bool) -> bool:
        """Draw the values; say whether that made a new layer. One that the user removed stays away until they ask for an epoch."""
        assert self._slide is not None
        assert self._grid is not None
        values = np.clip(watched.values, 0, 1).astype(np.float32)
        image = lattice(self._grid, np.arange(len(self._grid)), values)
        legend = f"epoch {self._shown} · {watched.what}" + (
            "" if watched.what == "score" else " (rank)"
        )
        made = (self._run, IN_TRAINING)
        layer = self._book.find_made(self._slide, made)
        new = layer is None
        if layer is None and IN_TRAINING in self._made:
            return False
        if layer is None:
            self._made.add(IN_TRAINING)
            layer = self._book.put_overlay(
                self._slide,
                f"{name} · {self._run} · {IN_TRAINING}",
                image,
                legend,
                visible=not behind_masks,
                arguments=overlay_arguments(self._slide, self._grid),
                made=made,
            )
        elif layer.data.shape == image.shape:
            self._book.update_overlay(layer, image)
        else:
            layer.data = image
        self._tell_legend(layer, legend)
        return new

    def _put_masks(self, name: str, watched: Watched) -> None:
        assert self._slide is not None
        assert self._grid is not None
        order = [
            kind for kind in ("low", "random", "high") if kind in watched.masks
        ]  # the few on top
        image = draw_groups(
            self._grid, [(MASK_GLYPHS[kind], np.flatnonzero(watched.masks[kind])) for kind in order]
        )
        legend = f"epoch {self._shown} · masked"
        arguments = glyph_arguments(self._slide, self._grid, image)
        made = (self._run, MASKED)
        layer = self._book.find_made(self._slide, made)
        if layer is None and MASKED in self._made:
            return
        if layer is not None and layer.data.shape == image.shape:
            self._book.update_overlay(layer, image)
        else:
            self._made.add(MASKED)
            layer = self._book.put_groups(
                self._slide, f"{name} · {self._run} · {MASKED}", made, image, legend, arguments
            )
        self._tell_legend(layer, legend)

    def _tell_legend(self, layer: Any, legend: str) -> None:
        if layer.metadata.get(LEGEND_KEY) != legend:
            layer.metadata[LEGEND_KEY] = legend
            self._legend_changed |= bool(layer.visible)
