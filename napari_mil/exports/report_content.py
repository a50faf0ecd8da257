"""What a report of one answer shows, whatever file it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.exports.facts import (
    Fact,
    answer_words,
    calibration_words,
    provenance_of,
    remarks_of,
)
from napari_mil.exports.figure import draw_legend, draw_slide
from napari_mil.exports.maps import title_of
from napari_mil.exports.overlay import overview
from napari_mil.exports.source import ExportSource
from napari_mil.slides import Slide

OVERLAY_PX, TEXT_PX = 1200, 24
"""Width of the overlay, and height of its letters, which are shown at about half of that."""
THUMBNAIL_PX = 480
TILE_PX = 224
LABEL_PX = 480
TOP = 8
"""Instances with the highest values that are shown."""
LABELS = ("label", "macro")
"""Associated images that can identify a patient."""
NO_SLIDE = "The slide was not given, so the tiles are shown without it and top tiles by position."


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture with its words."""

    title: str
    pixels: np.ndarray | None
    """uint8 (H, W, 3); None where there are no pixels."""
    value: str = ""


@dataclass(frozen=True)
class Probability:
    """Probability of one class."""

    name: str
    value: float
    wins: bool


@dataclass(frozen=True, eq=False)
class Report:
    """One answer, in the order that a report shows it."""

    generator: str
    title: str
    classifier: str
    count: str
    answer: str
    remarks: tuple[str, ...]
    """What is less certain than it looks, one sentence each."""
    probabilities: tuple[Probability, ...]
    calibration: str
    thumbnail: np.ndarray | None
    """uint8 (H, W, 3)."""
    labels: tuple[Shown, ...]
    """Label and macro image, where they were asked for."""
    map_title: str
    overlay: np.ndarray | None
    """uint8 (H, W, 3); None where tiles have no place."""
    no_overlay: str
    """Why there is none."""
    legend: np.ndarray | None
    """uint8 (H, W, 3 or 4)."""
    top_title: str
    tops: tuple[Shown, ...]
    """Instances with the highest values."""
    facts: tuple[Fact, ...]
    """What the answer came from, and how."""


def report_of(source: ExportSource, cancel: CancellationToken) -> Report:
    """Gather what a report shows.

    The slide's label and macro image are there only if the choices ask for them.
    """
    shown = source.shown
    overlay, legend = _overlay(source, cancel)
    return Report(
        generator=f"napari-mil {version('napari-mil')}",
        title=source.title,
        classifier=source.prediction.classifier.get("name") or "classifier",
        count=_count(source),
        answer=answer_words(source),
        remarks=remarks_of(source),
        probabilities=_probabilities(source),
        calibration=_sentence(calibration_words(source)),
        thumbnail=_thumbnail(source, cancel),
        labels=_labels(source),
        map_title=_map_title(source),
        overlay=overlay,
        no_overlay="" if overlay is not None else source.lacks_positions,
        legend=legend,
        top_title="" if shown is None else title_of(shown.key),
        tops=tuple(_tops(source, cancel)),
        facts=provenance_of(source),
    )


def remarks_on(source: ExportSource) -> tuple[str, ...]:
    """Return what a reader of the file should know."""
    return (NO_SLIDE,) if source.slide is None and not source.lacks_positions else ()


def _count(source: ExportSource) -> str:
    n = source.prediction.n_instances
    return f"1 {source.noun}" if n == 1 else f"{n} {source.noun}s"


def _map_title(source: ExportSource) -> str:
    if source.grouping is not None:
        return source.grouping.title
    return "" if source.shown is None else title_of(source.shown.key)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _probabilities(source: ExportSource) -> tuple[Probability, ...]:
    prediction = source.prediction
    return tuple(
        Probability(name, p, name in prediction.labels)
        for name, p in zip(prediction.classes, prediction.probabilities.tolist(), strict=True)
    )


def _thumbnail(source: ExportSource, cancel: CancellationToken) -> np.ndarray | None:
    if source.slide is None:
        return None
    return overview(source, (THUMBNAIL_PX, THUMBNAIL_PX), cancel).pixels


def _overlay(
    source: ExportSource, cancel: CancellationToken
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the slide with its overlay and the legend, or nothing where tiles have no place."""
    if source.lacks_positions:
        return None, None
    legend = draw_legend(source, OVERLAY_PX, TEXT_PX)
    drawn = draw_slide(source, OVERLAY_PX, TEXT_PX, cancel)
    return np.asarray(drawn), None if legend is None else np.asarray(legend)


def _labels(source: ExportSource) -> tuple[Shown, ...]:
    """Return the label and the macro image where they are asked for."""
    if not source.choices.with_label or source.slide is None:
        return ()
    pictures = source.slide.associated_images
    return tuple(
        Shown(name.capitalize(), _small(pictures[name], LABEL_PX))
        for name in LABELS
        if name in pictures
    )


def _tops(source: ExportSource, cancel: CancellationToken) -> Iterator[Shown]:
    """Yield the instances with the highest values that are coloured."""
    shown = source.shown
    if shown is None:
        return
    known = np.flatnonzero(~np.isnan(shown.values))
    order = known[np.argsort(-shown.values[known], kind="stable")]
    for instance in order[:TOP].tolist():
        cancel.raise_if_cancelled()
        yield Shown(
            _instance_title(source, instance),
            _instance_pixels(source, instance),
            f"{shown.values[instance]:.3g}",
        )


def _instance_title(source: ExportSource, instance: int) -> str:
    prediction = source.prediction
    if prediction.names is not None:
        return prediction.names[instance]
    if prediction.coords is None:
        return f"{source.noun} {instance}"
    x, y = prediction.coords[instance].tolist()
    return f"{source.noun} {instance} at x {x}, y {y}"


def _instance_pixels(source: ExportSource, instance: int) -> np.ndarray | None:
    """Read an instance at about the size that it is shown in; None without pixels."""
    if source.images is not None:
        return _small(source.images.read(instance), TILE_PX)
    if source.slide is None or source.lacks_positions:
        return None
    return _tile_pixels(source.slide, source, instance)


def _tile_pixels(slide: Slide, source: ExportSource, instance: int) -> np.ndarray:
    width, height = source.tile_size
    level = slide.best_level_for_downsample(max(1.0, width / TILE_PX))
    downsample = slide.level_downsamples[level]
    size = (max(1, round(width / downsample)), max(1, round(height / downsample)))
    x, y = source.corners[instance].tolist()
    window = slide.read_region((x, y), level, size)
    upright = (TILE_PX, max(1, round(TILE_PX * height * source.aspect / width)))
    return np.asarray(Image.fromarray(window).resize(upright, Image.Resampling.LANCZOS))


def _small(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Return a picture that is at most so many pixels long."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest))
    return np.asarray(picture)
