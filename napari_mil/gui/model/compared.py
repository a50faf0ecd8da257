"""Two answers about the shown subject: their maps, on the canvas and in figures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_mil.annotations import Region
from napari_mil.bags.layout import Layout
from napari_mil.exports.maps import LIMITS, SIGNED, ScaleMode, difference, scaled
from napari_mil.gui.model.answers import Answer
from napari_mil.gui.model.comparing import EVERY_CLASS, CompareView
from napari_mil.gui.model.display import (
    Column,
    Display,
    Kind,
    answer_columns,
    chosen_column,
    default_column,
    scale_of,
)
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.model.what_if import Removed
from napari_mil.inference.agreement import Agreement, Matching, Pairs, agreement, pair_instances
from napari_mil.training.evaluation.overlap import Overlap, overlap

MULTI_LABEL = "multi-label"
_remember = Memo()
"""Maps and pairs of the newest states."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of two answers, with the map of it that is compared."""

    answer: Answer
    column: Column | None
    """None where the answer has no map."""

    @property
    def name(self) -> str:
        """Name of the classifier."""
        return self.answer.classifier

    @property
    def layout(self) -> Layout:
        """Places of the instances."""
        return self.answer.layout

    @property
    def columns(self) -> list[Column]:
        """Maps that can be chosen."""
        return answer_columns(self.answer)

    @property
    def values(self) -> np.ndarray | None:
        """float32 (N,) of the map, NaN where an instance was taken out; None without a map."""
        if self.column is None:
            return None
        values = self.answer.columns[self.column.key]
        removed = self.answer.what_if.removed
        return _remember(_without, values, removed) if removed else values

    @property
    def threshold(self) -> float | None:
        """Value from which the classifier calls an instance; None where the map has no such."""
        column = self.column
        card = self.answer.card
        if column is None or column.kind not in (Kind.SCORE, Kind.ALONE):
            return None
        is_second = len(card.classes) == 2 and column.name == card.classes[1]
        return card.threshold if is_second or card.link == MULTI_LABEL else None


@dataclass(frozen=True, eq=False)
class Compared:
    """The shown answer and the one that is compared with it."""

    first: Side
    second: Side

    @property
    def has_maps(self) -> bool:
        """Whether both have a map."""
        return self.first.column is not None and self.second.column is not None

    @property
    def pairs(self) -> Pairs:
        """Places that both have an instance for."""
        return _remember(pair_instances, self.first.layout, self.second.layout)

    @property
    def is_of_one_kind(self) -> bool:
        """Whether values of both maps mean the same."""
        first, second = self.first.column, self.second.column
        return first is not None and second is not None and first.kind is second.kind


@dataclass(frozen=True, eq=False)
class PlacedMap:
    """Cells of a map, and where they lie."""

    image: np.ndarray
    """float32 (rows, columns), NaN where there is nothing."""
    layout: Layout
    """Its lattice."""
    limits: tuple[float, float]
    """Values of the ends of the colour map."""
    is_diverging: bool
    name: str
    """Of the layer, without the subject."""
    legend: str
    line: np.ndarray | None = None
    """float64 (1, 2, 2): segment (start, vector), as (x, y) in level-0 pixels; of a curtain."""


@dataclass(frozen=True, eq=False)
class Question:
    """What figures are asked for."""

    first: Layout
    first_values: np.ndarray
    second: Layout
    second_values: np.ndarray
    thresholds: tuple[float | None, float | None]
    regions: tuple[Region, ...] = ()
    ignored: tuple[Region, ...] = ()

    def is_same_as(self, other: Question | None) -> bool:
        """Say whether another question has the same answer."""
        if other is None:
            return False
        arrays = (
            (self.first, other.first),
            (self.first_values, other.first_values),
            (self.second, other.second),
            (self.second_values, other.second_values),
        )
        facts = (self.thresholds, self.regions, self.ignored)
        return all(one is two for one, two in arrays) and facts == (
            other.thresholds,
            other.regions,
            other.ignored,
        )


@dataclass(frozen=True, eq=False)
class Figures:
    """How two maps agree, and how each overlaps with annotated regions."""

    question: Question
    matching: Matching
    agreement: Agreement
    overlaps: tuple[Overlap, Overlap] | None = None
    """Of the first and of the second map; None without regions."""


