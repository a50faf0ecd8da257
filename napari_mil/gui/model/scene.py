"""From the state to the layers, title and legend that should exist: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_mil.bags.layout import Layout
from napari_mil.events import Watched
from napari_mil.exports.glyphs import Group, cell_of, draw_groups
from napari_mil.exports.maps import SIGNED, ScaleMode, scaled
from napari_mil.gui.model.answers import (
    Answer,
    Run,
    cluster_groups,
    critical_classes,
    mask_groups,
    merged_groups,
)
from napari_mil.gui.model.compared import PlacedMap, compared_map, compared_words
from napari_mil.gui.model.display import (
    DEFAULT_OPACITY,
    Column,
    Kind,
    Look,
    Role,
    scale_of,
    window_of,
)
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.mining import newest_of_strategy
from napari_mil.gui.model.placement import Affine, Placement
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import (
    Subject,
    SubjectKind,
    coarsest_pixels,
    pixels_place,
)
from napari_mil.gui.model.training import Watch
from napari_mil.gui.model.what_if import Removed
from napari_mil.gui.model.words import count

MOST_FILLED = 1_000_000
"""Cells of a map up to which a run fills those that it has not come to."""
MOST_OUTLINED = 2000
"""Selected instances that are outlined."""
TISSUE_OPACITY = 0.8
CURTAIN_WIDTH = 0.003
"""Width of the line of a curtain, as a share of the longer side of the map: seen from afar."""
BORDER = 0.12
"""Width of the outline of a tile, as a share of its side: seen from afar too."""
THIN_BORDER = 0.03
"""Width of the outline of an image, which is looked at and not covered."""
DIVERGING_NAME = "diverging"
"""Colour map of values with a sign."""
DARKENING_NAME = "darkening"
"""Colour map of values that pixels are multiplied by."""
AS_IN_PAPERS = (Kind.ATTENTION, Kind.SCORE)
"""Kinds of maps that the figures of the papers draw in their own way."""
OVERLAP_PARTS = 4
"""Elements along the side of a cell of overlapping tiles: quarters, thirds are rounded."""
UNDERLAY = "underlay"
"""First part of the keys of layers that are below a subject and in no list."""
_remember = Memo()
"""Drawings of the newest scenes."""
_replayed = Memo(2)
"""Groups of the newest steps of a replay."""


class LayerType(StrEnum):
    """How a layer is drawn."""

    IMAGE = "image"
    """Pixels of a subject, multiscale or not."""
    VALUES = "values"
    """One value per cell, through a colour map that fades out towards low values."""
    GROUPS = "groups"
    """Drawn cells, RGBA."""
    SQUARES = "squares"
    """Outlined squares."""
    MASK = "mask"
    """Mask that can be painted on."""
    OUTLINES = "outlines"
    """Line segments."""


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """One layer that should exist."""

    key: tuple[str, ...]
    """Names the layer from one scene to the next."""
    role: Role
    type: LayerType
    name: str
    data: Any
    """Array or levels; another object is other data."""
    affine: Affine
    units: tuple[str, str]
    visible: bool = True
    opacity: float = 1.0
    colormap: str = "viridis"
    limits: tuple[float, float] = (0.0, 1.0)
    """Values of the ends of the colour map."""
    size: float = 0.0
    """Side of squares or width of a curtain's line, in world units."""
    border: float = 0.0
    """Width of the lines of squares, as a share of their side."""
    rgb: bool = True
    multiscale: bool = False


@dataclass(frozen=True)
class Legend:
    """Title of what is coloured."""

    text: str
    has_bar: bool
    """Whether a colour bar explains it; groups are explained beside the canvas."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What the canvas should show, from the bottom layer to the top."""

    layers: tuple[LayerSpec, ...] = ()
    title: str = ""
    """Name of the subject; empty with nothing open."""
    legend: Legend | None = None
    background: str | None = None
    """Colour of the canvas; None leaves it to the theme."""
    has_scale_bar: bool = False
    subject: int | None = None
    """Key of the subject whose camera is used."""
    units: tuple[str, str] | None = None
    """Units of every layer; None with nothing open."""


def scene(state: SessionState) -> Scene:
    """Return what the canvas should show."""
    subject = state.current_subject
    layers = [layer for other in state.subjects for layer in _subject_layers(state, other)]
    if subject is None:
        return Scene(tuple(layers))
    overlay, legend = _overlay(state, subject)
    layers += _annotation_layers(state, subject)
    layers += _tissue_layer(state, subject)
    layers += overlay
    layers += _selection_layer(state, subject)
    return Scene(
        layers=tuple(layers),
        title=subject.name,
        legend=legend if any(layer.visible for layer in overlay) else None,
        background=_background(subject),
        has_scale_bar=subject.placement.mpp is not None,
        subject=subject.key,
        units=subject.placement.units,
    )


