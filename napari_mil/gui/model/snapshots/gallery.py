"""What the gallery shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_mil.gui.model.answers import order_by
from napari_mil.gui.model.display import default_column
from napari_mil.gui.model.gallery import DEFAULT_SHOWN, Which
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices

NOTHING_YET = "Classify something first: its instances are shown here."
NOTHING_SELECTED = "Select an instance first."
NO_FEATURES = "Classify again: the features of this answer are gone."
NO_PIXELS = "There are no pictures: open the slide of these features."
WHICH_TEXTS = {
    Which.HIGHEST: "highest",
    Which.LOWEST: "lowest",
    Which.NEAREST: "most alike",
    Which.SELECTED: "selected",
}
_remember = Memo(8)


@dataclass(frozen=True)
class GalleryTile:
    """One picture of the gallery."""

    instance: int
    words: str
    """Rank and value, below the picture."""
    name: str
    """Name of the instance, as in the Inspect tab."""


@dataclass(frozen=True)
class GallerySnapshot:
    """What the gallery shows."""

    subject: int | None = None
    """Key of the subject whose instances are shown."""
    title: str = ""
    """What the pictures are, in words."""
    reason: str = NOTHING_YET
    """Why there are no pictures; empty where there are some."""
    which: Choices = field(default_factory=Choices)
    n: int = DEFAULT_SHOWN
    tiles: tuple[GalleryTile, ...] = ()
    selected: tuple[int, ...] = ()
    """Instances that are selected, whether the gallery shows them or not."""


def gallery_snapshot(state: SessionState) -> GallerySnapshot:
    """Return what the gallery shows."""
    subject = state.current_subject
    values = state.values
    n = state.gallery.n
    which = Choices(
        tuple(Choice(each, WHICH_TEXTS[each]) for each in Which), str(state.gallery.which)
    )
    if subject is None or state.layout is None or values is None:
        return GallerySnapshot(which=which, n=n)
    if subject.images is None and subject.slide is None:
        return GallerySnapshot(subject.key, reason=NO_PIXELS, which=which, n=n)
    selection = state.selection
    selected: tuple[int, ...] = ()
    if selection is not None and selection.subject == subject.key:
        selected = selection.instances
    instances, reason = shown_instances(state, selected)
    ranks = _remember(_ranks, values)
    names = None if subject.images is None else subject.images.names
    nearest = dict(_similarities(state))
    tiles = tuple(
        GalleryTile(
            instance,
            _words(state.gallery.which, ranks[instance], values[instance], nearest.get(instance)),
            f"{subject.noun} {instance}" if names is None else names[instance],
        )
        for instance in instances
    )
    column = state.column or default_column(state.columns)
    by = "" if column is None else f" by {column.title}"
    words = WHICH_TEXTS[state.gallery.which]
    is_by_value = state.gallery.which in (Which.HIGHEST, Which.LOWEST)
    title = f"{len(tiles)} of {len(values)}, {words}{by if is_by_value else ''}"
    return GallerySnapshot(subject.key, title, reason, which, n, tiles, selected)


def shown_instances(state: SessionState, selected: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """Return the instances of the gallery in its order, and why there are none."""
    which = state.gallery.which
    n = state.gallery.n
    if which in (Which.HIGHEST, Which.LOWEST):
        values = state.values
        assert values is not None
        order = _remember(order_by, values)
        return tuple((order if which is Which.HIGHEST else order[::-1])[:n].tolist()), ""
    if not selected:
        return (), NOTHING_SELECTED
    if which is Which.SELECTED:
        return selected[-n:], ""
    answer = state.shown_answer
    if answer is None or answer.prediction.features is None:
        return (), NO_FEATURES
    return (selected[-1], *(instance for instance, _ in _similarities(state)))[:n], ""


def _similarities(state: SessionState) -> list[tuple[int, float]]:
    """Return the instances nearest to the selected one with their likeness, once they are known."""
    closeup = state.closeup
    selection = state.selection
    if closeup is None or selection is None or closeup.nearest is None:
        return []
    if (closeup.subject, closeup.instance) != (selection.subject, selection.instance):
        return []
    nearest = closeup.nearest
    return list(zip(nearest.instances, nearest.similarities, strict=True))


def _words(which: Which, rank: int, value: float, similarity: float | None) -> str:
    if which is Which.NEAREST:
        return "selected" if similarity is None else f"{similarity:.2f} alike"
    return f"–. {value:.3g}" if np.isnan(value) else f"{rank}. {value:.3g}"


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank (N,) of every instance, 1 for the highest; 0 without a value."""
    order = order_by(values)
    ranks = np.zeros(len(values), int)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks
