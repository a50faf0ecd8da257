"""Multi-page TIFF files: pages as instances, depth projected, channels together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_mil.bags.instances import ImageInstance, ImageSource
from napari_mil.slides.channels import default_colour
from napari_mil.slides.tiff.layout import RGB_MODELS, Axes, axes_of
from napari_mil.slides.tiff.metadata import ChannelNote, read_notes

OF_ONE_IMAGE = ("svs", "qpi", "ndpi", "scn", "bif", "philips")
"""Layouts whose further series are a slide's label, macro and thumbnail."""
SIDE_IMAGES = ("label", "macro", "thumbnail", "overview")
"""Beginnings of the names of series that are no fields."""


@dataclass(frozen=True)
class Stack:
    """Instances of one TIFF file, and why there are so many."""

    images: tuple[ImageInstance, ...]
    n_planes: int = 1
    """Planes of depth of an instance."""
    is_projected: bool = True
    """Whether planes are projected; of brightfield colours the middle one is taken."""
    channels: tuple[str, ...] = ()
    """Names of the channels of an instance."""
    is_nameless: bool = False
    """Whether an axis of pages has no name in the file."""
    n_left_out: int = 0
    """Planes that are not used, because they lie in no page of their own or in a missing file."""

    @property
    def files(self) -> set[Path]:
        """Files that it is spread over."""
        return {source.file for image in self.images for source in image.sources}


class _IncompleteError(Exception):
    """A series whose planes are not all pages of files at hand."""

    def __init__(self, n_planes: int) -> None:
        super().__init__(n_planes)
        self.n_planes = n_planes


def read_stack(path: Path) -> Stack:
    """Read the directories of a TIFF file and say which instances it holds.

    Every page is one, in the order of the file. Planes of depth (axis Z) are one: projected by
    maximum, or the middle one of colours, as the maximum of light that passed through tissue is
    glass. Channels (axis C) are one together. Pages of which the file says nothing, or only that
    they are one array (axis Q), may be depth, time or fields, and count as fields: projecting
    fields would lose them.

    A damaged file is one instance, whose reading says what is wrong.
    """
    plain = ImageInstance(path.name, (ImageSource(path),))
    try:
        with tifffile.TiffFile(path) as file:
            return _stack_of(path, file)
    except _IncompleteError as error:
        return Stack((plain,), n_left_out=error.n_planes - 1)
    except Exception:  # tifffile meets damage with errors of many kinds
        return Stack((plain,))


def _stack_of(path: Path, file: Any) -> Stack:
    images: list[ImageInstance] = []
    n_planes = 1
    is_colour = False
    channels: tuple[str, ...] = ()
    is_nameless = False
    for series in _fields(file):
        axes = axes_of(series)
        notes = read_notes(file, series).channels
        images += _instances_of(path, series, axes, notes)
        lengths = dict(zip(axes.names, axes.shape, strict=True))
        n_planes = max(n_planes, lengths.get("Z", 1))
        is_colour = is_colour or series.keyframe.photometric in RGB_MODELS
        is_nameless = is_nameless or max(lengths.get("I", 1), lengths.get("Q", 1)) > 1
        if axes.n_channels > 1:
            channels = channels or _channel_names(notes, axes.n_channels)
    images.sort(key=lambda image: image.sources[0].pages[0])
    if len(images) == 1 and [source.pages for source in images[0].sources] == [(0,)]:
        # A picture with smaller copies of itself is read as any picture.
        images = [ImageInstance(path.name, (ImageSource(path),), images[0].size)]
    if len(images) > 1:
        names = (f"{path.name} [page {k}]" for k in range(1, len(images) + 1))
        images = [
            ImageInstance(name, image.sources, image.size)
            for name, image in zip(names, images, strict=True)
        ]
    return Stack(tuple(images), n_planes, not is_colour, channels, is_nameless)


def _fields(file: Any) -> list[Any]:
    """Return the series of a file that are fields, not a slide's label or a smaller copy."""
    first = file.series[0]
    if first.kind in OF_ONE_IMAGE:
        return [first]
    return [
        series
        for series in file.series
        if series is first
        or not (series.keyframe.is_reduced or series.name.lower().startswith(SIDE_IMAGES))
    ]


def _instances_of(
    path: Path, series: Any, axes: Axes, notes: tuple[ChannelNote, ...]
) -> Iterator[ImageInstance]:
    """Yield the instances of a series, all named after the file."""
    pages = series.pages
    n_pages = int(np.prod(axes.shape, dtype=int))
    if len(pages) != n_pages or any(page is None for page in pages):
        raise _IncompleteError(n_pages)
    page = series.keyframe
    tag = page.tags.get("Orientation")
    size = (page.imagewidth, page.imagelength)
    if tag is not None and tag.value >= 5:
        size = size[::-1]
    is_colour = page.photometric in RGB_MODELS
    for places in _places(axes, is_colour=is_colour):
        sources = []
        for k, of_channel in enumerate(places):
            colour = None
            if len(places) > 1:
                noted = notes[k].colour if k < len(notes) else None
                colour = noted or default_colour(k, len(places))
            chosen = [pages[place] for place in of_channel]
            numbers = tuple(page.index for page in chosen)
            sources.append(ImageSource(_file_of(chosen[0], path), numbers, colour))
        yield ImageInstance(path.name, tuple(sources), size)


def _places(axes: Axes, *, is_colour: bool) -> Iterator[list[list[int]]]:
    """Yield for every instance the numbers of its planes, a list a channel."""
    numbers = np.arange(np.prod(axes.shape, dtype=int)).reshape(axes.shape)
    for name in "ZC":
        if name in axes.names:
            where = axes.names.index(name)
            axes = Axes(
                axes.names[:where] + axes.names[where + 1 :] + name,
                (*axes.shape[:where], *axes.shape[where + 1 :], axes.shape[where]),
            )
            numbers = np.moveaxis(numbers, where, -1)
        else:
            numbers = numbers[..., None]
    # Depth comes before channels now.
    for instance in numbers.reshape(-1, *numbers.shape[-2:]):
        depth = instance[[len(instance) // 2]] if is_colour else instance
        yield depth.T.tolist()


def _file_of(page: Any, path: Path) -> Path:
    """Return the file of a page: OME-TIFF may spread planes over several."""
    handle = page.parent.filehandle
    return path if handle.name == path.name else path.parent / handle.name


def _channel_names(notes: tuple[ChannelNote, ...], count: int) -> tuple[str, ...]:
    names = [note.name for note in notes[:count]]
    names += [""] * (count - len(names))
    return tuple(name or f"channel {k}" for k, name in enumerate(names, 1))
