"""Connects the viewer's layers with the shared state, and the Slide tab with the slide it shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from napari_mil.bags import TissueMask, tissue_mask
from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken, OnEvent
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.overlays import tissue_arguments
from napari_mil.gui.reader import SLIDE_KEY, slide_layer
from napari_mil.gui.state import OpenSlide, WindowState
from napari_mil.gui.views.slide_tab import SlideTab
from napari_mil.slides import Slide

TISSUE_JOB = "tissue"
WHITE = "white"


def tissue_layer_name(entry: OpenSlide) -> str:
    """Return the name of the tissue layer of a slide."""
    return f"{entry.layer_name} tissue"


class SlidesController:
    """Knows which slides are open; closes them with their layers."""

    def __init__(
        self,
        state: WindowState,
        view: SlideTab,
        book: LayerBook,
        jobs: JobRunner,
        notify: Callable[[str], None],
    ) -> None:
        self._state, self._view, self._book, self._jobs, self._notify = (
            state,
            view,
            book,
            jobs,
            notify,
        )
        layers = book.viewer.layers
        layers.events.inserted.connect(self._on_layers)
        layers.events.removed.connect(self._on_removed)
        layers.events.reordered.connect(self._on_layers)
        view.mpp_entered.connect(self._on_mpp)
        view.tissue_requested.connect(self._on_tissue)
        state.current_changed.connect(self._show_current)
        self._on_layers()

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        events = self._book.viewer.layers.events
        for event in (events.inserted, events.reordered):
            event.disconnect(self._on_layers)
        events.removed.disconnect(self._on_removed)

    def _on_layers(self, _: Any = None) -> None:
        known = {entry.slide for entry in self._state.slides}
        self._state.set_slides(self._book.slides())
        for entry in self._state.slides:
            if entry.slide not in known and entry.slide.bounds != (0, 0, *entry.slide.dimensions):
                QTimer.singleShot(
                    0, partial(self._show_bounds, entry.slide)
                )  # after napari has fitted the whole canvas
        for layer in self._book.viewer.layers:
            if SLIDE_KEY in layer.metadata:
                layer.events.name.connect(self._on_layers)

    def _show_bounds(self, slide: Slide) -> None:
        """Fit the view to what a sparse slide stores."""
        x, y, width, height = slide.bounds
        unit = slide.mpp or 1.0
        viewer = self._book.viewer
        canvas_height, canvas_width = viewer.canvas.size
        viewer.scene.camera.center = (0, (y + height / 2) * unit, (x + width / 2) * unit)
        viewer.scene.camera.zoom = 0.95 * min(
            canvas_width / (width * unit), canvas_height / (height * unit)
        )

    def _on_removed(self, event: Any) -> None:
        slide = event.value.metadata.get(SLIDE_KEY)
        self._on_layers()
        if slide is not None and all(entry.slide is not slide for entry in self._state.slides):
            slide.close()

    def _show_current(self) -> None:
        entry = self._state.current
        self._dress_canvas(entry.slide if entry is not None else None)
        if entry is None:
            return
        self._view.set_facts(slide_rows(entry.slide))
        self._view.set_mpp(entry.slide.mpp, mpp_origin(entry.slide))
        layer = self._book.find(tissue_layer_name(entry))
        self._view.set_tissue(
            "" if layer is None else "Outlined; paint and erase in its layer.",
            busy=self._jobs.is_running(TISSUE_JOB),
        )

    def _dress_canvas(self, slide: Slide | None) -> None:
        """White behind brightfield, the theme's own behind all else; a scale bar where there is a scale."""
        canvas = self._book.viewer.canvas
        canvas.background_color_override = (
            WHITE if slide is not None and not slide.channels else None
        )
        bar = canvas.overlays.scale_bar
        bar.visible = slide is not None and slide.mpp is not None
        bar.box = True

    def _on_mpp(self, mpp: float) -> None:
        """Open the slide again with the user's scale, in the place of its layer."""
        entry = self._state.current
        layer = self._book.layer_of(entry.slide) if entry is not None else None
        if entry is None or layer is None:
            return
        viewer = self._book.viewer
        name, position = layer.name, viewer.layers.index(layer)
        try:
            data, arguments, _ = slide_layer(entry.slide.with_mpp(mpp))
        except NapariMilError as error:
            self._notify(str(error))
            return
        self._book.remove_made_from(entry.slide)  # at another scale
        viewer.layers.remove(layer)
        viewer.add_image(data, **{**arguments, "name": name})
        viewer.layers.move(len(viewer.layers) - 1, min(position, len(viewer.layers) - 1))
        viewer.reset_view()

    def _on_tissue(self) -> None:
        entry = self._state.current
        if entry is None:
            return

        def work(on_event: OnEvent, cancel: CancellationToken) -> TissueMask:
            return tissue_mask(entry.slide, cancel)

        self._view.set_tissue("Looking for tissue…", busy=True)
        job = self._jobs.start(TISSUE_JOB, work)
        job.succeeded.connect(partial(self._on_tissue_found, entry))
        job.failed.connect(lambda sentence, _: self._on_tissue_failed(sentence))

    def _on_tissue_found(self, entry: OpenSlide, mask: TissueMask) -> None:
        if self._book.layer_of(entry.slide) is None:
            return
        self._book.put_tissue(
            entry.slide, tissue_layer_name(entry), mask.mask, tissue_arguments(entry.slide, mask)
        )
        text = (
            f"{mask.fraction:.0%} of the slide, outlined; paint and erase in its layer."
            if mask.mask.any()
            else "No tissue found; paint it in the layer."
        )
        self._view.set_tissue(text)

    def _on_tissue_failed(self, sentence: str) -> None:
        self._view.set_tissue(sentence)
        self._notify(sentence)


def slide_rows(slide: Slide) -> list[tuple[str, str]]:
    """Return what the Slide tab says about a slide."""
    width, height = slide.dimensions
    tile = slide.tile_sizes[0]
    stored = f"{slide.level_count} stored" + (
        f" (1 : {', '.join(f'{d:.4g}' for d in slide.level_downsamples[1:])})"
        if slide.level_count > 1
        else ""
    )
    rows = [
        ("Name", slide.path.name),
        ("Size", f"{width} × {height} px"),
        ("Levels", stored),
        ("File tiles", f"{tile[0]} × {tile[1]} px" if tile else "none"),
        ("Format", slide.vendor),
    ]
    if slide.mpp:
        rows.insert(2, ("", f"{width * slide.mpp / 1000:.2f} × {height * slide.mpp / 1000:.2f} mm"))
    return rows


def mpp_origin(slide: Slide) -> str:
    """Say where the scale comes from, or what to do without one."""
    if slide.mpp_source == "user":
        return "Entered by you, for this slide."
    if slide.mpp is not None:
        return (
            "From the file."
            if slide.mpp_source == "openslide"
            else "From the file's TIFF resolution tag."
        )
    if slide.mpp_source.startswith("implausible"):
        return f"The file's figure is not plausible ({slide.mpp_source.removeprefix('implausible: ')} µm per pixel); enter the right one to classify at a scale."
    return "The file does not say; enter µm per pixel to classify at a scale."
