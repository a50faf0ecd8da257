"""What is coloured on the canvas, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from napari_mil.exports.maps import (
    ScaleMode,
    default_key,
    default_scale,
    mapped_keys,
    split_key,
    title_of,
)
from napari_mil.gui.model.answers import Answer, Linkage
from napari_mil.gui.model.mining import Mining
from napari_mil.inference.card import ClassifierCard

DEFAULT_CLUSTERS = 8
MOST_CLUSTERS = 48
"""Twelve colours in four patterns."""
DEFAULT_OPACITY = 1.0


class Kind(StrEnum):
    """Kind of map."""

    ATTENTION = "attention"
    SCORE = "score"
    SIMILARITY = "similarity"
    UNLIKE = "unlike"
    """How unlike the training data instances are."""
    ALONE = "alone"
    """Answer for every instance as a bag of its own."""
    CONTRIBUTION = "contribution"
    """What every instance adds to the answer, by leaving it out."""
    LIKENESS = "likeness"
    """How alike instances are to the selected one."""
    CLUSTERS = "clusters"
    MASKS = "masks"
    CRITICAL = "critical"
    TRAINING = "training"
    """Overlay of the slide that is watched while a model learns."""


MAPPED = (
    Kind.ATTENTION,
    Kind.SCORE,
    Kind.SIMILARITY,
    Kind.UNLIKE,
    Kind.ALONE,
    Kind.CONTRIBUTION,
    Kind.LIKENESS,
)
"""Kinds that are a value for each instance."""
EVIDENCE = (Kind.ALONE, Kind.CONTRIBUTION)
"""Kinds that are asked for."""


class Role(StrEnum):
    """What a layer is for; looks that a person chose are kept by role."""

    SUBJECT = "subject"
    UNDERLAY = "underlay"
    """Coarsest level of a subject, under it: seen until finer pixels are read."""
    OVERLAY = "overlay"
    GROUPS = "groups"
    MARKS = "marks"
    SELECTION = "selection"
    TISSUE = "tissue"
    ANNOTATIONS = "annotations"
    CURTAIN = "curtain"
    """Line between the maps of two answers."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a person changed by hand on a layer; None leaves it as it comes."""

    visible: bool | None = None
    opacity: float | None = None
    colormap: str | None = None

    def merged(self, other: Look) -> Look:
        """Return this look with what another one says instead."""
        return Look(
            self.visible if other.visible is None else other.visible,
            self.opacity if other.opacity is None else other.opacity,
            self.colormap if other.colormap is None else other.colormap,
        )


@dataclass(frozen=True)
class Window:
    """Part of a scale that the colours run over, set by hand."""

    key: str
    """Column it was set for."""
    mode: ScaleMode
    """Scale it was set on."""
    low: float
    high: float


@dataclass(frozen=True)
class Display:
    """Choices of what is shown; the same for every subject."""

    kind: Kind | None = None
    """None shows what an answer has to show first."""
    name: str = ""
    """Class or head of the kind; empty for the first."""
    scale: ScaleMode | None = None
    """None takes the kind's own."""
    window: Window | None = None
    """Heeded while its column is shown on its scale."""
    as_in_papers: bool = False
    """Pixels times rescaled attention, and means of overlapping tiles, as figures have them."""
    hidden_groups: frozenset[str] = frozenset()
    """Names of clusters or masks that were switched off."""
    n_clusters: int = DEFAULT_CLUSTERS
    linkage: Linkage | None = None
    """None takes Ward's."""
    mining: Mining = field(default_factory=Mining)
    looks: Mapping[Role, Look] = field(default_factory=dict)

    def look(self, role: Role) -> Look:
        """Return what a person changed on layers of a role."""
        return self.looks.get(role, Look())

    def with_look(self, role: Role, look: Look) -> Display:
        """Return the display with another look of a role."""
        return replace(self, looks={**self.looks, role: self.look(role).merged(look)})


@dataclass(frozen=True)
class Column:
    """Values of an answer that can be mapped."""

    kind: Kind
    name: str
    """Class or head; empty where there is one only."""
    key: str
    """Column of `Prediction.columns`."""

    @property
    def title(self) -> str:
        """Name on the canvas and in the layer list."""
        return title_of(self.key)


def columns_of(
    keys: Sequence[str], classes: tuple[str, ...], predicted: str | None = None
) -> list[Column]:
    """Return the columns that can be mapped, in the order they are offered.

    Of two classes the score of the first is one minus that of the second, and left out.
    """
    return [_column_of(key) for key in mapped_keys(keys, classes, predicted)]


def answer_columns(answer: Answer) -> list[Column]:
    """Return the columns of an answer that can be mapped, the predicted class first."""
    return columns_of(list(answer.columns), answer.card.classes, answer.prediction.label)


def _column_of(key: str) -> Column:
    kind, name = split_key(key)
    return Column(Kind(kind), name, key)


def default_column(columns: Sequence[Column]) -> Column | None:
    """Return what is shown first: a score where there is one, otherwise attention."""
    first = default_key([column.key for column in columns])
    return next((column for column in columns if column.key == first), None)


def chosen_column(display: Display, columns: Sequence[Column]) -> Column | None:
    """Return the column that a display chooses, or None where it chooses groups or marks."""
    if display.kind is None:
        return default_column(columns)
    of_kind = [column for column in columns if column.kind is display.kind]
    named = next((column for column in of_kind if column.name == display.name), None)
    if named is not None:
        return named
    if of_kind:
        return of_kind[0]
    if display.kind in MAPPED:
        # The answer has no such values: what it has is shown.
        return default_column(columns)
    return None


def scale_of(display: Display, kind: Kind) -> ScaleMode:
    """Return the scale of a map: what has limits as it is, everything else by rank."""
    return default_scale(kind) if display.scale is None else display.scale


def window_of(display: Display, column: Column) -> Window | None:
    """Return the part of the scale of a map that was set by hand, if one was."""
    window = display.window
    if window is None or (window.key, window.mode) != (column.key, scale_of(display, column.kind)):
        return None
    return window


def can_be_mined(card: ClassifierCard, names: Sequence[str]) -> str:
    """Return why masks of mining cannot be asked of a classifier's answer, or nothing."""
    if card.aggregator.name in names:
        return ""
    return f"Masked mining is made for {', '.join(names)}; this is {card.aggregator.name}."
