"""The one overlay of a scene, with its legend: pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_mil.bags.layout import Layout
from napari_mil.events import Watched
from napari_mil.exports.glyphs import Group, cell_of, draw_groups
from napari_mil.exports.maps import SIGNED, ScaleMode, scaled
from napari_mil.gui.model.answers import (
    Answer,
    Run,
    critical_classes,
)
from napari_mil.gui.model.compared import PlacedMap, compared_map
from napari_mil.gui.model.display import (
    DEFAULT_OPACITY,
    Column,
    Kind,
    Look,
    Role,
    scale_of,
    window_of,
)
from napari_mil.gui.model.layer_specs import (
    DARKENING_NAME,
    DIVERGING_NAME,
    LayerSpec,
    LayerType,
    Legend,
)
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.placement import Affine, Placement, world_segments
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.shown_groups import drawn_masks, shown_groups
from napari_mil.gui.model.subjects import (
    Subject,
    SubjectKind,
)
from napari_mil.gui.model.training import Watch
from napari_mil.gui.model.what_if import Removed
from napari_mil.gui.model.words import count

MOST_FILLED = 1_000_000
"""Cells of a map up to which a run fills those that it has not come to."""
CURTAIN_WIDTH = 0.003
"""Width of the line of a curtain, as a share of the longer side of the map: seen from afar."""
BORDER = 0.12
"""Width of the outline of a tile, as a share of its side: seen from afar too."""
THIN_BORDER = 0.03
"""Width of the outline of an image, which is looked at and not covered."""
AS_IN_PAPERS = (Kind.ATTENTION, Kind.SCORE)
"""Kinds of maps that the figures of the papers draw in their own way."""
OVERLAP_PARTS = 4
"""Elements along the side of a cell of overlapping tiles: quarters, thirds are rounded."""
_remember = Memo()
"""Drawings of the newest scenes."""


def squares_layer(
    subject: Subject,
    layout: Layout,
    instances: tuple[int, ...],
    key: tuple[str, ...],
    role: Role,
    name: str,
    *,
    visible: bool,
) -> LayerSpec:
    """Outline instances by squares."""
    placement = subject.placement
    return LayerSpec(
        key=key,
        role=role,
        type=LayerType.SQUARES,
        name=name,
        data=_remember(_centres, placement, layout, instances),
        affine=Affine((1.0, 1.0), (0.0, 0.0)),
        units=placement.units,
        visible=visible,
        size=layout.tile_size0 * placement.unit,
        border=THIN_BORDER if subject.images is not None else BORDER,
    )


def overlay_of(state: SessionState, subject: Subject) -> tuple[list[LayerSpec], Legend | None]:
    """Return the one overlay and its legend."""
    watch = state.shown_watch
    if watch is not None:
        return _training_overlay(state, subject, watch)
    run = state.mapped_run
    if run is not None and run.layout is not None:
        return _run_overlay(state, subject, run, run.layout)
    placed = compared_map(state)
    if placed is not None:
        return _compared_overlay(state, subject, placed)
    answer = state.shown_answer
    if answer is None:
        return [], None
    if state.column is not None:
        return _column_overlay(state, subject, answer, state.column)
    if state.display.kind is Kind.CRITICAL:
        return _critical_overlay(state, subject, answer)
    groups, title = shown_groups(state, answer)
    if not groups:
        return [], None
    name = f"{state.display.kind} · {answer.classifier} · {subject.name}"
    seen = _remember(_groups_seen, groups, state.display.hidden_groups)
    layers = [_groups_layer(state, subject, answer.layout, seen, name)]
    return layers, Legend(f"{title} · {answer.classifier}", has_bar=False)


def _column_overlay(
    state: SessionState, subject: Subject, answer: Answer, column: Column
) -> tuple[list[LayerSpec], Legend]:
    mode = scale_of(state.display, column.kind)
    values = answer.columns[column.key]
    removed = answer.what_if.removed
    if state.display.as_in_papers and column.kind in AS_IN_PAPERS:
        return _paper_overlay(state, subject, answer, column)
    image, limits = _remember(_map, answer.layout, values, mode, column.kind, removed)
    window = window_of(state.display, column)
    layer = _values_layer(
        state,
        subject,
        answer.layout,
        image,
        limits if window is None else (window.low, window.high),
        f"{column.title} · {answer.classifier} · {subject.name}",
    )
    if column.kind in SIGNED:
        layer = replace(layer, colormap=DIVERGING_NAME)
    text = f"{column.title}{_scale_words(mode)} · {answer.classifier}"
    return [layer], Legend(text, has_bar=True)


def _paper_overlay(
    state: SessionState, subject: Subject, answer: Answer, column: Column
) -> tuple[list[LayerSpec], Legend]:
    """Draw a map as the figures of the papers do.

    Attention darkens pixels: they are multiplied by a' = (a - min) / (max - min), as in the figures
    of attention MIL (Ilse et al. 2018). Scores of overlapping tiles are averaged where they
    overlap, as in those of DSMIL (Li et al. 2021).
    """
    layout = answer.layout
    is_overlapping = layout.tile_size0 > layout.stride0
    parts = OVERLAP_PARTS if is_overlapping else 1
    image = _remember(layout.spread_mean, answer.columns[column.key], parts)
    is_attention = column.kind is Kind.ATTENTION
    limits = _remember(_ends, image) if is_attention else (0.0, 1.0)
    layer = _values_layer(
        state,
        subject,
        layout,
        image,
        limits,
        f"{column.title} · {answer.classifier} · {subject.name}",
    )
    layer = replace(layer, affine=subject.placement.lattice(layout, parts))
    words = column.title
    if is_attention:
        layer = replace(layer, colormap=DARKENING_NAME)
        words += " × pixels"
    if is_overlapping:
        words += ", mean where tiles overlap"
    return [layer], Legend(f"{words} · {answer.classifier}", has_bar=True)


def _ends(image: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest value of a map, which differ."""
    low = float(np.nanmin(image))
    high = float(np.nanmax(image))
    return low, high if high > low else low + 1.0


