"""What is open in the window: slides, folders of images, and bags of features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_mil.annotations import Annotations, Region
from napari_mil.bags import Bag, ImageBag, TissueMask
from napari_mil.bags.layout import Layout
from napari_mil.gui.model.placement import Placement, placement_of
from napari_mil.gui.model.scales import ScaleScope
from napari_mil.slides import Slide
from napari_mil.slides.rendition import Rendition

NOUNS = {"slide": "tile", "images": "image", "features": "instance"}


class SubjectKind(StrEnum):
    """Kind of what is open."""

    SLIDE = "slide"
    IMAGES = "images"
    FEATURES = "features"


class TissueChoice(StrEnum):
    """How the tissue of a slide is found for the next run."""

    DETECT = "detect"
    LAYER = "layer"
    WHOLE = "whole"


@dataclass(frozen=True, eq=False)
class Tissue:
    """Tissue of a slide, as detected or as painted."""

    mask: TissueMask
    version: int
    """Grows with every change, so that an answer knows what it was made from."""
    painted: bool = False
    """Whether a person changed it since it was detected."""


@dataclass(frozen=True, eq=False)
class AnnotationLayer:
    """Regions of one file over a slide."""

    name: str
    outlines: np.ndarray
    """float64 (S, 2, 2): segments, each (start, vector), as (x, y) in level-0 pixels."""
    classes: tuple[str, ...]
    """Class of each region, for the status bar."""
    n_regions: int
    regions: tuple[Region, ...] = ()
    """The regions, in level-0 pixels."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a layer shows of a subject."""

    data: Any
    """An array, or a list of levels from fine to coarse."""
    multiscale: bool = False
    rgb: bool = True
    slide: Slide | None = None
    """Twin of the subject's slide whose pixels these are, where it is shown otherwise."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One thing that is open and can be looked at and classified."""

    key: int
    """Number that no other subject of the session has."""
    name: str
    kind: SubjectKind
    path: Path
    pixels: Pixels
    slide: Slide | None = None
    """Slide of a slide, or the one that a feature bag lies on."""
    rendition: Rendition | None = None
    """How a person wants the slide to be shown; None shows it as it comes."""
    entered: ScaleScope | None = None
    """Slides that a person entered its scale for; None where the scale is the file's."""
    images: ImageBag | None = None
    bag: Bag | None = None
    layout: Layout | None = None
    """Layout of its instances, where it does not depend on a classifier."""
    tissue: Tissue | None = None
    tissue_versions: int = 0
    """Tissues it has had, so that none is taken for a later one."""
    tissue_choice: TissueChoice = TissueChoice.DETECT
    level: int | None = None
    """Level whose pixels the next run takes as tiles; None goes by scale."""
    annotations: tuple[AnnotationLayer, ...] = ()
    shown_classifier: str | None = None
    """Classifier whose answer is shown; None before there is any."""
    remarks: tuple[str, ...] = ()
    """What was odd about the file, one sentence each."""

    @property
    def placement(self) -> Placement:
        """Scale on the canvas."""
        return Placement() if self.slide is None else placement_of(self.slide)

    @property
    def noun(self) -> str:
        """What an instance is called."""
        return NOUNS[self.kind]

    @property
    def is_fluorescence(self) -> bool:
        """Whether it wants a dark canvas."""
        return self.slide is not None and bool(self.slide.channels)

    def with_tissue(self, mask: TissueMask, *, painted: bool) -> Subject:
        """Return the subject with another tissue, which counts for the next run."""
        version = self.tissue_versions + 1
        choice = self.tissue_choice
        if self.tissue is None and choice is not TissueChoice.WHOLE:
            # Detecting again would throw away what is painted later.
            choice = TissueChoice.LAYER
        return replace(
            self,
            tissue=Tissue(mask, version, painted=painted),
            tissue_versions=version,
            tissue_choice=choice,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Rectangle in level-0 pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of its middle."""
        return self.x + self.width / 2, self.y + self.height / 2


def stored_place(subject: Subject) -> Place:
    """Return the part of a subject where something is stored."""
    if subject.slide is not None:
        return Place(*subject.slide.bounds)
    layout = subject.layout
    assert layout is not None
    rows, columns = layout.shape
    inset = (layout.stride0 - layout.tile_size0) / 2
    x, y = layout.origin
    return Place(x - inset, y - inset, columns * layout.stride0, rows * layout.stride0)


def pixels_place(subject: Subject) -> Place:
    """Return the part of a subject that its pixels cover."""
    if subject.slide is not None:
        return Place(0, 0, *map(float, subject.slide.dimensions))
    if subject.kind is SubjectKind.FEATURES:
        return stored_place(subject)
    finest = subject.pixels.data[0] if subject.pixels.multiscale else subject.pixels.data
    height, width = finest.shape[:2]
    return Place(0, 0, width, height)


def coarsest_pixels(subject: Subject) -> np.ndarray:
    """Return the coarsest level of a subject, which is held in memory: uint8 (h, w, 3)."""
    pixels = subject.pixels
    return np.asarray(pixels.data[-1] if pixels.multiscale else pixels.data)


def outline_annotations(name: str, annotations: Annotations) -> AnnotationLayer:
    """Return the outlines of regions as segments, which are drawn fast whatever their number."""
    segments = []
    for region in annotations.regions:
        for ring in shapely.get_parts(shapely.boundary(region.area)):
            points = shapely.get_coordinates(ring)
            segments.append(np.stack([points[:-1], np.diff(points, axis=0)], 1))
    outlines = np.concatenate(segments) if segments else np.empty((0, 2, 2))
    classes = tuple(region.name or "" for region in annotations.regions)
    regions = annotations.regions
    return AnnotationLayer(name, outlines, classes, len(regions), regions)


@dataclass(frozen=True)
class Notice:
    """A refusal or a fault that stays until it is closed."""

    key: int
    text: str
    """One sentence: what, which file, what to do."""
    details: str = field(default="", repr=False)
    """Traceback of a defect; empty where an input is at fault."""
