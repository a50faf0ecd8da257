"""What a feature file says, before it is checked and laid on a slide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_mil.bags.bag import Extraction
from napari_mil.findings import Finding

if TYPE_CHECKING:
    from napari_mil.slides import Slide


class Unit(StrEnum):
    """What the numbers of positions count."""

    LEVEL0 = "level-0 pixels"
    MICROMETRES = "micrometres"
    UNSTATED = "pixels of a scale that is not stated"
    """Pixels of the scale at which tiles were read, which may be level 0."""


class Anchor(StrEnum):
    """Which point of a tile a position is."""

    CORNER = "top left corner"
    CENTRE = "centre"


class Side(Protocol):
    """Side of a tile as a tool states it."""

    def in_pixels(self, slide: Slide | None) -> float | None:
        """Return level-0 pixels, or None where the slide has to be known and is not."""
        ...


@dataclass(frozen=True, slots=True)
class PixelSide:
    """Side in level-0 pixels."""

    pixels: float

    def in_pixels(self, slide: Slide | None) -> float | None:
        """Return the side itself."""
        return self.pixels


@dataclass(frozen=True, slots=True)
class MicrometreSide:
    """Side in micrometres."""

    micrometres: float
    is_truncated: bool = False
    """Whether the tool cuts off the fraction of a pixel, as slideflow does."""

    def in_pixels(self, slide: Slide | None) -> float | None:
        """Return the side by the scale of the slide."""
        mpp = scale_of(slide)
        if mpp is None:
            return None
        pixels = self.micrometres / mpp
        return float(math.floor(pixels)) if self.is_truncated else pixels


@dataclass(frozen=True, slots=True)
class LevelSide:
    """Side in pixels of a stored level."""

    pixels: float
    level: int
    times: float = 1.0
    """Further downsampling by the tool."""

    def in_pixels(self, slide: Slide | None) -> float | None:
        """Return the side by the downsample of the level."""
        if self.level == 0:
            return self.pixels * self.times
        if slide is None or not 0 <= self.level < slide.level_count:
            return None
        return self.pixels * slide.level_downsamples[self.level] * self.times


@dataclass(frozen=True, slots=True)
class MagnificationSide:
    """Side in pixels at a magnification, of the stored level nearest to it."""

    pixels: float
    magnification: float

    def in_pixels(self, slide: Slide | None) -> float | None:
        """Return the side by the slide's objective power."""
        if slide is None:
            return None
        try:
            power = float(slide.properties["openslide.objective-power"])
        except (KeyError, ValueError):
            return None
        wanted = power / self.magnification
        downsample = min(slide.level_downsamples, key=lambda level: abs(level - wanted))
        return float(math.floor(self.pixels * downsample))


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions of the tiles of a bag as a tool wrote them."""

    values: np.ndarray
    """(N, 2): pairs (x, y), or (N, 4): boxes (left, top, right, bottom)."""
    path: Path
    """File they come from."""
    unit: Unit = Unit.LEVEL0
    anchor: Anchor = Anchor.CORNER
    side: Side | None = None
    slide_size: tuple[float, float] | None = None
    """(width, height) in level-0 pixels of the slide they were made on."""
    size_tolerance: float = 0.5
    """Pixels by which `slide_size` may be off, where it was computed from a coarser level."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Content of a feature file."""

    features: np.ndarray
    """As stored, (N, D) by custom."""
    positions: Positions | None = None
    names: tuple[str, ...] | None = None
    extraction: Extraction | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def scale_of(slide: Slide | None) -> float | None:
    """Return micrometres per level-0 pixel along x, which other tools take for both axes."""
    if slide is None or slide.mpp_xy is None:
        return None
    return slide.mpp_xy[0]


def number(attributes: Mapping[str, Any], name: str) -> float | None:
    """Return an attribute as a positive number, or None.

    Tools write numbers, text, arrays of one number per axis, and the word None.
    """
    value: Any = attributes.get(name)
    try:
        first = float(np.ravel(value)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return first if math.isfinite(first) and first > 0 else None


def words(attributes: Mapping[str, Any], name: str) -> str:
    """Return an attribute as text, empty where there is none."""
    value = attributes.get(name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def stem_of(path: Path, endings: tuple[str, ...]) -> str:
    """Return a file's name without one of some endings; other dots belong to the name."""
    for ending in endings:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.name
