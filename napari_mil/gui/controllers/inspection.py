"""Connects the Inspect tab with the answer that is there: clusters, masks, critical instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_mil.events import CancellationToken, OnEvent
from napari_mil.gui.glyphs import MASK_GLYPHS, Glyph, cluster_glyph, draw_groups, glyph_arguments
from napari_mil.gui.jobs import Job, JobRunner
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.mining import MINED, STRATEGY_TEXTS
from napari_mil.gui.overlays import overlay_arguments, tile_under
from napari_mil.gui.state import Answer, WindowState
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.settings import Settings

INSPECT_JOB = "inspect"
CLUSTERS, MASKED, CRITICAL = "clusters", "masked: ", "critical"
BETWEEN_LAYERS_MS = 20
"""A new layer holds up the event loop for 0.1 s and more: not several in one go."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A layer to be, made beside the window."""

    title: str
    legend: str
    image: np.ndarray
    text_of: Callable[[int], str]
    """What the status bar says of a tile; nothing of one that is not in it."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a question came to."""

    learned: dict[str, Any]
    """Fields of the prediction."""
    drawings: list[Drawing]
    groups: list[tuple[str, Glyph, int]]
    """For the legend beside the canvas."""


class InspectionController:
    """One question at a time; what it comes to stays in the answer, so that the next question finds it."""

    def __init__(
        self,
        state: WindowState,
        view: InspectTab,
        book: LayerBook,
        jobs: JobRunner,
        settings: Settings,
    ) -> None:
        self._state, self._view, self._book, self._jobs, self._settings = (
            state,
            view,
            book,
            jobs,
            settings,
        )
        self._job: Job | None = None
        self._to_draw: list[tuple[Answer, Drawing]] = []
        self._cut: int | None = None
        view.set_strategies(STRATEGY_TEXTS)
        view.clusters_requested.connect(self.show_clusters)
        view.clusters_changed.connect(self._on_number)
        view.masks_requested.connect(self.show_masks)
        view.cancel_requested.connect(lambda: jobs.cancel(INSPECT_JOB))
        state.answer_changed.connect(self._on_answer)
        state.slides_changed.connect(self._name_subject)
        book.viewer.layers.events.removed.connect(self._on_removed)

    @property
    def busy(self) -> bool:
        """Whether layers are still to be drawn."""
        return bool(self._to_draw)

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        self._book.viewer.layers.events.removed.disconnect(self._on_removed)

    def show_clusters(self) -> None:
        """Cut the tree of the answer's bag; the first time it has to be grown."""
        if (answer := self._state.answer) is not None:
            self._ask(answer, partial(_clusters, self._view.n_clusters), clusters=True)

    def show_masks(self, strategy: str) -> None:
        """Ask what a mining strategy would mask."""
        if (answer := self._state.answer) is not None:
            self._ask(answer, partial(_masks, strategy), clusters=False)

    def _on_number(self) -> None:
        """Cut again, where clusters are shown."""
        answer = self._state.answer
        if (
            answer is not None
            and self._find(answer, CLUSTERS) is not None
            and not self._jobs.is_running(INSPECT_JOB)
        ):
            self.show_clusters()

    def _ask(self, answer: Answer, question: Callable[..., Found], *, clusters: bool) -> None:
        threads = self._settings.encoder_threads

        def work(on_event: OnEvent, cancel: CancellationToken) -> Found:
            import torch

            from napari_mil.inference.classifier import load_classifier

            torch.set_num_threads(threads or 1)
            found = question(answer, partial(load_classifier, answer.card), cancel)
            cancel.raise_if_cancelled()
            return found

        self._view.set_working(clusters)
        job = self._job = self._jobs.start(INSPECT_JOB, work)
        asked = self._view.n_clusters
        job.succeeded.connect(
            lambda found: self._on_succeeded(job, answer, found, asked if clusters else None)
        )
        job.failed.connect(lambda sentence, details: self._on_failed(job, sentence, details))
        job.ended.connect(lambda: self._on_ended(job))

    def _on_succeeded(self, job: Job, answer: Answer, found: Found, asked: int | None) -> None:
        if job is not self._job or self._state.learn(answer, **found.learned) is None:
            return  # another question came, or another answer
        if asked is None:
            for kind in MASK_GLYPHS:
                if all(drawing.title != MASKED + kind for drawing in found.drawings):
                    self._book.remove(self._find(answer, MASKED + kind))
            self._view.mask_legend.set_groups(found.groups)
        else:
            self._cut = asked
            self._view.cluster_legend.set_groups(found.groups)
        idle = not self._to_draw
        self._to_draw += [(answer, drawing) for drawing in found.drawings]
        if idle:
            self._draw_next()
        if self._cut not in (None, self._view.n_clusters):
            job.ended.connect(self._on_number)  # the number changed while this ran

    def _on_failed(self, job: Job, sentence: str, details: str) -> None:
        if job is self._job:
            self._view.set_message(sentence + (f"\n\n{details}" if details else ""))

    def _on_ended(self, job: Job) -> None:
        if job is self._job:
            self._job = None
            self._view.set_idle()

    def _draw_next(self) -> None:
        if not self._to_draw:
            return
        answer, drawing = self._to_draw.pop(0)
        current = self._state.answer
        if current is not None and current.grid is answer.grid:
            self._draw(answer, drawing)
        if self._to_draw:
            QTimer.singleShot(BETWEEN_LAYERS_MS, self._draw_next)

    def _draw(self, answer: Answer, drawing: Drawing) -> None:
        slide, grid = answer.slide, answer.grid
        made = (answer.card.name, drawing.title)
        legend, arguments = (
            f"{answer.card.name} · {drawing.legend}",
            glyph_arguments(slide, grid, drawing.image),
        )
        layer = self._book.put_groups(
            slide, self._layer_name(answer, drawing.title), made, drawing.image, legend, arguments
        )
        self._describe(layer, answer, drawing.text_of)

    def _describe(self, layer: Any, answer: Answer, text_of: Callable[[int], str]) -> None:
        slide, grid = answer.slide, answer.grid

        def text_at(world: tuple[float, ...]) -> str:
            tile = tile_under(grid, slide, world)
            return "" if tile is None or not (text := text_of(tile)) else f"{text} · tile {tile}"

        self._book.describe(layer, text_at)

    def _on_answer(self) -> None:
        """Offer what can be asked of another answer; what was drawn for the one before is out of date."""
        self._jobs.cancel(INSPECT_JOB)
        self._job, self._to_draw, self._cut = None, [], None
        self._view.set_idle()
        answer = self._state.answer
        if answer is None:
            self._view.set_available(0, "")
            self._name_subject()
            return
        for layer in self._book.groups_of(answer.slide, answer.card.name):
            self._book.remove(layer)
        name, aggregator = answer.card.name, answer.card.aggregator["name"]
        mined = aggregator in MINED
        self._view.set_available(
            answer.prediction.n_instances,
            ""
            if mined
            else f"Masked mining is made for {', '.join(MINED)}; {name} uses {aggregator}.",
        )
        self._name_subject()
        self._mark_critical(answer)

    def _name_subject(self) -> None:
        answer = self._state.answer
        if answer is None:
            self._view.set_subject(None, "")
            return
        facts = [
            answer.card.name,
            _tiles(answer.prediction.n_instances),
            *(f"critical tile {tile} ({name})" for tile, name in _critical(answer)),
        ]
        self._view.set_subject(self._shown_name(answer), " · ".join(facts))

    def _on_removed(self, _: Any) -> None:
        """Take the legend away with its layer."""
        answer = self._state.answer
        if answer is None or self._to_draw:
            return
        if self._find(answer, CLUSTERS) is None:
            self._view.cluster_legend.set_groups([])
        if all(self._find(answer, MASKED + kind) is None for kind in MASK_GLYPHS):
            self._view.mask_legend.set_groups([])

    def _mark_critical(self, answer: Answer) -> None:
        marked = _critical(answer)
        if not marked:
            return
        tiles = [tile for tile, _ in marked]
        unit = answer.slide.mpp or 1.0
        centres = (answer.grid.coords[tiles] + (answer.grid.tile_size0 - 1) / 2)[:, ::-1] * unit
        arguments = {
            key: value
            for key, value in overlay_arguments(answer.slide, answer.grid).items()
            if key in ("units", "axis_labels")
        }
        made = (answer.card.name, CRITICAL)
        layer = self._book.put_marks(
            answer.slide,
            self._layer_name(answer, CRITICAL),
            made,
            centres,
            answer.grid.tile_size0 * unit,
            arguments,
        )
        by_tile = {
            tile: ", ".join(name for other, name in marked if other == tile) for tile in tiles
        }
        self._describe(
            layer, answer, lambda tile: f"critical: {by_tile[tile]}" if tile in by_tile else ""
        )

    def _find(self, answer: Answer, title: str) -> Any | None:
        return self._book.find_made(answer.slide, (answer.card.name, title))

    def _layer_name(self, answer: Answer, title: str) -> str:
        return f"{self._shown_name(answer)} · {answer.card.name} · {title}"

    def _shown_name(self, answer: Answer) -> str:
        shown = self._book.layer_of(answer.slide)
        return shown.name if shown is not None else answer.slide.name


