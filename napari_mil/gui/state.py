"""What the window is about: the shared selection and its signals (psygnal; no widget, no layer)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from napari_mil.bags import TileGrid
from napari_mil.inference.card import ClassifierCard
from napari_mil.slides import Slide


@dataclass(frozen=True)
class OpenSlide:
    """A slide that is open as a layer."""

    layer_name: str
    slide: Slide


@dataclass(frozen=True, eq=False)
class Answer:
    """What a classifier said about a slide that is open."""

    slide: Slide
    card: ClassifierCard
    grid: TileGrid
    prediction: Any
    """An `inference.prediction.Prediction`."""


class WindowState:
    """The slides that are open and the one that tabs speak of."""

    slides_changed = Signal()
    """Slides were opened, closed or renamed."""
    current_changed = Signal()
    """Another slide is chosen, or the chosen one got another scale."""
    answer_changed = Signal()
    """There is another answer, or none any more."""

    classifiers_changed = Signal()
    """The user has another classifier."""

    def __init__(self) -> None:
        self._slides: tuple[OpenSlide, ...] = ()
        self._current: str | None = None
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer | None:
        """The last answer, as long as its slide is open."""
        return self._answer

    def set_answer(self, answer: Answer | None) -> None:
        """Tell the answer that tabs speak of."""
        if answer is not self._answer:
            self._answer = answer
            self.answer_changed.emit()

    def learn(self, answer: Answer, **fields: Any) -> Answer | None:
        """Keep what was asked of an answer afterwards, if it still is the answer; return it, or None."""
        if self._answer is None or self._answer.grid is not answer.grid:
            return None
        self._answer = replace(self._answer, prediction=replace(self._answer.prediction, **fields))
        return self._answer

    @property
    def slides(self) -> tuple[OpenSlide, ...]:
        """Open slides in the order of their layers."""
        return self._slides

    @property
    def current(self) -> OpenSlide | None:
        """The chosen slide; None while none is open."""
        return next((entry for entry in self._slides if entry.layer_name == self._current), None)

    def set_slides(self, slides: tuple[OpenSlide, ...]) -> None:
        """Tell which slides are open; the newest becomes the chosen one."""
        if slides == self._slides:
            return
        known = {entry.slide for entry in self._slides}
        before = self.current
        self._slides = slides
        new = [entry for entry in slides if entry.slide not in known]
        if new:
            self._current = new[-1].layer_name
        elif before is not None:
            self._current = next(
                (entry.layer_name for entry in slides if entry.slide is before.slide),
                slides[-1].layer_name if slides else None,
            )
        self.slides_changed.emit()
        if self.current != before:
            self.current_changed.emit()
        if self._answer is not None and all(
            entry.slide is not self._answer.slide for entry in slides
        ):
            self.set_answer(None)

    def choose(self, layer_name: str) -> None:
        """Choose an open slide by the name of its layer."""
        if layer_name != self._current and any(
            entry.layer_name == layer_name for entry in self._slides
        ):
            self._current = layer_name
            self.current_changed.emit()


@dataclass(frozen=True)
class ClassifyRequest:
    """What the Classify tab asks for when its button is pressed."""

    entry: OpenSlide
    card: ClassifierCard
    device: str
    tissue: str
    """``detect``, ``layer`` or ``whole``."""
    level: int | None
    """Tiles from this level whatever its scale; None uses the scale."""