def other_answers(state: SessionState) -> tuple[Answer, ...]:
    """Return the answers about the shown subject that are not shown, the newest first."""
    shown = state.shown_answer
    if shown is None:
        return ()
    others = [a for a in state.answers if a.subject == shown.subject and a is not shown]
    return tuple(reversed(others))


def compared(state: SessionState) -> Compared | None:
    """Return the two answers that are compared, or None with fewer than two."""
    shown = state.shown_answer
    others = other_answers(state)
    if shown is None or not others:
        return None
    wanted = state.comparing.other
    other = next((answer for answer in others if answer.classifier == wanted), others[0])
    first = _column_like(shown, state.display)
    return Compared(Side(shown, first), Side(other, _other_column(state, other, first)))


def canvas_view(state: SessionState) -> CompareView:
    """Return what the canvas shows of two answers: more than one only while the panel is seen."""
    if Panel.COMPARE not in state.panels or state.mapped_run is not None:
        return CompareView.SHOWN
    if state.shown_watch is not None:
        return CompareView.SHOWN
    both = compared(state)
    return CompareView.SHOWN if both is None or not both.has_maps else state.comparing.view


def compared_map(state: SessionState) -> PlacedMap | None:
    """Return what the canvas shows instead of the map of the shown answer, if anything."""
    view = canvas_view(state)
    both = compared(state)
    if both is None or view is CompareView.SHOWN:
        return None
    if view is CompareView.DIFFERENCE:
        return difference_map(both, difference_scale(state, both))
    return curtain_map(state, both)


def difference_scale(state: SessionState, both: Compared) -> ScaleMode:
    """Return whether values or ranks are subtracted: ranks where values mean different things."""
    first = both.first.column
    wanted = state.comparing.scale
    if not both.is_of_one_kind or first is None:
        return ScaleMode.RANK
    if wanted is not None:
        return wanted
    return ScaleMode.RAW if first.kind in LIMITS else ScaleMode.RANK


def difference_map(both: Compared, mode: ScaleMode) -> PlacedMap:
    """Return the first map less the second, where both have a value."""
    first, second = both.first, both.second
    assert first.values is not None
    assert second.values is not None
    pairs = both.pairs
    layout = second.layout if pairs.are_of_second else first.layout
    image, limit = _remember(_difference, pairs, layout, first.values, second.values, mode)
    words = "ranks" if mode is ScaleMode.RANK else "values"
    return PlacedMap(
        image,
        layout,
        (-limit, limit),
        is_diverging=True,
        name=f"{CompareView.DIFFERENCE} · {first.name}",
        legend=f"{_titles(both, '−', ('', ''))} ({words})",
    )


def curtain_map(state: SessionState, both: Compared) -> PlacedMap:
    """Return the first map on the left of the line, the second on its right.

    The line stands between two columns of the lattice: a tile has one value.
    """
    frame = _remember(common_frame, both.first.layout, both.second.layout)
    first, first_limits = _scaled(state, both.first)
    second, second_limits = _scaled(state, both.second)
    limits = first_limits
    if both.is_of_one_kind:
        low = min(first_limits[0], second_limits[0])
        limits = (low, max(first_limits[1], second_limits[1]))
    elif first_limits != second_limits:
        first = _remember(_shares, first, first_limits)
        second = _remember(_shares, second, second_limits)
        limits = (0.0, 1.0)
    column = round(state.comparing.curtain * frame.shape[1])
    image = _remember(
        _side_by_side,
        _remember(_sampled, both.first.layout, first, frame),
        _remember(_sampled, both.second.layout, second, frame),
        column,
    )
    kind = None if both.first.column is None else both.first.column.kind
    return PlacedMap(
        image,
        frame,
        limits,
        is_diverging=both.is_of_one_kind and kind in SIGNED,
        name=f"{CompareView.CURTAIN} · {both.first.name}",
        legend=_titles(both, "|", _mode_words(state, both)),
        line=_line(frame, column),
    )


def curtain_at(both: Compared, x: float) -> float:
    """Return the place of the curtain for a position along x, in level-0 pixels."""
    frame = _remember(common_frame, both.first.layout, both.second.layout)
    return (x - _left_of(frame)) / (frame.shape[1] * frame.stride0)


def compared_words(state: SessionState, x: float, y: float) -> str:
    """Return the values of both answers at a position in level-0 pixels; empty beside both."""
    both = compared(state)
    if both is None:
        return ""
    words = []
    for side in (both.first, both.second):
        instance = side.layout.instance_at(x, y)
        values = side.values
        if instance is not None and values is not None and side.column is not None:
            words.append(f"{side.name}: {side.column.title} {values[instance]:.3g}")
    return " · ".join(words)


def question_of(state: SessionState) -> Question | None:
    """Return the figures to ask for, or None where two maps are not there."""
    both = compared(state)
    subject = state.current_subject
    if both is None or subject is None or state.mapped_run is not None:
        return None
    first, second = both.first.values, both.second.values
    if first is None or second is None:
        return None
    regions = _regions(state, subject)
    chosen = chosen_reference(state)
    return Question(
        first=both.first.layout,
        first_values=first,
        second=both.second.layout,
        second_values=second,
        thresholds=(both.first.threshold, both.second.threshold),
        regions=tuple(r for r in regions if not r.ignored and chosen in (EVERY_CLASS, r.name)),
        ignored=tuple(r for r in regions if r.ignored),
    )


def answer_question(question: Question) -> Figures:
    """Compute figures; a quarter of a second for 100 000 instances."""
    pairs = pair_instances(question.first, question.second)
    found = agreement(question.first_values[pairs.first], question.second_values[pairs.second])
    overlaps = None
    if question.regions:
        maps = (
            (question.first, question.first_values, question.thresholds[0]),
            (question.second, question.second_values, question.thresholds[1]),
        )
        one, other = (
            overlap(layout, values, question.regions, ignored=question.ignored, threshold=threshold)
            for layout, values, threshold in maps
        )
        overlaps = (one, other)
    return Figures(question, pairs.matching, found, overlaps)


def reference_names(state: SessionState) -> tuple[str, ...]:
    """Return the classes of the regions over the shown subject."""
    subject = state.current_subject
    if subject is None:
        return ()
    names = (region.name for region in _regions(state, subject) if not region.ignored)
    return tuple(dict.fromkeys(name for name in names if name))


def has_regions(state: SessionState) -> bool:
    """Say whether there are regions over the shown subject."""
    subject = state.current_subject
    return subject is not None and any(not r.ignored for r in _regions(state, subject))


def chosen_reference(state: SessionState) -> str:
    """Return the class of regions that is asked for: every one where the chosen one is gone."""
    wanted = state.comparing.reference
    return wanted if wanted in reference_names(state) else EVERY_CLASS


def common_frame(first: Layout, second: Layout) -> Layout:
    """Return the lattice of the finer of two layouts, grown until it covers both.

    It has no instances. Layouts with the same cells give theirs.
    """
    finer, coarser = (second, first) if second.stride0 < first.stride0 else (first, second)
    low = np.minimum(finer.cells.min(0), _cells_of_box(finer, coarser)[0])
    high = np.maximum(finer.cells.max(0), _cells_of_box(finer, coarser)[1])
    pitch = np.array([finer.stride0, finer.stride0 / finer.aspect])
    x, y = np.array(finer.origin) + low[::-1] * pitch
    rows, columns = (int(n) for n in high - low + 1)
    return replace(
        finer,
        coords=np.empty((0, 2)),
        cells=np.empty((0, 2), np.int64),
        shape=(rows, columns),
        origin=(float(x), float(y)),
    )