def _critical(answer: Answer) -> list[tuple[int, str]]:
    """Return (tile, class) of the instances that the first stream of DSMIL rests on."""
    critical = answer.prediction.critical
    if critical is None:
        return []
    classes = answer.card.classes if len(critical) > 1 else answer.card.classes[-1:]
    return list(zip(critical.tolist(), classes, strict=True))


def _clusters(
    n_clusters: int, answer: Answer, load: Callable[[], Any], cancel: CancellationToken
) -> Found:
    """Grow the tree if need be, cut and draw it (in the job's thread)."""
    from napari_mil.inference.explanation import with_tree

    tree = answer.prediction.tree
    if tree is None:
        tree = with_tree(answer.prediction, load(), cancel.raise_if_cancelled).tree
        assert tree is not None
    labels = tree.cut(n_clusters)
    counts = np.bincount(labels)
    # The largest first: a tree of single links has one large cluster and a few that stand apart.
    rank = np.argsort(np.argsort(-counts, kind="stable"))
    labels, counts = rank[labels], np.sort(counts)[::-1]
    glyphs = [cluster_glyph(k) for k in range(len(counts))]
    image = draw_groups(
        answer.grid, [(glyph, np.flatnonzero(labels == k)) for k, glyph in enumerate(glyphs)]
    )

    def text_of(tile: int) -> str:
        return f"cluster {labels[tile] + 1} of {len(counts)}: {_tiles(counts[labels[tile]])}"

    legend = "1 cluster" if len(counts) == 1 else f"{len(counts)} clusters"
    groups = [
        (str(k + 1), glyph, int(count))
        for k, (glyph, count) in enumerate(zip(glyphs, counts, strict=True))
    ]
    return Found({"tree": tree}, [Drawing(CLUSTERS, legend, image, text_of)], groups)


def _masks(
    strategy: str, answer: Answer, load: Callable[[], Any], cancel: CancellationToken
) -> Found:
    """Ask the miner, and draw its masks (in the job's thread)."""
    from napari_mil.inference.explanation import with_masks

    masks = with_masks(answer.prediction, load(), strategy).masks
    legend = f"masked by {strategy.upper()}"
    drawings = [
        Drawing(
            MASKED + kind,
            legend,
            draw_groups(answer.grid, [(MASK_GLYPHS[kind], np.flatnonzero(masks[kind]))]),
            partial(_mask_text, kind, masks[kind]),
        )
        for kind in ("random", "low", "high")
        if kind in masks
    ]
    return Found(
        {"masks": masks},
        drawings,
        [
            (kind, MASK_GLYPHS[kind], int(masks[kind].sum()))
            for kind in MASK_GLYPHS
            if kind in masks
        ],
    )


def _mask_text(kind: str, mask: np.ndarray, tile: int) -> str:
    return f"masked: {kind}" if mask[tile] else ""


def _tiles(count: int) -> str:
    return "1 tile" if count == 1 else f"{count} tiles"
