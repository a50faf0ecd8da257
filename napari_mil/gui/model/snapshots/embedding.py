"""What the embedding shows: the instances of the shown answer in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_mil.events import Watched
from napari_mil.exports.colours import MARK_COLOUR
from napari_mil.exports.glyphs import Glyph, Group
from napari_mil.exports.maps import SIGNED, ScaleMode, scaled
from napari_mil.gui.model.answers import Answer, critical_classes, mask_groups
from napari_mil.gui.model.display import Kind, Window, scale_of, window_of
from napari_mil.gui.model.embedding import Wanted
from napari_mil.gui.model.layer_specs import DIVERGING_NAME
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.overlays import value_colormap
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.shown_groups import shown_groups
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.model.what_if import Removed
from napari_mil.gui.model.words import count
from napari_mil.inference.projections import (
    FEWEST_FOR_UMAP,
    UMAP_EXTRA,
    Method,
    Projection,
    has_umap,
)

NOTHING_YET = "Classify something first: its instances are laid out here."
NO_FEATURES = "Classify again: the features of this answer are gone."
OTHER_INSTANCES = "The slide shows other instances now; the answer's come back with its map."
FAILED = "They could not be laid out; the notice above says why."
UNDESCRIBED = "the classifier has no description of its training features"
METHOD_TEXTS = {Method.PCA: "PCA", Method.UMAP: "UMAP"}
NO_COLOUR = (165, 165, 165)
"""Instances without a value or a group."""
UNLIKE = "unlike"
_remember = Memo(8)


@dataclass(frozen=True, eq=False)
class PointColours:
    """Colours of instances: values through a colour map, or fixed ones."""

    title: str
    """What they stand for."""
    order: np.ndarray
    """int (N,): instances as they are drawn, the last ones on top."""
    shares: np.ndarray | None = None
    """float32 (N,): place in the colour map from 0 to 1, NaN without a value."""
    colormap: str = ""
    fixed: np.ndarray | None = None
    """uint8 (N, 3): colours of groups; None where values are coloured."""


@dataclass(frozen=True)
class EmbeddingSnapshot:
    """What the embedding shows."""

    subject: int | None = None
    """Key of the subject whose instances are shown."""
    reason: str = NOTHING_YET
    """Why there are no points; empty where there are some."""
    methods: Choices = field(default_factory=Choices)
    title: str = ""
    can_cancel: bool = False
    """Whether a layout is being computed that takes long."""
    projection: Projection | None = None
    colours: PointColours | None = None
    selected: tuple[int, ...] = ()
    note: str = ""
    """The selected instance, in words."""


def embedding_snapshot(state: SessionState) -> EmbeddingSnapshot:
    """Return what the embedding shows."""
    subject = state.current_subject
    answer = state.shown_answer
    if subject is None or answer is None:
        return EmbeddingSnapshot()
    methods = _methods(state, answer)
    reason = why_not(state, answer)
    if reason:
        return EmbeddingSnapshot(subject.key, reason, methods)
    working = is_working(state, answer)
    can_cancel = working and state.embedding.method is Method.UMAP
    # What there is stays while another layout is computed.
    projection = answer.projections.get(state.embedding.method) or next(
        iter(answer.projections.values()), None
    )
    if projection is None:
        words = f"Laying out {count(len(answer.layout), subject.noun)}…" if working else FAILED
        return EmbeddingSnapshot(subject.key, words, methods, can_cancel=can_cancel)
    colours = point_colours(state, answer, subject)
    selection = state.selection
    selected: tuple[int, ...] = ()
    if selection is not None and selection.subject == subject.key:
        selected = selection.instances
    return EmbeddingSnapshot(
        subject=subject.key,
        reason="",
        methods=methods,
        title=" · ".join(_title_parts(state, subject, projection, colours)),
        can_cancel=can_cancel,
        projection=projection,
        colours=colours,
        selected=selected,
        note=_note(answer, subject, selected),
    )


def why_not(state: SessionState, answer: Answer) -> str:
    """Return why the instances of an answer cannot be laid out, or nothing."""
    layout = state.layout
    if layout is None or not (layout is answer.layout or layout.covers_the_same_as(answer.layout)):
        return OTHER_INSTANCES
    return NO_FEATURES if answer.prediction.features is None else ""


def is_working(state: SessionState, answer: Answer) -> bool:
    """Say whether a layout of an answer is being computed."""
    working = state.embedding.working
    return working is not None and (working.subject, working.classifier) == (
        answer.subject,
        answer.classifier,
    )


def missing_projection(state: SessionState) -> Wanted | None:
    """Return the layout that has to be computed before the embedding can be shown."""
    answer = state.shown_answer
    if answer is None or Panel.EMBEDDING not in state.panels or why_not(state, answer):
        return None
    method = state.embedding.method
    wanted = Wanted(answer.subject, answer.classifier, method)
    if method in answer.projections or state.embedding.failed == wanted:
        return None
    return wanted


def _methods(state: SessionState, answer: Answer) -> Choices:
    reason = "" if has_umap() else UMAP_EXTRA
    if not reason and len(answer.layout) < FEWEST_FOR_UMAP:
        reason = f"It needs {FEWEST_FOR_UMAP} instances."
    pca = Choice(Method.PCA, METHOD_TEXTS[Method.PCA])
    umap = Choice(Method.UMAP, METHOD_TEXTS[Method.UMAP], reason)
    return Choices((pca, umap), state.embedding.method)


def _title_parts(
    state: SessionState, subject: Subject, projection: Projection, colours: PointColours
) -> list[str]:
    method = METHOD_TEXTS[projection.method]
    if projection.method is not state.embedding.method:
        method += f"; {METHOD_TEXTS[state.embedding.method]} is being computed…"
    elif projection.shares is not None:
        across, upwards = (f"{100 * share:.0f}" for share in projection.shares)
        method += f", {across} % and {upwards} % of the variance"
    parts = [count(len(projection.points), subject.noun), method]
    return [*parts, colours.title] if colours.title else parts


def _note(answer: Answer, subject: Subject, selected: tuple[int, ...]) -> str:
    """Say how unlike the training data the selected instance is."""
    if not selected:
        return ""
    instance = selected[-1]
    name = (
        f"{subject.noun.capitalize()} {instance}"
        if subject.images is None
        else subject.images.names[instance]
    )
    if len(selected) > 1:
        name = f"{count(len(selected), subject.noun)} selected; {name}"
    values = answer.columns.get(UNLIKE)
    if values is None:
        return f"{name}: {UNDESCRIBED}"
    return f"{name}: unlike the training data {values[instance]:.2f} (1 is the limit)"


@dataclass(frozen=True)
class _Shading:
    """How values become colours."""

    title: str
    mode: ScaleMode
    kind: str
    colormap: str
    removed: Removed = ()
    """Instances without a colour."""
    window: Window | None = None
    """Ends of the colour map that were set by hand."""


def point_colours(state: SessionState, answer: Answer, subject: Subject) -> PointColours:
    """Return the colours of the instances: those that they have on the canvas."""
    n = len(answer.layout)
    watch = state.shown_watch
    if watch is not None and watch.watched is not None:
        return _watched_colours(state, subject, watch.watched, f"epoch {watch.shown}")
    column = state.column
    if column is not None:
        values = state.values
        if values is None or len(values) != n:
            values = answer.columns[column.key]
        mode = scale_of(state.display, column.kind)
        words = column.title if mode is ScaleMode.RAW else f"{column.title} ({mode})"
        name = DIVERGING_NAME if column.kind in SIGNED else value_colormap(state, subject)
        removed = answer.what_if.removed
        window = window_of(state.display, column)
        return _remember(
            _of_values, values, _Shading(words, mode, column.kind, name, removed, window)
        )
    if state.display.kind is Kind.CRITICAL:
        return _remember(_of_marks, n, tuple(critical_classes(answer)))
    groups, title = shown_groups(state, answer)
    return _remember(_of_groups, n, groups, title, hidden=state.display.hidden_groups)


def _watched_colours(
    state: SessionState, subject: Subject, watched: Watched, epoch: str
) -> PointColours:
    """Return the colours of the instances while a model learns."""
    if watched.masks and state.display.name == "masked":
        return _remember(_of_masks, watched.masks, f"masked in {epoch}")
    # Ranks or probabilities, as the canvas has them.
    shading = _Shading(
        f"{watched.what} of {epoch}", ScaleMode.RAW, Kind.SCORE, value_colormap(state, subject)
    )
    return _remember(_of_values, watched.values, shading)


def _of_values(values: np.ndarray, shading: _Shading) -> PointColours:
    shown, low, high = scaled(values, shading.mode, shading.kind)
    if shading.window is not None:
        low, high = shading.window.low, shading.window.high
    span = high - low if high > low else 1.0
    shares = np.clip((shown - low) / span, 0, 1).astype(np.float32)
    if shading.removed:
        shares[list(shading.removed)] = np.nan
    strength = np.abs(2 * shares - 1) if shading.kind in SIGNED else shares
    order = np.argsort(np.where(np.isnan(strength), -1, strength), kind="stable")
    return PointColours(shading.title, order, shares, shading.colormap)


def _of_masks(masks: Mapping[str, np.ndarray], title: str) -> PointColours:
    n = len(next(iter(masks.values())))
    return _of_groups(n, tuple(mask_groups(masks)), title)


def _of_groups(
    n: int, groups: tuple[Group, ...], title: str, *, hidden: frozenset[str] = frozenset()
) -> PointColours:
    colours = np.full((n, 3), NO_COLOUR, np.uint8)
    place = np.zeros(n, int)
    for k, group in enumerate(groups, start=1):
        if group.name in hidden:
            continue
        colours[group.instances] = tuple(bytes.fromhex(group.glyph.colour[1:]))
        place[group.instances] = k
    return PointColours(title, np.argsort(place, kind="stable"), fixed=colours)


def _of_marks(n: int, pairs: tuple[tuple[int, str], ...]) -> PointColours:
    glyph = Glyph(MARK_COLOUR)
    marks = tuple(Group(name, glyph, np.array([instance])) for instance, name in pairs)
    words = ", ".join(f"{instance} ({name})" for instance, name in pairs)
    return _of_groups(n, marks, f"critical: {words}")
