"""Connects the Classify tab with the job that classifies and the layers that show it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_mil.bags import TileGrid, TissueMask
from napari_mil.events import (
    Advanced,
    CancellationToken,
    Event,
    Fallback,
    OnEvent,
    Partial,
    Started,
)
from napari_mil.gui.controllers.slides import tissue_layer_name
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.overlays import (
    OverlaySpec,
    hover_text,
    lattice,
    overlay_arguments,
    overlay_specs,
    shown_values,
    tissue_arguments,
)
from napari_mil.gui.state import Answer, ClassifyRequest, OpenSlide, WindowState
from napari_mil.gui.views.classify_tab import ClassifyTab
from napari_mil.inference.card import TILES, ClassifierCard, list_classifiers
from napari_mil.settings import Settings
from napari_mil.slides import Slide

CLASSIFY_JOB = "classify"
DETECT, FROM_LAYER, WHOLE = "detect", "layer", "whole"
BY_SCALE = "scale"


class ClassificationController:
    """One run at a time; its answer goes to the card and to overlay layers."""

    def __init__(
        self,
        state: WindowState,
        view: ClassifyTab,
        book: LayerBook,
        jobs: JobRunner,
        notify: Callable[[str], None],
        show_notes: Callable[[str, str], None],
        settings: Settings,
        last_used: LastUsed,
    ) -> None:
        self._state, self._view, self._book, self._jobs, self._notify, self._settings = (
            state,
            view,
            book,
            jobs,
            notify,
            settings,
        )
        self._last_used = last_used
        self._cards = list_classifiers(self._settings)
        self._run: _Overlays | None = None
        self._tiles_of: Slide | None = None
        view.classify_requested.connect(self.classify)
        view.cancel_requested.connect(self.cancel)
        view.slide_chosen.connect(state.choose)
        view.about_requested.connect(
            lambda: show_notes(self._view.classifier, self._cards[self._view.classifier].notes)
        )
        view.classifier_box.currentIndexChanged.connect(lambda _: self._offer_tiles())
        state.slides_changed.connect(self._offer_slides)
        state.classifiers_changed.connect(self._offer_classifiers)
        state.slides_changed.connect(self._stop_without_slide)
        state.current_changed.connect(self._offer_choices)
        book.viewer.layers.events.inserted.connect(self._offer_tissue)
        book.viewer.layers.events.removed.connect(self._offer_tissue)
        self._offer_classifiers()
        view.set_devices(device_choices(), "auto")
        self._offer_slides()
        self._offer_choices()

    def use(self, classifier: str) -> None:
        """Choose a classifier by name."""
        self._offer_classifiers(classifier)

    def _offer_classifiers(self, chosen: str | None = None) -> None:
        """Offer the shipped classifiers and the user's own; the chosen one stays."""
        self._cards = list_classifiers(self._settings)
        known = (
            name
            for name in (chosen, self._view.classifier, self._last_used.classifier, *self._cards)
            if name in self._cards
        )
        current = next(known, None)
        self._view.set_classifiers(
            [
                (card.name, "" if card.shipped else "mine", classifier_line(card))
                for card in self._cards.values()
            ],
            current,
        )
        self._offer_tiles()

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        self._book.viewer.layers.events.inserted.disconnect(self._offer_tissue)
        self._book.viewer.layers.events.removed.disconnect(self._offer_tissue)

    def classify(self) -> None:
        """Start a run with what the tab shows."""
        entry = self._state.current
        if entry is None:
            self._notify("No slide is open; drop one onto the canvas first.")
        if entry is None or self._view.classifier not in self._cards:
            return
        tiles = self._view.tiles
        request = ClassifyRequest(
            entry,
            self._cards[self._view.classifier],
            self._view.device,
            self._view.tissue,
            None if tiles == BY_SCALE else int(tiles),
        )
        self._last_used.classifier = request.card.name
        work = self._work(request)
        self._run = _Overlays(self._book, request)
        self._view.set_running(
            "Looking for tissue…" if request.tissue == DETECT else "Reading the first tiles…"
        )
        job = self._jobs.start(CLASSIFY_JOB, work)
        run = self._run
        job.event_happened.connect(lambda event: self._on_event(run, event))
        job.succeeded.connect(lambda prediction: self._on_succeeded(run, prediction))
        job.failed.connect(lambda sentence, details: self._on_failed(run, sentence, details))
        job.cancelled.connect(lambda: self._on_cancelled(run))

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._view.set_cancelling()
        self._jobs.cancel(CLASSIFY_JOB)

    def _work(self, request: ClassifyRequest) -> Callable[[OnEvent, CancellationToken], Any]:
        """Collect on the event loop what the thread needs, and return what it does."""
        slide = request.entry.slide
        drawn = self._drawn_tissue(request.entry) if request.tissue == FROM_LAYER else None
        focus = self._focus(request.entry)
        settings = self._settings

        def work(on_event: OnEvent, cancel: CancellationToken) -> Any:
            import torch  # loads in this thread, if the window's warm-up has not done it yet

            from napari_mil.inference.pipeline import classify, plan_tiles

            torch.set_num_threads(settings.encoder_threads)
            plan = plan_tiles(
                slide,
                request.card,
                "auto" if request.tissue == DETECT else drawn,
                level=request.level,
                cancel=cancel,
            )
            return classify(
                slide,
                request.card,
                device=request.device,
                grid=plan.grid,
                mask=plan.tissue,
                focus=focus,
                on_event=on_event,
                cancel=cancel,
                settings=settings,
            )

        return work

    def _drawn_tissue(self, entry: OpenSlide) -> TissueMask | None:
        layer = self._book.find(tissue_layer_name(entry))
        if layer is None:
            return None
        mask = np.asarray(layer.data) > 0
        width, height = entry.slide.dimensions
        return TissueMask(mask, (width / mask.shape[1], height / mask.shape[0]))

    def _focus(self, entry: OpenSlide) -> tuple[float, float]:
        """Return the (x, y) in level-0 pixels that the middle of the canvas shows."""
        _, y, x = self._book.viewer.scene.camera.center
        unit = entry.slide.mpp or 1.0
        return x / unit, y / unit

    def _on_event(self, run: _Overlays, event: Event) -> None:
        if run is not self._run:
            return  # a late answer of a run that was replaced
        if isinstance(event, Started):
            run.start(event)
            self._view.set_progress(0, event.total, f"0 of {event.total} tiles")
        elif isinstance(event, Advanced) and run.grid is not None:
            left = "" if event.eta is None else f" · {event.eta:.0f} s left"
            self._view.set_progress(
                event.done,
                len(run.grid),
                f"{event.done} of {len(run.grid)} tiles · {event.rate:.0f} tiles/s{left}",
            )
        elif isinstance(event, Partial):
            run.show(event.indices, dict(event.values))
        elif isinstance(event, Fallback):
            run.remarks.append(event.message)

    def _on_succeeded(self, run: _Overlays, prediction: Any) -> None:
        if run is not self._run:
            return
        if self._book.layer_of(run.request.entry.slide) is None:  # closed in the last moment
            run.drop()
            self._view.set_idle()
            return
        run.show(np.arange(prediction.n_instances), prediction.columns())
        run.finish()
        assert run.grid is not None
        self._state.set_answer(
            Answer(run.request.entry.slide, run.request.card, run.grid, prediction)
        )
        self._view.set_idle()
        card = run.request.card
        wins = set(prediction.labels)
        self._view.card.show_answer(
            ", ".join(prediction.labels) or "none of the classes",
            [
                (name, float(p), name in wins)
                for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
            ],
            answer_line(card, prediction),
            run.remarks,
        )
        self._view.card.show()

    def _on_failed(self, run: _Overlays, sentence: str, details: str) -> None:
        if run is not self._run:
            return
        run.drop()
        self._view.set_idle()
        self._view.set_message(sentence + (f"\n\n{details}" if details else ""))
        self._notify(sentence)
        self._show_card_again()

    def _show_card_again(self) -> None:
        """Bring back the answer that stood before, if it is about the slide that is shown."""
        current, answer = self._state.current, self._state.answer
        if answer is not None and current is not None and answer.slide is current.slide:
            self._view.card.show()

    def _on_cancelled(self, run: _Overlays) -> None:
        if run is not self._run:
            return
        run.drop()
        self._view.set_idle()
        self._view.set_message("Cancelled.")
        self._show_card_again()

    def _stop_without_slide(self) -> None:
        """Cancel the run whose slide is being closed."""
        if self._run is not None and all(
            entry.slide is not self._run.request.entry.slide for entry in self._state.slides
        ):
            self._jobs.cancel(CLASSIFY_JOB)

    def _offer_slides(self) -> None:
        current = self._state.current
        self._view.set_slides(
            [entry.layer_name for entry in self._state.slides],
            current.layer_name if current else None,
        )

    def _offer_choices(self) -> None:
        self._offer_slides()
        self._offer_tissue()
        self._offer_tiles()

    def _offer_tissue(self, _: Any = None) -> None:
        entry = self._state.current
        drawn = entry is not None and self._book.find(tissue_layer_name(entry)) is not None
        choices = [
            (DETECT, "Detect"),
            *([(FROM_LAYER, "As in the tissue layer")] if drawn else []),
            (WHOLE, "Whole image"),
        ]
        # Once there is a layer it counts, also on the next run: detecting again would throw away what was painted.
        offered_before = self._view.tissue_box.findData(FROM_LAYER) >= 0
        chosen = (
            FROM_LAYER
            if drawn and not offered_before and self._view.tissue != WHOLE
            else self._view.tissue
        )
        self._view.set_tissue_choices(choices, chosen)

    def _offer_tiles(self) -> None:
        card = self._cards.get(self._view.classifier)
        if card is None:
            return
        entry = self._state.current
        downsamples = (
            entry.slide.level_downsamples if entry is not None and card.instances == TILES else ()
        )
        choices = [
            (BY_SCALE, card.takes),
            *((str(k), f"{card.tile_px} px of level {k}") for k in range(len(downsamples))),
        ]
        same_slide = entry is not None and entry.slide is self._tiles_of
        self._tiles_of = entry.slide if entry is not None else None
        self._view.set_tile_choices(
            choices, self._view.tiles if same_slide else BY_SCALE
        )  # a level says nothing about another slide


