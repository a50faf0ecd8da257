"""Report of one answer: a page of HTML that holds everything it shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from napari_mil.events import CancellationToken
from napari_mil.exports.facts import answer_words, calibration_words, provenance_of, remarks_of
from napari_mil.exports.figure import draw_legend, draw_slide
from napari_mil.exports.maps import title_of
from napari_mil.exports.overlay import overview
from napari_mil.exports.source import ExportSource
from napari_mil.slides import Slide

TEMPLATE = Path(__file__).with_name("report.html")
OVERLAY_PX, TEXT_PX = 1200, 24
"""Width of the overlay, and height of its letters, which are shown at about half of that."""
THUMBNAIL_PX = 480
TILE_PX = 224
LABEL_PX = 480
TOP = 8
"""Instances with the highest values that are shown."""
LABELS = ("label", "macro")
"""Associated images that can identify a patient."""
QUALITY = 88
"""Quality of JPEG."""
NO_SLIDE = "The slide was not given, so the tiles are shown without it and top tiles by position."


@dataclass(frozen=True)
class _Picture:
    title: str
    value: str
    data: str
    """URL that holds the pixels; empty without any."""


@dataclass(frozen=True)
class _Probability:
    name: str
    number: str
    percent: str
    wins: bool


def write_report(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a page that loads nothing from elsewhere; see `exporting.Writer`.

    It prints on a page of A4. The slide's label and macro image are shown only if the choices ask
    for them.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    shown = source.shown
    overlay, legend = _overlay(source, cancel)
    page = template.render(
        generator=f"napari-mil {version('napari-mil')}",
        title=source.title,
        classifier=source.prediction.classifier.get("name") or "classifier",
        count=_count(source),
        answer=answer_words(source),
        remarks=remarks_of(source),
        probabilities=_probabilities(source),
        calibration=_sentence(calibration_words(source)),
        pixels_word="Slide",
        thumbnail=_thumbnail(source, cancel),
        overlay=overlay,
        legend=legend,
        map_title=_map_title(source),
        top_title="" if shown is None else title_of(shown.key),
        no_overlay="" if overlay else source.lacks_positions,
        labels=_labels(source),
        tops=list(_tops(source, cancel)),
        facts=provenance_of(source),
    )
    path.write_text(page, encoding="utf-8")
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


def _probabilities(source: ExportSource) -> list[_Probability]:
    prediction = source.prediction
    return [
        _Probability(name, f"{p:.2f}", f"{100 * p:.1f}", name in prediction.labels)
        for name, p in zip(prediction.classes, prediction.probabilities.tolist(), strict=True)
    ]


def _thumbnail(source: ExportSource, cancel: CancellationToken) -> str:
    if source.slide is None:
        return ""
    return _jpeg(overview(source, (THUMBNAIL_PX, THUMBNAIL_PX), cancel).pixels)


def _overlay(source: ExportSource, cancel: CancellationToken) -> tuple[str, str]:
    """Return the slide with its overlay and the legend, or nothing where tiles have no place."""
    if source.lacks_positions:
        return "", ""
    legend = draw_legend(source, OVERLAY_PX, TEXT_PX)
    drawn = draw_slide(source, OVERLAY_PX, TEXT_PX, cancel)
    return _jpeg(np.asarray(drawn)), "" if legend is None else _png(legend)


def _labels(source: ExportSource) -> list[_Picture]:
    """Return the label and the macro image where they are asked for."""
    if not source.choices.with_label or source.slide is None:
        return []
    pictures = source.slide.associated_images
    return [
        _Picture(name.capitalize(), "", _jpeg(_small(pictures[name], LABEL_PX)))
        for name in LABELS
        if name in pictures
    ]


def _tops(source: ExportSource, cancel: CancellationToken) -> Iterator[_Picture]:
    """Yield the instances with the highest values that are coloured."""
    shown = source.shown
    if shown is None:
        return
    known = np.flatnonzero(~np.isnan(shown.values))
    order = known[np.argsort(-shown.values[known], kind="stable")]
    for instance in order[:TOP].tolist():
        cancel.raise_if_cancelled()
        pixels = _instance_pixels(source, instance)
        yield _Picture(
            _instance_title(source, instance),
            f"{shown.values[instance]:.3g}",
            "" if pixels is None else _jpeg(pixels),
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


def _jpeg(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _png(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