def _cells_of_box(finer: Layout, coarser: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last cell (row, column) whose centre a coarser layout may cover."""
    centre = coarser.centres()
    reach = coarser.stride0 / np.array([1.0, coarser.aspect]) / 2
    step = finer.stride0 / np.array([1.0, finer.aspect])
    start = np.array(finer.origin) + np.array(finer.size0) / 2
    first = np.ceil((centre.min(0) - reach - start) / step - 1e-6)
    last = np.floor((centre.max(0) + reach - start) / step + 1e-6)
    # Cells of the same place are not doubled by the rim that they share.
    last = np.maximum(first, last)
    return first[::-1].astype(np.int64), last[::-1].astype(np.int64)


def _column_like(answer: Answer, display: Display) -> Column | None:
    """Return the map of an answer that a display chooses, or its first."""
    columns = answer_columns(answer)
    return chosen_column(display, columns) or default_column(columns)


def _other_column(state: SessionState, other: Answer, first: Column | None) -> Column | None:
    """Return the chosen map of the other answer, or the one that is like the first."""
    chosen = next((c for c in answer_columns(other) if c.key == state.comparing.column), None)
    if chosen is not None:
        return chosen
    like = Display() if first is None else Display(kind=first.kind, name=first.name)
    return _column_like(other, like)


def _without(values: np.ndarray, removed: Removed) -> np.ndarray:
    left = values.astype(np.float32)
    left[list(removed)] = np.nan
    return left


def _scaled(state: SessionState, side: Side) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the values of a side on the scale of the display, and its limits."""
    assert side.column is not None
    assert side.values is not None
    mode = scale_of(state.display, side.column.kind)
    values, low, high = _remember(scaled, side.values, mode, side.column.kind)
    return values, (low, high)


def _shares(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return values as shares of the way from one end of the colour map to the other."""
    low, high = limits
    return ((values - low) / (high - low)).astype(np.float32)


def _difference(
    pairs: Pairs, layout: Layout, first: np.ndarray, second: np.ndarray, mode: ScaleMode
) -> tuple[np.ndarray, float]:
    values, limit = difference(first[pairs.first], second[pairs.second], mode)
    places = pairs.second if pairs.are_of_second else pairs.first
    return layout.spread(places, values), limit


def _sampled(layout: Layout, values: np.ndarray, frame: Layout) -> np.ndarray:
    """Return the values under the centres of the cells of a frame: float32 (rows, columns)."""
    rows, columns = frame.shape
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
    pitch = np.array([frame.stride0, frame.stride0 / frame.aspect])
    centres = np.array(frame.origin) + np.array(frame.size0) / 2 + cells * pitch
    instances = layout.instances_at(centres)
    return np.where(instances >= 0, values[instances], np.nan).astype(np.float32)


def _side_by_side(first: np.ndarray, second: np.ndarray, column: int) -> np.ndarray:
    """Return the columns of one image before a column, and those of another from it on."""
    return np.concatenate([first[:, :column], second[:, column:]], 1)


def _line(frame: Layout, column: int) -> np.ndarray:
    """Return the line before a column of a frame, a little longer than the map."""
    _, y = frame.origin
    height = frame.stride0 / frame.aspect
    top = y + frame.size0[1] / 2 - height
    x = _left_of(frame) + column * frame.stride0
    return np.array([[[x, top], [0.0, (frame.shape[0] + 1) * height]]])


def _left_of(frame: Layout) -> float:
    """Return where the cells of a frame begin along x."""
    return frame.origin[0] + (frame.tile_size0 - frame.stride0) / 2


def _titles(both: Compared, between: str, words: tuple[str, str]) -> str:
    """Name both answers, and what is coloured of them where it is the same."""
    first, second = both.first, both.second
    assert first.column is not None
    assert second.column is not None
    one = first.column.title + words[0]
    other = second.column.title + words[1]
    names = f"{first.name} {between} {second.name}"
    return f"{names} · {one}" if one == other else names


def _mode_words(state: SessionState, both: Compared) -> tuple[str, str]:
    """Return the scale of either map, in words after its title."""
    assert both.first.column is not None
    assert both.second.column is not None
    modes = [scale_of(state.display, side.kind) for side in (both.first.column, both.second.column)]
    first, second = ("" if mode is ScaleMode.RAW else f" ({mode})" for mode in modes)
    return first, second


def _regions(state: SessionState, subject: Subject) -> tuple[Region, ...]:
    """Return the regions of files over a subject, and those that were drawn."""
    regions = tuple(region for layer in subject.annotations for region in layer.regions)
    drawn = state.comparing.drawn
    return regions if drawn is None or drawn.subject != subject.key else regions + drawn.regions