def _compared_overlay(
    state: SessionState, subject: Subject, placed: PlacedMap
) -> tuple[list[LayerSpec], Legend]:
    layer = _values_layer(
        state,
        subject,
        placed.layout,
        placed.image,
        placed.limits,
        f"{placed.name} · {subject.name}",
    )
    if placed.is_diverging:
        layer = replace(layer, colormap=DIVERGING_NAME)
    layers = [layer]
    if placed.line is not None:
        layers.append(_curtain_line(state, subject, placed, placed.line))
    return layers, Legend(placed.legend, has_bar=True)


def _curtain_line(
    state: SessionState, subject: Subject, placed: PlacedMap, line: np.ndarray
) -> LayerSpec:
    look = state.display.look(Role.CURTAIN)
    placement = subject.placement
    return LayerSpec(
        key=("curtain",),
        role=Role.CURTAIN,
        type=LayerType.OUTLINES,
        name=f"curtain line · {subject.name}",
        data=_remember(world_segments, line, placement),
        affine=Affine((1.0, 1.0), (0.0, 0.0)),
        units=placement.units,
        visible=look.visible is not False and state.display.look(Role.OVERLAY).visible is not False,
        opacity=1.0 if look.opacity is None else look.opacity,
        size=max(placed.layout.shape) * placed.layout.stride0 * placement.unit * CURTAIN_WIDTH,
    )


def _run_overlay(
    state: SessionState, subject: Subject, run: Run, layout: Layout
) -> tuple[list[LayerSpec], Legend | None]:
    column = state.column
    if column is None:
        return [], None
    mode = scale_of(state.display, column.kind)
    image, limits = _remember(_coarse_map, layout, run.columns[column.key], mode, column.kind)
    name = run.inputs.classifier.name
    layer = _values_layer(
        state,
        subject,
        layout,
        image,
        limits,
        f"{column.title} · {name} · {subject.name}",
    )
    share = f"{run.done} of {count(run.total, subject.noun)}, rest as the nearest"
    text = f"{column.title}{_scale_words(mode)} · {name} · {share}"
    return [layer], Legend(text, has_bar=True)


def _critical_overlay(
    state: SessionState, subject: Subject, answer: Answer
) -> tuple[list[LayerSpec], Legend | None]:
    pairs = critical_classes(answer)
    if not pairs:
        return [], None
    layer = squares_layer(
        subject,
        answer.layout,
        tuple(instance for instance, _ in pairs),
        ("marks",),
        Role.MARKS,
        f"critical · {answer.classifier} · {subject.name}",
        visible=state.display.look(Role.MARKS).visible is not False,
    )
    words = ", ".join(f"{subject.noun} {instance} ({name})" for instance, name in pairs)
    return [layer], Legend(f"critical: {words} · {answer.classifier}", has_bar=False)


