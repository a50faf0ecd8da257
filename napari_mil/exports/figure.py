"""Pictures of an answer: overlay, legend with numbers, scale bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_mil.events import CancellationToken
from napari_mil.exports.colours import shade
from napari_mil.exports.facts import answer_words, calibration_words
from napari_mil.exports.glyphs import ALPHA, CELL, PATTERNS, Glyph
from napari_mil.exports.lettering import (
    bar_length,
    drawable,
    fitted,
    font_of,
    length_words,
)
from napari_mil.exports.maps import ScaleMode, title_of
from napari_mil.exports.overlay import BLACK, WHITE, is_dark, overview, palette, with_instances
from napari_mil.exports.source import ExportSource, Grouping, ValueMap

SCREEN_PX, SCREEN_DPI = 1600, 96
PRINT_PX, PRINT_DPI = 2480, 300
"""Width of an A4 page at 300 dots per inch."""
TALLEST = 1.25
"""Height of the slide's picture by its width at most."""
INK, GREY, PAPER = (30, 30, 30), (95, 95, 95), (255, 255, 255)
TEXT_SHARE = 0.0145
"""Height of letters by the width of a picture."""
BAR_SHARE = 0.25
"""Longest scale bar by the width of the slide's picture."""
RESEARCH_USE = "Research use only"
NO_SCALE = "The scale of the slide is unknown: the picture has no scale bar."
NO_VALUES = "The answer has no values of its instances: the picture shows the slide alone."


def write_screen_png(
    source: ExportSource, path: Path, cancel: CancellationToken
) -> tuple[str, ...]:
    """Write a picture for screens; see `exporting.Writer`."""
    return _write_png(source, path, cancel, SCREEN_PX, SCREEN_DPI)


