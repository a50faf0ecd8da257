"""What the window is about: the shared selection and its signals (psygnal; no widget, no layer)."""

from __future__ import annotations

from dataclasses import dataclass

from psygnal import Signal

from napari_mil.inference.card import ClassifierCard
from napari_mil.slides import Slide


@dataclass(frozen=True)
class OpenSlide:
    """A slide that is open as a layer."""

    layer_name: str
    slide: Slide


class WindowState:
    """The slides that are open and the one that tabs speak of."""

    slides_changed = Signal()
    """Slides were opened, closed or renamed."""
    current_changed = Signal()
    """Another slide is chosen, or the chosen one got another scale."""

    def __init__(self) -> None:
        self._slides: tuple[OpenSlide, ...] = ()
        self._current: str | None = None

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
            self._current = next((entry.layer_name for entry in slides if entry.slide is before.slide), slides[-1].layer_name if slides else None)
        self.slides_changed.emit()
        if self.current != before:
            self.current_changed.emit()

    def choose(self, layer_name: str) -> None:
        """Choose an open slide by the name of its layer."""
        if layer_name != self._current and any(entry.layer_name == layer_name for entry in self._slides):
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