class _Overlays:
    """The layers of one run; what the user deletes during the run stays deleted."""

    def __init__(self, book: LayerBook, request: ClassifyRequest) -> None:
        self._book, self.request = book, request
        self.grid: TileGrid | None = None
        self.remarks: list[str] = []
        self._layers: dict[str, Any] = {}
        self._before: dict[
            str,
            tuple[np.ndarray, tuple[float, ...], tuple[float, ...], Callable[..., dict[str, str]]],
        ] = {}
        self._raw: dict[str, np.ndarray] = {}

    def start(self, event: Started) -> None:
        """Lay out the grid; outline the tissue it lies on."""
        self.grid = event.grid
        entry = self.request.entry
        if (
            event.tissue is not None
            and self.request.tissue == DETECT
            and self._book.layer_of(entry.slide) is not None
        ):
            self._book.put_tissue(
                entry.slide,
                tissue_layer_name(entry),
                event.tissue.mask,
                tissue_arguments(entry.slide, event.tissue),
            )

    def show(self, indices: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        """Draw the values of some tiles; the first time this makes the layers."""
        if self.grid is None or self._book.layer_of(self.request.entry.slide) is None:
            return  # the slide was closed meanwhile
        for spec in overlay_specs(list(columns), self.request.card.classes):
            values = columns[spec.column]
            raw = np.full(len(self.grid), np.nan, np.float32)
            raw[indices] = values
            self._raw[spec.column] = raw
            image = lattice(self.grid, indices, shown_values(spec, values))
            layer = self._layers.get(spec.column)
            if layer is None:
                self._add(spec, image)
            elif layer in self._book.viewer.layers:
                self._book.update_overlay(layer, image)

    def finish(self) -> None:
        """Give the layers their thumbnails."""
        for layer in self._layers.values():
            if layer in self._book.viewer.layers:
                layer.refresh(thumbnail=True, highlight=False, extent=False)

    def drop(self) -> None:
        """Take back what this run drew: half an answer is none, and the whole one before it still holds."""
        layers = self._book.viewer.layers
        for column, layer in self._layers.items():
            if layer not in layers:
                continue
            if column in self._before:
                layer.data, layer.scale, layer.translate, layer.get_status = self._before[column]
            else:
                layers.remove(layer)

    def _add(self, spec: OverlaySpec, image: np.ndarray) -> None:
        assert self.grid is not None
        slide, grid = self.request.entry.slide, self.grid
        shown = self._book.layer_of(slide)
        name = f"{shown.name if shown is not None else slide.name} · {self.request.card.name} · {spec.title}"
        earlier = self._book.find(name)
        if earlier is not None:
            self._before[spec.column] = (
                np.array(earlier.data),
                tuple(earlier.scale),
                tuple(earlier.translate),
                earlier.get_status,
            )
        legend = f"{self.request.card.name} · {spec.title}" + (
            " (rank)" if spec.scale == "rank" else ""
        )
        layer = self._book.put_overlay(
            slide, name, image, legend, spec.visible, overlay_arguments(slide, grid)
        )
        self._layers[spec.column] = layer
        self._book.describe(
            layer, lambda world: hover_text(grid, slide, spec, self._raw[spec.column], world)
        )


def classifier_line(card: ClassifierCard) -> str:
    """One line about a classifier."""
    return f"{card.title}. {card.takes[:1].upper()}{card.takes[1:]}."


def answer_line(card: ClassifierCard, prediction: Any) -> str:
    """Calibration, tiles, seconds and how good the classifier is, in one line."""
    facts = [
        "calibrated" if card.calibrated else "not calibrated",
        "1 tile" if prediction.n_instances == 1 else f"{prediction.n_instances} tiles",
        f"{prediction.provenance['seconds']:.1f} s on {prediction.provenance['device']}",
    ]
    headline = card.evaluation.get("headline")
    return " · ".join([*facts, *([str(headline)] if headline else [])])


def device_choices() -> list[tuple[str, str]]:
    """Return what can be chosen before torch is loaded; what auto came to stands on the card."""
    return [
        ("auto", "Auto (GPU if there is one)"),
        ("cpu", f"CPU, {os.cpu_count()} cores"),
        ("cuda", "GPU"),
    ]
