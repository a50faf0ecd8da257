"""What is exported: a saved answer, its pixels, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from napari_mil.bags import Bag, ImageBag
from napari_mil.bags.layout import Layout, layout_of_coords
from napari_mil.errors import OutputError, UnknownNameError
from napari_mil.exports.glyphs import Group
from napari_mil.exports.maps import (
    ScaleMode,
    default_key,
    default_scale,
    mapped_keys,
    scaled,
    split_key,
)
from napari_mil.inference.prediction import Prediction
from napari_mil.slides import Slide

THE_SLIDE = "the slide"
"""Words in place of a name that is left out."""
UNCROPPED = ("aperio", "generic-tiff", "ome-tiff", "ome-zarr", "dicom", "image", "hamamatsu")
"""Vendors whose slides QuPath shows whole."""


class ObjectKind(StrEnum):
    """QuPath's kinds of objects that tiles can become."""

    TILE = "tile"
    ANNOTATION = "annotation"


class Corner(StrEnum):
    """Corner of a slide from which positions count."""

    STORED = "stored"
    """Corner of the stored part, as QuPath counts with OpenSlide."""
    CANVAS = "canvas"
    """Corner of the whole canvas, as QuPath counts with Bio-Formats or ``--no-crop``."""


@dataclass(frozen=True)
class ExportChoices:
    """How an answer is written."""

    column: str | None = None
    """Column that pictures colour; None takes a score, or attention."""
    scale: ScaleMode | None = None
    """Scale of these colours; None takes the column's own."""
    objects: ObjectKind = ObjectKind.TILE
    corner: Corner = Corner.STORED
    anonymous: bool = False
    """Whether names of the slide and of images are left out."""
    with_label: bool = False
    """Whether a report shows the slide's label and macro image."""


@dataclass(frozen=True, eq=False)
class ValueMap:
    """Values of the instances on a scale, as pictures colour them."""

    key: str
    values: np.ndarray
    """float32 (N,): as the answer holds them."""
    scale: ScaleMode
    shown: np.ndarray
    """float32 (N,): on the scale."""
    low: float
    high: float
    """Values of `shown` at the ends of the colour map."""


class GroupKind(StrEnum):
    """What makes instances a group."""

    CLUSTER = "cluster"
    MASKED = "masked"
    CRITICAL = "critical"


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of instances that pictures show instead of values."""

    kind: GroupKind
    title: str
    groups: tuple[Group, ...]
    """Later ones lie on top."""


@dataclass(frozen=True, eq=False)
class ExportSource:
    """An answer with everything that is written of it."""

    prediction: Prediction
    slide: Slide | None = None
    """The slide it is about, open; None where it is not at hand."""
    images: ImageBag | None = None
    """The folder of images it is about."""
    choices: ExportChoices = field(default_factory=ExportChoices)
    grouping: Grouping | None = None
    """Groups that are shown instead of values, if any."""

    @property
    def title(self) -> str:
        """Name of the slide or bag, or its fingerprint where the name is left out."""
        facts = self.prediction.slide
        kind = "slide" if "dimensions" in facts else "bag"
        fingerprint = str(facts.get("fingerprint", ""))[:8]
        return str(facts.get("name") or f"{kind}-{fingerprint}".rstrip("-"))

    @property
    def noun(self) -> str:
        """Word for an instance."""
        return "tile" if self.prediction.coords is not None else "image"

    @property
    def aspect(self) -> float:
        """Height of a level-0 pixel by its width."""
        return float(self._grid.get("aspect", 1.0))

    @property
    def mpp_xy(self) -> tuple[float, float] | None:
        """Micrometres per level-0 pixel along x and y, or None where they are unknown."""
        mpp = self.prediction.slide.get("mpp")
        if mpp is None and self.slide is not None:
            mpp = self.slide.mpp
        if mpp is None:
            return None
        across = 2 * float(mpp) / (1 + self.aspect)
        return across, across * self.aspect

    @property
    def origin(self) -> tuple[int, int] | None:
        """(x, y) of the corner that QuPath counts from, or None where it is unknown."""
        if self.slide is not None:
            return self.slide.origin
        told = self.prediction.provenance.get("origin")
        if told is not None:
            return int(told[0]), int(told[1])
        return (0, 0) if self.prediction.slide.get("vendor") in UNCROPPED else None

    @property
    def lacks_positions(self) -> str:
        """Why tiles cannot be laid on a slide; empty where they can."""
        if self.prediction.coords is None:
            return (
                f"The instances of {self.title} have no positions on a slide; "
                "choose a table or a report."
            )
        if self.prediction.tile_size0 is None:
            return (
                f"The answer about {self.title} does not say how large its tiles are; "
                "choose a table or a report."
            )
        return ""

    @property
    def corners(self) -> np.ndarray:
        """int64 (N, 2): (x, y) of the tiles' top left corners in level-0 pixels."""
        assert self.prediction.coords is not None
        return self.prediction.coords

    @property
    def tile_size(self) -> tuple[float, float]:
        """(width, height) of a tile in level-0 pixels."""
        width = self.prediction.tile_size0
        height = self.prediction.tile_height0
        assert width is not None
        assert height is not None
        return width, height

    @cached_property
    def layout(self) -> Layout:
        """Lattice of the tiles, as the canvas lays it."""
        width, _ = self.tile_size
        stride = self._grid.get("stride0")
        if stride is None:
            return layout_of_coords(self.corners, width)
        pitch = np.array([stride, stride / self.aspect])
        cells = np.rint(self.corners / pitch).astype(np.int64)
        columns, rows = (int(side) + 1 for side in cells.max(0))
        return Layout(
            coords=cells * pitch,
            cells=cells[:, ::-1],
            shape=(rows, columns),
            tile_size0=width,
            stride0=float(stride),
            aspect=self.aspect,
        )

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """float32 (N,): values of the instances by column."""
        return self.prediction.columns()

    @cached_property
    def shown(self) -> ValueMap | None:
        """Values that pictures colour, or None where the answer has none.

        Raises
        ------
        UnknownNameError
            If the chosen column is none of the answer's.
        """
        keys = mapped_keys(list(self.columns), self.prediction.classes, self.prediction.label)
        key = self.choices.column or default_key(keys) or next(iter(keys), None)
        if key is None:
            return None
        if key not in self.columns:
            raise UnknownNameError(
                f"The answer about {self.title} has no column {key!r}; "
                f"choose one of {', '.join(self.columns)}."
            )
        kind, _ = split_key(key)
        scale = self.choices.scale or default_scale(kind)
        values = self.columns[key]
        return ValueMap(key, values, scale, *scaled(values, scale, kind))

    @cached_property
    def classes_of_instances(self) -> tuple[tuple[str, ...], ...] | None:
        """Classes of each instance by its scores and the answer's rule; None without scores.

        One class each, or those that reach the threshold where classes are independent.
        """
        scores = self.prediction.instance_scores
        if scores is None:
            return None
        classes = self.prediction.classes
        threshold = float(self.prediction.classifier.get("threshold", 0.5))
        if self.prediction.label is None:
            return tuple(
                tuple(name for name, is_reached in zip(classes, row, strict=True) if is_reached)
                for row in scores >= threshold
            )
        of_two = len(classes) == 2
        best = (scores[:, 1] >= threshold).astype(int) if of_two else scores.argmax(1)
        alone = [(name,) for name in classes]
        return tuple(alone[k] for k in best.tolist())

    @property
    def clusters(self) -> np.ndarray | None:
        """int64 (N,): number of the cluster of each instance from 1; None without clusters."""
        if self.grouping is None or self.grouping.kind is not GroupKind.CLUSTER:
            return None
        numbers = np.zeros(self.prediction.n_instances, np.int64)
        for number, group in enumerate(self.grouping.groups, 1):
            numbers[group.instances] = number
        return numbers

    @property
    def critical_names(self) -> dict[int, tuple[str, ...]]:
        """Classes by the instance that is their critical one."""
        critical = self.prediction.critical
        names: dict[int, tuple[str, ...]] = {}
        if critical is not None:
            classes = self.prediction.classes[-len(critical) :]
            for instance, name in zip(critical.tolist(), classes, strict=True):
                names[instance] = (*names.get(instance, ()), name)
        return names

    @property
    def _grid(self) -> Mapping[str, Any]:
        return self.prediction.provenance.get("grid", {})


