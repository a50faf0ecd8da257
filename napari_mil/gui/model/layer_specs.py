"""What should exist on the canvas: layers, legend, scene."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from napari_mil.gui.model.display import (
    Role,
)
from napari_mil.gui.model.placement import Affine

DIVERGING_NAME = "diverging"
"""Colour map of values with a sign."""
DARKENING_NAME = "darkening"
"""Colour map of values that pixels are multiplied by."""
UNDERLAY = "underlay"
"""First part of the keys of layers that are below a subject and in no list."""


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