def _background(subject: Subject) -> str:
    """Choose the canvas: glass is white, fluorescence and pictures stand on black."""
    is_dark = subject.kind is SubjectKind.IMAGES or subject.is_fluorescence
    return "black" if is_dark else "white"


def _subject_layers(state: SessionState, subject: Subject) -> list[LayerSpec]:
    """Return the layer of a subject, and below it what is seen until its pixels are read."""
    layer = _subject_layer(state, subject)
    return [*_underlay(subject, layer), layer]


def _underlay(subject: Subject, layer: LayerSpec) -> list[LayerSpec]:
    if not subject.pixels.multiscale:
        return []
    whole = pixels_place(subject)
    coarsest = coarsest_pixels(subject)
    height, width = coarsest.shape[:2]
    return [
        replace(
            layer,
            key=(UNDERLAY, str(subject.key)),
            role=Role.UNDERLAY,
            name=f"{subject.name} (coarse)",
            data=coarsest,
            affine=subject.placement.mask((whole.width / width, whole.height / height)),
            # It would shine through.
            visible=layer.visible and layer.opacity == 1,
            multiscale=False,
        )
    ]


def _subject_layer(state: SessionState, subject: Subject) -> LayerSpec:
    look = state.display.look(Role.SUBJECT)
    is_current = subject.key == state.current
    return LayerSpec(
        key=("subject", str(subject.key)),
        role=Role.SUBJECT,
        type=LayerType.IMAGE,
        name=subject.name,
        data=subject.pixels.data,
        affine=_pixels_affine(subject),
        units=_common_units(state, subject),
        visible=is_current and look.visible is not False,
        opacity=1.0 if look.opacity is None else look.opacity,
        rgb=subject.pixels.rgb,
        multiscale=subject.pixels.multiscale,
    )


def _common_units(state: SessionState, subject: Subject) -> tuple[str, str]:
    """Return the units of the shown subject: napari draws layers of several units without any."""
    return (state.current_subject or subject).placement.units


def _pixels_affine(subject: Subject) -> Affine:
    """Place the pixels of a subject; an arrangement without pixels has an element a cell."""
    if subject.kind is SubjectKind.FEATURES and subject.slide is None:
        assert subject.layout is not None
        return subject.placement.lattice(subject.layout)
    return subject.placement.pixels()


def _tissue_layer(state: SessionState, subject: Subject) -> list[LayerSpec]:
    if subject.tissue is None:
        return []
    look = state.display.look(Role.TISSUE)
    mask = subject.tissue.mask
    return [
        LayerSpec(
            key=("tissue",),
            role=Role.TISSUE,
            type=LayerType.MASK,
            name=f"tissue · {subject.name}",
            data=mask.mask,
            affine=subject.placement.mask(mask.downsample),
            units=subject.placement.units,
            visible=look.visible is not False,
            opacity=TISSUE_OPACITY if look.opacity is None else look.opacity,
        )
    ]


def _annotation_layers(state: SessionState, subject: Subject) -> list[LayerSpec]:
    look = state.display.look(Role.ANNOTATIONS)
    placement = subject.placement
    return [
        LayerSpec(
            key=("annotations", layer.name),
            role=Role.ANNOTATIONS,
            type=LayerType.OUTLINES,
            name=f"{layer.name} · {subject.name}",
            data=_remember(_world_segments, layer.outlines, placement),
            affine=Affine((1.0, 1.0), (0.0, 0.0)),
            units=placement.units,
            visible=look.visible is not False,
            opacity=1.0 if look.opacity is None else look.opacity,
        )
        for layer in subject.annotations
    ]


def _selection_layer(state: SessionState, subject: Subject) -> list[LayerSpec]:
    selection = state.selection
    layout = state.layout
    if selection is None or selection.subject != subject.key or layout is None:
        return []
    return [
        _squares(
            subject,
            layout,
            selection.instances[-MOST_OUTLINED:],
            ("selection",),
            Role.SELECTION,
            f"selected · {subject.name}",
            visible=True,
        )
    ]


def _squares(
    subject: Subject,
    layout: Layout,
    instances: tuple[int, ...],
    key: tuple[str, ...],
    role: Role,
    name: str,
    *,
    visible: bool,
) -> LayerSpec:
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


def _overlay(state: SessionState, subject: Subject) -> tuple[list[LayerSpec], Legend | None]:
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


