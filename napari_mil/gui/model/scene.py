"""From the state to the layers, title and legend that should exist: pure."""

from __future__ import annotations

from dataclasses import replace

from napari_mil.gui.model.display import (
    Role,
)
from napari_mil.gui.model.layer_specs import UNDERLAY, LayerSpec, LayerType, Scene
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.overlays import overlay_of, squares_layer
from napari_mil.gui.model.placement import Affine, world_segments
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import (
    Subject,
    SubjectKind,
    coarsest_pixels,
    pixels_place,
)

MOST_OUTLINED = 2000
"""Selected instances that are outlined."""
TISSUE_OPACITY = 0.8
_remember = Memo()
"""Drawings of the newest scenes."""


def scene(state: SessionState) -> Scene:
    """Return what the canvas should show."""
    subject = state.current_subject
    layers = [layer for other in state.subjects for layer in _subject_layers(state, other)]
    if subject is None:
        return Scene(tuple(layers))
    overlay, legend = overlay_of(state, subject)
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
            data=_remember(world_segments, layer.outlines, placement),
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
        squares_layer(
            subject,
            layout,
            selection.instances[-MOST_OUTLINED:],
            ("selection",),
            Role.SELECTION,
            f"selected · {subject.name}",
            visible=True,
        )
    ]
