"""Connects the Inspect tab with the answer that is there: clusters, masks, critical instances."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken, OnEvent
from napari_mil.gui.glyphs import MASK_GLYPHS, Glyph, cluster_glyph, draw_groups, glyph_arguments
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.overlays import overlay_arguments, tile_under
from napari_mil.gui.state import Answer, WindowState
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.settings import Settings

INSPECT_JOB = "inspect"
STRATEGIES = (("ham", "HAM: high"), ("l-ham", "L-HAM: high and low"), ("r-ham", "R-HAM: high and random"), ("lr-ham", "LR-HAM: all three"))
MINED = ("abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil")
"""Aggregators that rank instances; torch need not be loaded to know."""


class InspectionController:
    """One question at a time; what it comes to stays in the answer, so that the next question finds it."""

    def __init__(self, state: WindowState, view: InspectTab, book: LayerBook, jobs: JobRunner, settings: Settings) -> None:
        self._state, self._view, self._book, self._jobs, self._settings = state, view, book, jobs, settings
        view.clusters_requested.connect(self.show_clusters)
        view.masks_requested.connect(self.show_masks)
        view.cancel_requested.connect(lambda: jobs.cancel(INSPECT_JOB))
        state.answer_changed.connect(self._on_answer)
        self._about: Answer | None = None

    def show_clusters(self, n_clusters: int) -> None:
        """Cut the tree of the answer's bag; the first time it has to be grown."""
        answer = self._state.answer
        if answer is None:
            return
        if answer.prediction.tree is not None:
            self._draw_clusters(answer, n_clusters)
            return
        self._ask(answer, _tree, partial(self._with_tree, n_clusters), clusters=True)

    def show_masks(self, strategy: str) -> None:
        """Ask what a mining strategy would mask."""
        answer = self._state.answer
        if answer is not None:
            self._ask(answer, partial(_masks, strategy), partial(self._draw_masks, strategy), clusters=False)

    def _ask(self, answer: Answer, question: Callable[..., Any], show: Callable[[Answer], None], *, clusters: bool) -> None:
        threads = self._settings.encoder_threads

        def work(on_event: OnEvent, cancel: CancellationToken) -> Any:
            import torch

            from napari_mil.inference.classifier import load_classifier

            torch.set_num_threads(threads or 1)
            return question(answer.prediction, load_classifier(answer.card), cancel)

        self._view.set_working(clusters)
        job = self._jobs.start(INSPECT_JOB, work)
        job.succeeded.connect(lambda prediction: self._on_succeeded(answer, prediction, show))
        job.failed.connect(lambda sentence, _: self._view.set_message(sentence))
        job.ended.connect(self._view.set_idle)

    def _on_succeeded(self, answer: Answer, prediction: Any, show: Callable[[Answer], None]) -> None:
        if self._state.answer is answer:  # else the question is out of date
            show(self._state.extend_answer(prediction))

    def _on_answer(self) -> None:
        """Offer what can be asked of a new answer; mark its critical instances."""
        answer = self._state.answer
        if answer is None:
            self._view.set_available(None, "", [])
        elif self._about is None or answer.slide is not self._about.slide or answer.card is not self._about.card or answer.grid is not self._about.grid:
            mined = answer.card.aggregator["name"] in MINED
            reason = "" if mined else f"The aggregator of {answer.card.name} ({answer.card.aggregator['name']}) has nothing that ranks tiles for mining."
            subject = f"{self._shown_name(answer)} · {answer.card.name}: {answer.prediction.n_instances} tiles{_critical_text(answer)}"
            self._view.set_available(subject, reason, STRATEGIES)
            self._mark_critical(answer)
        self._about = answer

    def _with_tree(self, n_clusters: int, answer: Answer) -> None:
        self._draw_clusters(answer, n_clusters)

    def _draw_clusters(self, answer: Answer, n_clusters: int) -> None:
        labels = answer.prediction.tree.cut(n_clusters)
        counts = np.bincount(labels)
        # The largest first: a tree of single links has one large cluster and a few that stand apart.
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        labels, counts = rank[labels], np.sort(counts)[::-1]
        groups = [(cluster_glyph(k), np.flatnonzero(labels == k)) for k in range(len(counts))]
        self._put(
            answer, "clusters", f"{len(counts)} clusters", groups, lambda tile: f"cluster {labels[tile] + 1} of {len(counts)}: {counts[labels[tile]]} tiles"
        )
        self._view.cluster_legend.set_groups([(str(k + 1), cluster_glyph(k), int(count)) for k, count in enumerate(counts)], 4)

    def _draw_masks(self, strategy: str, answer: Answer) -> None:
        masks = answer.prediction.masks
        for kind in ("random", "low", "high"):
            if kind in masks:
                chosen = masks[kind]
                text = partial(_mask_text, kind, chosen)
                self._put(answer, f"masked: {kind}", f"masked by {strategy.upper()}", [(MASK_GLYPHS[kind], np.flatnonzero(chosen))], text)
            else:
                self._book.remove(self._layer_name(answer, f"masked: {kind}"))
        self._view.mask_legend.set_groups([(kind, MASK_GLYPHS[kind], int(masks[kind].sum())) for kind in MASK_GLYPHS if kind in masks], 3)

    def _put(self, answer: Answer, title: str, legend: str, groups: list[tuple[Glyph, np.ndarray]], text_of: Callable[[int], str]) -> None:
        slide, grid = answer.slide, answer.grid
        image = draw_groups(grid, groups)
        self._book.put_groups(slide, self._layer_name(answer, title), image, f"{answer.card.name} · {legend}", glyph_arguments(slide, grid))

        def text_at(world: tuple[float, ...]) -> str:
            tile = tile_under(grid, slide, world)
            return "" if tile is None or not (text := text_of(tile)) else f"{text} · tile {tile}"

        self._book.describe(self._book.find(self._layer_name(answer, title)), text_at)

    def _mark_critical(self, answer: Answer) -> None:
        critical = answer.prediction.critical
        if critical is None:
            return
        classes = answer.card.classes if len(critical) > 1 else answer.card.classes[-1:]
        centres = answer.grid.coords[critical] + (answer.grid.tile_size0 - 1) / 2
        unit = answer.slide.mpp or 1.0
        side = answer.grid.tile_size0 * unit
        arguments = {key: value for key, value in overlay_arguments(answer.slide, answer.grid).items() if key in ("units", "axis_labels")}
        self._book.put_marks(answer.slide, self._layer_name(answer, "critical"), centres[:, ::-1] * unit, list(classes), side, arguments)

    def _layer_name(self, answer: Answer, title: str) -> str:
        return f"{self._shown_name(answer)} · {answer.card.name} · {title}"

    def _shown_name(self, answer: Answer) -> str:
        shown = self._book.layer_of(answer.slide)
        return shown.name if shown is not None else answer.slide.name


def _tree(prediction: Any, classifier: Any, cancel: CancellationToken) -> Any:
    from napari_mil.inference.explanation import with_tree

    return with_tree(prediction, classifier, cancel.raise_if_cancelled)


def _masks(strategy: str, prediction: Any, classifier: Any, cancel: CancellationToken) -> Any:
    from napari_mil.inference.explanation import with_masks

    return with_masks(prediction, classifier, strategy)


def _critical_text(answer: Answer) -> str:
    """Name the tiles that the first stream of DSMIL rests on."""
    critical = answer.prediction.critical
    if critical is None:
        return ""
    classes = answer.card.classes if len(critical) > 1 else answer.card.classes[-1:]
    return "; critical tile " + ", ".join(f"{tile} ({name})" for tile, name in zip(critical.tolist(), classes, strict=True))


def _mask_text(kind: str, mask: np.ndarray, tile: int) -> str:
    return f"masked: {kind}" if mask[tile] else ""