def make_source(
    prediction: Prediction,
    pixels: Slide | ImageBag | None = None,
    choices: ExportChoices | None = None,
    grouping: Grouping | None = None,
) -> ExportSource:
    """Join an answer with its pixels.

    Parameters
    ----------
    prediction
        The answer.
    pixels
        The slide or the folder of images it is about.
    choices
        How it is written; names are left out here.
    grouping
        Groups that pictures show instead of values.

    Raises
    ------
    OutputError
        If the pixels are those of another slide or bag.
    """
    choices = choices or ExportChoices()
    if pixels is not None:
        _check_pixels(prediction, pixels)
    if choices.anonymous:
        prediction = without_names(prediction)
    if isinstance(pixels, ImageBag):
        return ExportSource(prediction, None, pixels, choices, grouping)
    return ExportSource(prediction, pixels, None, choices, grouping)


def without_names(prediction: Prediction) -> Prediction:
    """Return the same answer without names of the slide or of images, also in its remarks."""
    hidden = [str(prediction.slide.get("name") or "")]
    names = prediction.names
    if names is not None:
        hidden += names
        names = tuple(str(k) for k in range(len(names)))
    words = sorted(filter(None, hidden), key=len, reverse=True)
    remarks = list(prediction.provenance.get("fallbacks", ()))
    for word in words:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        remarks = [whole.sub(THE_SLIDE, remark) for remark in remarks]
    provenance = {**prediction.provenance, "fallbacks": remarks}
    return replace(prediction.anonymous(), names=names, provenance=provenance)


def with_features(prediction: Prediction, bag: Bag) -> Prediction:
    """Return the same answer with the features that it was made of.

    Raises
    ------
    OutputError
        If the bag holds other instances.
    """
    is_same = len(bag) == prediction.n_instances
    if bag.coords is not None and prediction.coords is not None:
        is_same = np.array_equal(bag.coords, prediction.coords)
    if is_same:
        return replace(prediction, features=bag)
    raise OutputError(
        f"The features are of {len(bag)} instances that are not those of the answer "
        f"({prediction.n_instances}); give the features that it was made of."
    )


def _check_pixels(prediction: Prediction, pixels: Slide | ImageBag) -> None:
    """Refuse pixels that the answer is not about.

    An answer about a feature file has the file's fingerprint, not the slide's: its tiles must lie
    on the slide.
    """
    facts = prediction.slide
    path = pixels.path if isinstance(pixels, Slide) else pixels.folder
    if isinstance(pixels, Slide) and "dimensions" not in facts:
        if prediction.coords is None or _lies_on(prediction.coords, pixels):
            return
    elif facts.get("fingerprint") == pixels.fingerprint:
        return
    raise OutputError(
        f"{path.name} is not what this answer was made of ({facts.get('name') or 'unnamed'}); "
        "give the slide or bag that was classified."
    )


def _lies_on(coords: np.ndarray, slide: Slide) -> bool:
    return bool((coords >= 0).all() and (coords < slide.dimensions).all())
