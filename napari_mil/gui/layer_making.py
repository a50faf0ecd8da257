"""Layers of napari made from their specifications."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Vectors
from napari.utils.colormaps import Colormap, DirectLabelColormap, ensure_colormap

from napari_mil.exports.colours import (
    DIVERGING,
    MARK_COLOUR,
    STRONGEST_ALPHA,
    WEAKEST_ALPHA,
    shade,
)
from napari_mil.gui.model.display import Role
from napari_mil.gui.model.layer_specs import DARKENING_NAME, DIVERGING_NAME, LayerSpec, LayerType
from napari_mil.gui.reader import AXES

COLOURS = 32
FADING = ", fading"
"""Ending of the names of colour maps whose alpha rises with the value."""
TISSUE_COLOUR = "#00695c"
SELECTION_COLOUR = "#00e5ff"
OUTLINE_COLOUR = "#ffd400"
OUTLINE_WIDTH = 2
"""Width of outlines in world units."""


def fading_colormap(base: str) -> Colormap:
    """Return a colour map whose alpha rises with the value; NaN is transparent."""
    if base == DIVERGING_NAME:
        return _diverging_colormap()
    if base == DARKENING_NAME:
        return _darkening_colormap()
    positions = np.linspace(0, 1, COLOURS)
    colours = np.array(ensure_colormap(base).map(positions))
    colours[:, 3] = WEAKEST_ALPHA + (STRONGEST_ALPHA - WEAKEST_ALPHA) * positions
    return Colormap(colours, name=f"{base}{FADING}", display_name=f"{base}{FADING}")


def opaque_colours(base: str) -> np.ndarray:
    """Return the colours of a colour map from low to high, uint8 (n, 3)."""
    return np.rint(fading_colormap(base).colors[:, :3] * 255).astype(np.uint8)


def _diverging_colormap() -> Colormap:
    """Return the colour map of values with a sign; its alpha rises on both sides of zero."""
    colours = shade(np.linspace(-1, 1, 2 * COLOURS + 1), -1, 1, DIVERGING)
    colours[:, :3] /= 255
    name = f"{DIVERGING_NAME}{FADING}"
    return Colormap(colours, name=name, display_name=name)


def _darkening_colormap() -> Colormap:
    """Return the colour map that multiplies what is below by the value: black, less and less."""
    colours = np.zeros((2, 4))
    colours[0, 3] = 1
    name = f"{DARKENING_NAME}{FADING}"
    return Colormap(colours, name=name, display_name=name)


def must_be_remade(before: LayerSpec, spec: LayerSpec) -> bool:
    """Say whether napari cannot change a layer in place: other sizes, another type."""
    if before.type is not spec.type:
        return True
    if spec.type is not LayerType.IMAGE or before.data is spec.data:
        return False
    return _shapes(before) != _shapes(spec)


def _shapes(spec: LayerSpec) -> list[tuple[int, ...]]:
    """Return the shapes of the levels of an image."""
    levels = spec.data if spec.multiscale else [spec.data]
    return [tuple(level.shape) for level in levels]


def make_layer(spec: LayerSpec) -> Layer:
    """Make a layer that is not in the viewer yet."""
    common: dict[str, Any] = {
        "name": spec.name,
        "scale": spec.affine.scale,
        "translate": spec.affine.translate,
        "units": spec.units,
        "axis_labels": AXES,
        "visible": spec.visible,
        "opacity": spec.opacity,
    }
    makers = {
        LayerType.IMAGE: _make_image,
        LayerType.VALUES: _make_values,
        LayerType.GROUPS: _make_groups,
        LayerType.SQUARES: _make_squares,
        LayerType.MASK: _make_mask,
        LayerType.OUTLINES: _make_outlines,
    }
    return makers[spec.type](spec, common)


def _make_image(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    return Image(spec.data, rgb=spec.rgb, multiscale=spec.multiscale, **common)


def _make_values(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    return Image(
        spec.data.copy(),
        colormap=fading_colormap(spec.colormap),
        contrast_limits=spec.limits,
        interpolation2d="nearest",
        blending="translucent",
        **common,
    )


def _make_groups(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    return Image(
        spec.data.copy(), rgb=True, interpolation2d="nearest", blending="translucent", **common
    )


def _make_squares(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    colour = SELECTION_COLOUR if spec.role is Role.SELECTION else MARK_COLOUR
    return Points(
        spec.data,
        size=spec.size,
        symbol="square",
        face_color="transparent",
        border_color=colour,
        border_width=spec.border,
        **common,
    )


def _make_mask(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    colours = DirectLabelColormap(
        color_dict={None: "transparent", 0: "transparent", 1: TISSUE_COLOUR}
    )
    layer = Labels(spec.data.astype(np.uint8), colormap=colours, **common)
    # Before it is drawn for the first time.
    layer.contour = 2
    return layer


def _make_outlines(spec: LayerSpec, common: dict[str, Any]) -> Layer:
    return Vectors(
        spec.data,
        edge_color=MARK_COLOUR if spec.role is Role.CURTAIN else OUTLINE_COLOUR,
        edge_width=spec.size or OUTLINE_WIDTH,
        vector_style="line",
        **common,
    )
