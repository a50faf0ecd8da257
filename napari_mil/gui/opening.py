"""Opening whatever a person dropped, in a thread: from a path to what the session takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.annotations import read_annotations
from napari_mil.bags import Bag, open_image_bag, read_bag
from napari_mil.bags.layout import Layout, layout_of_bag
from napari_mil.bags.names import bag_name
from napari_mil.errors import BagError, CheckpointError, NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.gui.model.recognition import PathKind, Recognised, recognise
from napari_mil.gui.model.scales import EnteredScale, ScaleScope
from napari_mil.gui.model.subjects import (
    AnnotationLayer,
    Pixels,
    SubjectKind,
    outline_annotations,
)
from napari_mil.gui.mosaic import Mosaic
from napari_mil.gui.reader import read_pyramid
from napari_mil.inference.card import ClassifierCard, read_card
from napari_mil.settings import Settings
from napari_mil.slides import SLIDE_EXTENSIONS, Slide, open_slide

WORK = "napari_mil.gui.work"
"""Loads torch; imported in threads alone."""
THUMBNAILS_WITHIN_S = 1.0
"""Time for thumbnails before a bag of images is shown; the others follow."""
ARRANGED_GREY = 225
"""Grey of instances whose pixels are not at hand."""
MOST_CELLS = 16e6
"""Cells of an arrangement that is drawn."""


@dataclass(frozen=True, eq=False)
class OpenedSubject:
    """A subject that was opened, before it has a key."""

    name: str
    kind: SubjectKind
    path: Path
    pixels: Pixels
    slide: Slide | None = None
    entered: ScaleScope | None = None
    """Slides that its scale was entered for, some time before."""
    images: Any = None
    bag: Bag | None = None
    layout: Layout | None = None
    remarks: tuple[str, ...] = ()
    mosaic: Mosaic | None = None
    """Arrangement whose thumbnails are not all there yet."""


@dataclass(frozen=True, eq=False)
class OpenedAnnotations:
    """Regions of a file, to be laid over the slide that is shown."""

    layer: AnnotationLayer
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OpenedClassifier:
    """A classifier that becomes a choice."""

    card: ClassifierCard


@dataclass(frozen=True)
class OpenedTraining:
    """An earlier run, annotated bags, or the figures of a classifier."""

    path: Path
    kind: PathKind


@dataclass(frozen=True)
class OpenedWorklist:
    """Slides and bags, or their results, that become a worklist."""

    path: Path


@dataclass(frozen=True)
class Refused:
    """A path that could not be opened, with the reason in one sentence."""

    text: str


Opened = (
    OpenedSubject | OpenedAnnotations | OpenedClassifier | OpenedTraining | OpenedWorklist | Refused
)


@dataclass(frozen=True)
class Opener:
    """Opens paths one after the other.

    Parameters
    ----------
    settings
        Cache sizes and thread counts.
    slides
        Slides that are open already, for features that lie on them.
    origin
        (x, y) in level-0 pixels that annotations of the shown slide count from.
    report
        Told faults of reading that happen later, in napari's reading thread.
    slide_mpp
        Micrometres per level-0 pixel of slides that say none or a wrong one.
    find_scale
        Finds the scale that a person entered for a slide some time before.
    """

    settings: Settings
    slides: Sequence[Slide] = ()
    origin: tuple[float, float] | None = None
    report: Callable[[str], None] = field(default=lambda text: None)
    slide_mpp: float | None = None
    find_scale: Callable[[Slide], EnteredScale | None] = field(default=lambda slide: None)

    def open(self, path: Path, cancel: CancellationToken) -> list[Opened]:
        """Open what a path is; what cannot be opened is refused in one sentence."""
        try:
            recognised = recognise(path)
        except NapariMilError as error:
            return [Refused(str(error))]
        opened: list[Opened] = []
        for each in recognised:
            cancel.raise_if_cancelled()
            try:
                opened.append(self._open(each, cancel))
            except NapariMilError as error:
                cancel.raise_if_cancelled()
                opened.append(Refused(str(error)))
        return opened

    def _open(self, recognised: Recognised, cancel: CancellationToken) -> Opened:
        path = recognised.path
        kind = recognised.kind
        if kind is PathKind.SLIDE:
            return self._open_slide(path)
        if kind is PathKind.IMAGES:
            return self._open_images(path, cancel)
        if kind is PathKind.FEATURES:
            return self._open_features_or_checkpoint(path)
        if kind is PathKind.CHECKPOINT:
            return OpenedClassifier(open_checkpoint(path))
        if kind is PathKind.CLASSIFIER:
            return OpenedClassifier(read_card(path.resolve()))
        if kind is PathKind.ANNOTATIONS:
            return self._open_annotations(path)
        if kind is PathKind.WORKLIST:
            return OpenedWorklist(path)
        return OpenedTraining(path, kind)

    def _open_slide(self, path: Path) -> OpenedSubject:
        slide, entered = self._open_at_scale(path)
        return OpenedSubject(
            name=slide.name,
            kind=SubjectKind.SLIDE,
            path=path,
            pixels=self._pixels_of(slide),
            slide=slide,
            entered=entered,
            remarks=tuple(finding.text for finding in slide.warnings),
        )

    def _open_at_scale(self, path: Path) -> tuple[Slide, ScaleScope | None]:
        """Open a slide at the scale that is given now, was entered before, or is the file's."""
        slide = open_slide(path, self.slide_mpp, settings=self.settings)
        if self.slide_mpp is not None:
            return slide, None
        with ExitStack() as stack:
            stack.callback(slide.close)
            found = self.find_scale(slide)
            if found is not None:
                return slide.with_mpp(found.mpp), found.scope
            stack.pop_all()
        return slide, None

    def _open_images(self, folder: Path, cancel: CancellationToken) -> OpenedSubject:
        images = open_image_bag(folder)
        mosaic = Mosaic(images, self.settings.reader_threads)
        until = time.monotonic() + THUMBNAILS_WITHIN_S
        mosaic.make_thumbnails(cancel, lambda: time.monotonic() < until)
        remarks = [f"{finding.path.name}: {finding.text}" for finding in images.findings]
        if mosaic.unreadable:
            names = sorted(images.names[i] for i in mosaic.unreadable)
            remarks.append(f"{len(names)} images cannot be read, {names[0]} for one.")
        return OpenedSubject(
            name=folder.name,
            kind=SubjectKind.IMAGES,
            path=folder,
            pixels=mosaic.pixels(),
            images=images,
            layout=mosaic.layout,
            remarks=tuple(remarks),
            mosaic=None if mosaic.is_whole else mosaic,
        )

    def _open_features_or_checkpoint(self, path: Path) -> Opened:
        try:
            return self._open_features(path)
        except (BagError, CheckpointError) as no_features:
            try:
                return OpenedClassifier(open_checkpoint(path))
            except NapariMilError:
                raise no_features from None

    def _open_features(self, path: Path) -> OpenedSubject:
        slide, opened = self._slide_of(path)
        try:
            bag = read_bag(path, slide)
        except NapariMilError:
            if opened and slide is not None:
                slide.close()
            raise
        if slide is not None and (bag.coords is None or not _lies_on(bag, slide)):
            if opened:
                slide.close()
            slide = None
        remarks = tuple(finding.text for finding in bag.warnings)
        layout = layout_of_bag(bag)
        pixels = arranged_pixels(layout) if slide is None else self._pixels_of(slide)
        return OpenedSubject(
            name=f"{bag_name(path)} (features)",
            kind=SubjectKind.FEATURES,
            path=path,
            pixels=pixels,
            slide=slide,
            bag=bag,
            layout=layout,
            remarks=remarks,
        )

    def _pixels_of(self, slide: Slide) -> Pixels:
        levels = read_pyramid(slide, self.report)
        multiscale = len(levels) > 1
        return Pixels(levels if multiscale else levels[0], multiscale)

    def _slide_of(self, path: Path) -> tuple[Slide | None, bool]:
        """Return the slide that a feature file belongs to, and whether it was opened for it."""
        name = bag_name(path)
        for slide in self.slides:
            if bag_name(slide.path) == name:
                # A twin, so that each is closed by itself.
                return slide.with_scale(slide.scale), True
        for ending in SLIDE_EXTENSIONS:
            beside = path.with_name(f"{name}{ending}")
            if beside.is_file():
                try:
                    return self._open_at_scale(beside)[0], True
                except NapariMilError:
                    continue
        return None, False

    def _open_annotations(self, path: Path) -> OpenedAnnotations:
        if self.origin is None:
            raise NapariMilError(
                f"{path.name} holds annotations; open their slide first, then drop them again."
            )
        annotations = read_annotations(path, self.origin)
        if not annotations.regions:
            raise NapariMilError(f"{path.name} holds no region with an area; nothing is shown.")
        remarks = tuple(f"{path.name}: {remark}" for remark in annotations.remarks)
        return OpenedAnnotations(outline_annotations(path.name, annotations), remarks)


def open_checkpoint(path: Path) -> ClassifierCard:
    """Return the card of another project's checkpoint.

    Raises
    ------
    CheckpointError
        If it cannot be opened safely, or is of no known project.
    """
    card: ClassifierCard = import_module(WORK).card_of_checkpoint(path)
    return card


def arranged_pixels(layout: Layout) -> Pixels:
    """Return a picture of the cells of a bag whose slide is not at hand, an element a cell.

    Raises
    ------
    BagError
        If its coordinates are too far apart.
    """
    rows, columns = layout.shape
    if rows * columns > MOST_CELLS:
        raise BagError("Its coordinates are too far apart to be arranged.")
    cells = np.where(layout.index >= 0, ARRANGED_GREY, 255).astype(np.uint8)
    return Pixels(np.repeat(cells[:, :, None], 3, 2))


def _lies_on(bag: Bag, slide: Slide) -> bool:
    """Say whether the coordinates of a bag lie within a slide."""
    assert bag.coords is not None
    width, height = slide.dimensions
    x, y = bag.coords.max(0)
    return bool(x <= width and y <= height and bag.coords.min() >= -(bag.tile_size0 or 0))