def _training_overlay(
    state: SessionState, subject: Subject, watch: Watch
) -> tuple[list[LayerSpec], Legend | None]:
    watched = watch.watched
    if watched is None or watch.layout is None:
        return [], None
    words = f"epoch {watch.shown} · {watch.run}"
    if watched.masks and state.display.name == "masked":
        groups = drawn_masks(watched.masks)
        layer = _groups_layer(
            state, subject, watch.layout, groups, f"masked · {watch.run} · {subject.name}"
        )
        return [layer], Legend(f"masked · {words}", has_bar=False)
    image = _remember(_watched_map, watch.layout, watched)
    layer = _values_layer(
        state,
        subject,
        watch.layout,
        image,
        (0.0, 1.0),
        f"in training · {watch.run} · {subject.name}",
    )
    kind = Kind.SCORE if watched.what == "score" else Kind.ATTENTION
    mode = ScaleMode.RAW if kind is Kind.SCORE else ScaleMode.RANK
    return [layer], Legend(f"{watched.what}{_scale_words(mode)} · {words}", has_bar=True)


def _values_layer(
    state: SessionState,
    subject: Subject,
    layout: Layout,
    image: np.ndarray,
    limits: tuple[float, float],
    name: str,
) -> LayerSpec:
    look = state.display.look(Role.OVERLAY)
    return LayerSpec(
        key=("overlay",),
        role=Role.OVERLAY,
        type=LayerType.VALUES,
        name=name,
        data=image,
        affine=subject.placement.lattice(layout),
        units=subject.placement.units,
        visible=look.visible is not False,
        opacity=DEFAULT_OPACITY if look.opacity is None else look.opacity,
        colormap=value_colormap(state, subject),
        limits=limits,
    )


def value_colormap(state: SessionState, subject: Subject) -> str:
    """Return the name of the colour map of values without a sign: a person's choice first."""
    is_dark = subject.is_fluorescence or subject.kind is SubjectKind.IMAGES
    return state.display.look(Role.OVERLAY).colormap or ("magma" if is_dark else "viridis")


def _groups_layer(
    state: SessionState,
    subject: Subject,
    layout: Layout,
    groups: tuple[Group, ...],
    name: str,
) -> LayerSpec:
    look: Look = state.display.look(Role.OVERLAY)
    opacity = look.opacity
    return LayerSpec(
        key=("groups",),
        role=Role.GROUPS,
        type=LayerType.GROUPS,
        name=name,
        data=_remember(draw_groups, layout, groups),
        affine=subject.placement.lattice(layout, cell_of(groups)),
        units=subject.placement.units,
        visible=look.visible is not False,
        opacity=DEFAULT_OPACITY if opacity is None else opacity,
    )


def _scale_words(mode: ScaleMode) -> str:
    return "" if mode is ScaleMode.RAW else f" ({mode})"


def _map(
    layout: Layout, values: np.ndarray, mode: ScaleMode, kind: Kind, removed: Removed
) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the cells of a map, and the values of the ends of its colour map.

    Instances that were taken out have no colour; the others keep theirs.
    """
    shown, low, high = scaled(values, mode, kind)
    if removed:
        shown = shown.copy()
        shown[list(removed)] = np.nan
    return layout.spread(np.arange(len(layout)), shown), (low, high)


def _coarse_map(
    layout: Layout, values: np.ndarray, mode: ScaleMode, kind: Kind
) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the cells of a map, those of instances without a value as the nearest one with one."""
    shown, low, high = scaled(values, mode, kind)
    instances = np.arange(len(layout))
    image = layout.spread(instances, shown)
    known = ~np.isnan(image)
    if image.size > MOST_FILLED or not known.any():
        return image, (low, high)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return layout.spread(instances, image[tuple(nearest)][tuple(layout.cells.T)]), (low, high)


def _groups_seen(groups: tuple[Group, ...], hidden: frozenset[str]) -> tuple[Group, ...]:
    return tuple(group for group in groups if group.name not in hidden)


def _watched_map(layout: Layout, watched: Watched) -> np.ndarray:
    values = np.clip(watched.values, 0, 1).astype(np.float32)
    return layout.spread(np.arange(len(layout)), values)


def _centres(placement: Placement, layout: Layout, instances: tuple[int, ...]) -> np.ndarray:
    return placement.centres(layout, np.array(instances))