def write_print_png(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a picture for print; see `exporting.Writer`."""
    return _write_png(source, path, cancel, PRINT_PX, PRINT_DPI)


def _write_png(
    source: ExportSource, path: Path, cancel: CancellationToken, width: int, dpi: int
) -> tuple[str, ...]:
    figure = draw_figure(source, width, cancel)
    figure.save(path, format="PNG", dpi=(dpi, dpi))
    remarks = []
    if source.mpp_xy is None:
        remarks.append(NO_SCALE)
    if source.shown is None and source.grouping is None:
        remarks.append(NO_VALUES)
    return tuple(remarks)


def draw_figure(source: ExportSource, width: int, cancel: CancellationToken) -> Image.Image:
    """Draw title, slide with overlay and scale bar, and legend.

    Parameters
    ----------
    source
        The answer; its instances have positions.
    width
        Pixels.
    cancel
        Asked while the slide is read.
    """
    return _Page(source, width).draw(cancel)


def draw_slide(
    source: ExportSource, width: int, text_px: int, cancel: CancellationToken
) -> Image.Image:
    """Draw the slide with overlay and scale bar alone, at most so many pixels wide."""
    picture = overview(source, (width, round(width * TALLEST)), cancel)
    image = Image.fromarray(with_instances(picture, source))
    _draw_scale_bar(image, source, picture.level0_per_pixel, text_px)
    return image


def draw_legend(source: ExportSource, width: int, text_px: int) -> Image.Image | None:
    """Draw the colour bar with its numbers, or the groups; None where nothing is coloured."""
    if source.grouping is not None:
        return _draw_groups(source.grouping, width, text_px)
    if source.shown is None:
        return None
    text = font_of(text_px)
    bar_height = text_px
    lines = 3.4 if source.shown.scale is ScaleMode.RANK else 2.4
    image = Image.new("RGB", (width, round(bar_height * (1.6 + lines))), PAPER)
    draw = ImageDraw.Draw(image)
    title = f"{title_of(source.shown.key)}{_scale_words(source.shown)}"
    draw.text((0, 0), fitted(title, text, width), INK, text)
    top = round(1.5 * bar_height)
    image.paste(_colour_bar(source, width, bar_height), (0, top))
    draw.rectangle((0, top, width - 1, top + bar_height), outline=GREY)
    for tick in _ticks(source.shown):
        label = "\n".join(drawable(line, text) for line in tick.lines)
        x = tick.share * (width - 1)
        draw.line((x, top + bar_height, x, top + 1.25 * bar_height), GREY, max(1, width // 400))
        box = draw.multiline_textbbox((0, 0), label, text)
        left = min(max(0, x - box[2] / 2), width - box[2])
        align = "left" if tick.share == 0 else "right" if tick.share == 1 else "center"
        draw.multiline_text((left, top + 1.35 * bar_height), label, INK, text, align=align)
    return image


def _draw_groups(grouping: Grouping, width: int, text_px: int) -> Image.Image:
    """Draw the title, and each group's glyph with its name and number of instances."""
    text = font_of(text_px)
    line = round(1.6 * text_px)
    swatch = CELL * max(1, text_px // CELL)
    places: list[tuple[int, int, str, Glyph]] = []
    x, y = 0, line
    for group in grouping.groups:
        words = fitted(f"{group.name}: {len(group.instances)}", text, width - 2 * line)
        across = swatch + round(0.4 * text_px + text.getlength(words) + 1.5 * text_px)
        if x and x + across > width:
            x, y = 0, y + line
        places.append((x, y, words, group.glyph))
        x += across
    image = Image.new("RGB", (width, y + line), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((0, 0), fitted(grouping.title, text, width), INK, text)
    for left, top, words, glyph in places:
        image.paste(_swatch(glyph, swatch), (left, top))
        draw.rectangle((left, top, left + swatch - 1, top + swatch - 1), outline=GREY)
        draw.text((left + swatch + 0.4 * text_px, top - 0.1 * text_px), words, INK, text)
    return image


def _swatch(glyph: Glyph, side: int) -> Image.Image:
    """Return a glyph as it lies on glass."""
    parts = side // CELL
    inked = np.kron(PATTERNS[glyph.pattern], np.ones((parts, parts), bool))[..., None]
    colour = np.array(tuple(bytes.fromhex(glyph.colour[1:])))
    pixels = np.where(inked, WHITE * (1 - ALPHA) + colour * ALPHA, WHITE)
    return Image.fromarray(pixels.astype(np.uint8))


@dataclass(frozen=True)
class _Tick:
    share: float
    """Place along the colour bar, 0 to 1."""
    lines: tuple[str, ...]


def _ticks(shown: ValueMap) -> list[_Tick]:
    """Return the numbers of a colour bar; ranks stand above the values that have them."""
    known = shown.values[~np.isnan(shown.values)]
    ticks = []
    lines: tuple[str, ...]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = shown.low + share * (shown.high - shown.low)
        if shown.scale is ScaleMode.LOG:
            lines = (f"{10**place:.2g}",)
        elif shown.scale is ScaleMode.RANK and len(known):
            lines = (f"{share:g}", f"{np.quantile(known, share):.2g}")
        else:
            lines = (f"{place:.3g}",)
        ticks.append(_Tick(share, lines))
    return ticks


def _scale_words(shown: ValueMap) -> str:
    words = {
        ScaleMode.RAW: "",
        ScaleMode.RANK: " (rank, and the value that has it)",
        ScaleMode.LOG: " (logarithmic)",
        ScaleMode.PERCENTILE: " (1st to 99th percentile)",
    }
    return words[shown.scale]


def _colour_bar(source: ExportSource, width: int, height: int) -> Image.Image:
    """Return the colours as they lie on glass, or on the dark of fluorescence."""
    ink = shade(np.linspace(0, 1, width), 0, 1, palette(source))
    ground = BLACK if is_dark(source) else WHITE
    colours = np.rint(ground * (1 - ink[:, 3:]) + ink[:, :3] * ink[:, 3:]).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(colours, (height, width, 3)).copy())


def _draw_scale_bar(
    image: Image.Image, source: ExportSource, level0_per_pixel: float, text_px: int
) -> None:
    """Draw a scale bar in a box at the lower left, where the scale is known."""
    if source.mpp_xy is None:
        return
    um_per_pixel = source.mpp_xy[0] * level0_per_pixel
    length = bar_length(BAR_SHARE * image.width * um_per_pixel)
    across = length / um_per_pixel
    text = font_of(text_px)
    words = drawable(length_words(length), text)
    pad = text_px // 2
    thick = max(2, text_px // 5)
    width = max(across, text.getlength(words)) + 2 * pad
    height = text_px * 1.3 + thick + 2 * pad
    left = pad
    top = image.height - height - pad
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, left + width, top + height), fill=PAPER, outline=GREY)
    draw.text((left + pad, top + pad), words, INK, text)
    below = top + height - pad
    draw.rectangle((left + pad, below - thick, left + pad + across, below), fill=INK)


class _Page:
    """Lays the parts of a figure below each other."""

    def __init__(self, source: ExportSource, width: int) -> None:
        self._source = source
        self._width = width
        self._margin = round(width * 0.02)
        self._text_px = round(width * TEXT_SHARE)
        self._text = font_of(self._text_px)
        self._large = font_of(round(1.5 * self._text_px))

    def draw(self, cancel: CancellationToken) -> Image.Image:
        """Draw everything."""
        inner = self._width - 2 * self._margin
        slide = draw_slide(self._source, inner, self._text_px, cancel)
        legend = draw_legend(self._source, inner, self._text_px)
        line = round(1.45 * self._text_px)
        head = self._margin + round(1.6 * line) + 2 * line
        foot = line + self._margin
        below = head + slide.height + self._margin
        legend_height = 0 if legend is None else legend.height + self._margin // 2
        page = Image.new("RGB", (self._width, below + legend_height + foot), PAPER)
        page.paste(slide, (self._margin + (inner - slide.width) // 2, head))
        if legend is not None:
            page.paste(legend, (self._margin, below))
        draw = ImageDraw.Draw(page)
        self._write(draw, self._margin, self._source.title, large=True)
        self._write(draw, self._margin + round(1.6 * line), self._answer())
        self._write(draw, page.height - foot, self._footer(), grey=True)
        return page

    def _write(
        self,
        draw: ImageDraw.ImageDraw,
        y: int,
        words: str,
        *,
        large: bool = False,
        grey: bool = False,
    ) -> None:
        font = self._large if large else self._text
        inner = self._width - 2 * self._margin
        draw.text((self._margin, y), fitted(words, font, inner), GREY if grey else INK, font)

    def _answer(self) -> str:
        source = self._source
        name = source.prediction.classifier.get("name") or "classifier"
        return f"{answer_words(source)} · {name} · {calibration_words(source)}"

    def _footer(self) -> str:
        n = self._source.prediction.n_instances
        plural = "" if n == 1 else "s"
        return f"{RESEARCH_USE} · {n} {self._source.noun}{plural}, uncoloured where there is none"