def shown_groups(state: SessionState, answer: Answer) -> tuple[tuple[Group, ...], str]:
    """Return the clusters or masks that are shown, and their title; none while they are missing."""
    if state.display.kind is Kind.CLUSTERS:
        if state.linkage not in answer.trees:
            return (), ""
        tree, n = answer.trees[state.linkage], len(answer.layout)
        if state.merged is not None:
            of_tree = linkage_words(state.linkage, answer)
            merged = _replayed(_merged, tree, min(state.display.n_clusters, n), state.merged)
            return merged, f"{state.merged} of {count(n - 1, 'merge')} ({of_tree})"
        groups = _remember(_clusters, tree, state.display.n_clusters, n)
        title = "1 cluster" if len(groups) == 1 else f"{len(groups)} clusters"
        return groups, f"{title} ({linkage_words(state.linkage, answer)})"
    if state.display.kind is Kind.MASKS:
        # While other shares are asked for, what there is stays, under its own name.
        mining = newest_of_strategy(answer.masks, state.display.mining)
        if mining is None:
            return (), ""
        groups = _remember(_masks, answer.masks[mining])
        return groups, f"masked by {mining.words(answer.card)}"
    return (), ""


def linkage_words(linkage: str, answer: Answer) -> str:
    """Return the name of a tree: its linkage, or the method whose merges it holds."""
    words = {
        "ward": "Ward",
        "average": "average linkage",
        "single": "single linkage",
        "own": f"merges of {answer.card.aggregator.name}",
    }
    return words[linkage]


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
        data=_remember(_world_segments, line, placement),
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
    layer = _squares(
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
        groups = _remember(_masks, watched.masks)
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


def hover_words(state: SessionState, world: tuple[float, ...]) -> str:
    """Describe the instance under a position on the canvas; empty beside the instances."""
    subject = state.current_subject
    layout = state.layout
    if subject is None or layout is None:
        return ""
    if compared_map(state) is not None:
        x, y = subject.placement.level0(np.asarray(world[-2:]))
        return compared_words(state, float(x), float(y))
    instance = subject.placement.instance_under(layout, world)
    if instance is None:
        return ""
    words = instance_words(state, instance)
    return f"{words} · {subject.noun} {instance}" if words else ""


def instance_words(state: SessionState, instance: int) -> str:
    """Describe an instance by what is coloured; empty where that says nothing of it."""
    watch = state.shown_watch
    if watch is not None:
        watched = watch.watched
        return "" if watched is None else f"{watched.what} {watched.values[instance]:.3g}"
    answer = state.shown_answer
    column = state.column
    if column is not None:
        values = state.values
        if values is None or np.isnan(values[instance]):
            return ""
        rank = int((values > values[instance]).sum()) + 1
        n = int((~np.isnan(values)).sum())
        return f"{column.title} {values[instance]:.3g} · rank {rank} of {n}"
    if answer is None:
        return ""
    if state.display.kind is Kind.CRITICAL:
        names = [name for other, name in critical_classes(answer) if other == instance]
        return f"critical: {', '.join(names)}" if names else ""
    groups, _ = shown_groups(state, answer)
    names = [group.name for group in groups if instance in group.instances]
    if not names:
        return ""
    if state.display.kind is Kind.CLUSTERS:
        size = next(len(group.instances) for group in groups if group.name == names[0])
        if state.merged is not None:
            return f"cluster {names[0]}: {size} {_noun(state)}s merged"
        return f"cluster {names[0]} of {len(groups)}: {size} {_noun(state)}s"
    return f"masked: {', '.join(names)}"


def _noun(state: SessionState) -> str:
    subject = state.current_subject
    return "instance" if subject is None else subject.noun


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


def _clusters(tree: Any, n_clusters: int, n_instances: int) -> tuple[Group, ...]:
    return tuple(cluster_groups(tree, min(n_clusters, n_instances)))


def _merged(tree: Any, n_clusters: int, merged: int) -> tuple[Group, ...]:
    return tuple(merged_groups(tree, n_clusters, merged))


def _masks(masks: Mapping[str, np.ndarray]) -> tuple[Group, ...]:
    return tuple(mask_groups(masks))


def _watched_map(layout: Layout, watched: Watched) -> np.ndarray:
    values = np.clip(watched.values, 0, 1).astype(np.float32)
    return layout.spread(np.arange(len(layout)), values)


def _world_segments(outlines: np.ndarray, placement: Placement) -> np.ndarray:
    """Return segments as (start, vector), (y, x) on the canvas."""
    starts = placement.world(outlines[:, 0])
    vectors = outlines[:, 1, ::-1] * placement.unit_yx
    return np.stack([starts, vectors], 1)


def _centres(placement: Placement, layout: Layout, instances: tuple[int, ...]) -> np.ndarray:
    return placement.centres(layout, np.array(instances))
