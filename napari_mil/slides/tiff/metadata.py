"""What a TIFF file says about itself: vendor, scale, channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from napari_mil.slides.resolution import MICROMETRES, ScaleSource
from napari_mil.slides.tiff.philips import is_philips, read_philips
from napari_mil.slides.tiff.xml_text import parsed

INCH = 2
CENTIMETRE = 3
TEXT_TAGS = ("ImageDescription", "Software", "DateTime", "Make", "Model", "Artist", "HostComputer")
LARGEST_POWER = 200
"""Magnification of an objective at most."""
NUMBER_TAGS = ("XResolution", "YResolution", "ResolutionUnit")


@dataclass(frozen=True)
class ChannelNote:
    """Name and colour of a channel, as far as a file gives them."""

    name: str = ""
    colour: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class TiffNotes:
    """What a TIFF file says about itself."""

    vendor: str
    """OpenSlide's name of the format, or one like it."""
    mpp_xy: tuple[float, float] | None = None
    """Micrometres per level-0 pixel along x and y, not yet judged."""
    source: ScaleSource = ScaleSource.UNKNOWN
    properties: Mapping[str, str] = field(default_factory=dict)
    """Entries of the file, as OpenSlide names them."""
    channels: tuple[ChannelNote, ...] = ()
    """Notes on the channels, in their order."""


def read_notes(file: Any, series: Any) -> TiffNotes:
    """Read what a file says about its first series.

    Parameters
    ----------
    file
        A `tifffile.TiffFile`.
    series
        Its series of the slide (`tifffile.TiffPageSeries`).
    """
    page = series.keyframe
    properties = _tag_properties(page)
    readers = {"svs": _aperio, "ome": _ome, "qpi": _perkin_elmer, "imagej": _imagej}
    reader = _philips if is_philips(file) else readers.get(series.kind, _generic)
    notes = reader(file, series, properties)
    if notes.mpp_xy is not None:
        for axis, mpp in zip("xy", notes.mpp_xy, strict=True):
            properties[f"openslide.mpp-{axis}"] = repr(mpp)
    properties["openslide.vendor"] = notes.vendor
    return notes


def _generic(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    mpp_xy = _tag_scale(series.keyframe)
    source = ScaleSource.UNKNOWN if mpp_xy is None else ScaleSource.TIFF
    return TiffNotes("generic-tiff", mpp_xy, source, properties)


def _aperio(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    entries = aperio_entries(series.keyframe.description)
    properties |= {f"aperio.{key}": value for key, value in entries.items()}
    if "AppMag" in entries:
        properties["openslide.objective-power"] = entries["AppMag"]
    try:
        mpp = float(entries["MPP"])
    except (KeyError, ValueError):
        return TiffNotes("aperio", properties=properties)
    return TiffNotes("aperio", (mpp, mpp), ScaleSource.OPENSLIDE, properties)


def aperio_entries(description: str) -> dict[str, str]:
    """Return the ``key = value`` entries of an Aperio description."""
    pairs = (part.split("=", 1) for part in description.split("|")[1:] if "=" in part)
    return {key.strip(): value.strip() for key, value in pairs}


def _philips(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    notes = read_philips(file.pages.first.description)
    # The XML holds a picture of the label.
    properties.pop("tiff.ImageDescription", None)
    properties |= notes.properties
    derivation = notes.properties.get("philips.DICOM_DERIVATION_DESCRIPTION", "")
    power = re.search(r"\blevels=(\d+)", derivation.partition("sourceFilename")[0])
    if power and 0 < int(power[1]) <= LARGEST_POWER:
        properties["openslide.objective-power"] = power[1]
    source = ScaleSource.UNKNOWN if notes.spacing is None else ScaleSource.OPENSLIDE
    return TiffNotes("philips", notes.spacing, source, properties)


def _perkin_elmer(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    description = series.keyframe.description
    found = re.search(r"<PixelSizeMicrons>\s*([0-9.eE+-]+)\s*<", description)
    if found:
        mpp = float(found[1])
        mpp_xy: tuple[float, float] | None = (mpp, mpp)
        source = ScaleSource.VENDOR
    else:
        mpp_xy = _tag_scale(series.keyframe)
        source = ScaleSource.UNKNOWN if mpp_xy is None else ScaleSource.TIFF
    notes = tuple(_perkin_elmer_channel(page) for page in series.pages)
    return TiffNotes("perkinelmer", mpp_xy, source, properties, notes)


def _perkin_elmer_channel(page: Any) -> ChannelNote:
    root = parsed(getattr(page, "description", "") or "")
    if root is None:
        return ChannelNote()
    name = (root.findtext("Name") or "").strip()
    numbers = re.findall(r"\d+", root.findtext("Color") or "")
    if len(numbers) != 3:
        return ChannelNote(name)
    red, green, blue = (min(int(number), 255) for number in numbers)
    return ChannelNote(name, (red, green, blue))


def _imagej(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    entries = file.imagej_metadata or {}
    micrometres = MICROMETRES.get(str(entries.get("unit", "")).lower())
    pixels_per_unit = _tag_resolution(series.keyframe)
    if micrometres is None or pixels_per_unit is None:
        return TiffNotes("imagej", properties=properties)
    x, y = (micrometres / pixels for pixels in pixels_per_unit)
    return TiffNotes("imagej", (x, y), ScaleSource.TIFF, properties)


def _ome(file: Any, series: Any, properties: dict[str, str]) -> TiffNotes:
    root = parsed(file.ome_metadata or "")
    pixels = _ome_pixels(root, series)
    if pixels is None:
        return _generic(file, series, properties)
    mpp_xy = ome_scale(pixels)
    notes = tuple(
        ChannelNote(child.get("Name", ""), ome_colour(child.get("Color")))
        for child in pixels
        if _local(child) == "Channel"
    )
    source = ScaleSource.UNKNOWN if mpp_xy is None else ScaleSource.OME
    return TiffNotes("ome-tiff", mpp_xy, source, properties, notes)


def ome_scale(pixels: ElementTree.Element) -> tuple[float, float] | None:
    """Return the physical size of a pixel (x, y) in micrometres, or None."""
    sizes = []
    for axis in "XY":
        unit = MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
        try:
            size = float(pixels.get(f"PhysicalSize{axis}", ""))
        except ValueError:
            return None
        if unit is None:
            return None
        sizes.append(size * unit)
    return sizes[0], sizes[1]


def ome_colour(text: str | None) -> tuple[int, int, int] | None:
    """Return the colour of OME's signed RGBA integer, or None; black counts as none."""
    try:
        rgba = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    colour = (rgba >> 24, rgba >> 16 & 255, rgba >> 8 & 255)
    return colour if any(colour) else None


def _ome_pixels(root: ElementTree.Element | None, series: Any) -> ElementTree.Element | None:
    """Return the element with the size of the series, the first of several."""
    if root is None:
        return None
    page = series.keyframe
    size = (str(page.imagewidth), str(page.imagelength))
    for element in root.iter():
        if _local(element) == "Pixels" and (element.get("SizeX"), element.get("SizeY")) == size:
            return element
    return None


def _local(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _tag_properties(page: Any) -> dict[str, str]:
    properties = {}
    for name in (*TEXT_TAGS, *NUMBER_TAGS):
        tag = page.tags.get(name)
        if tag is None:
            continue
        value = _number(tag.value) if name in NUMBER_TAGS else tag.value
        properties[f"tiff.{name}"] = str(value)
    return properties


def _number(value: Any) -> float:
    """Return the number of a tag, whichever type a writer gave it; 0 for none."""
    if not isinstance(value, tuple):
        return float(value)
    if len(value) < 2:
        return float(value[0]) if value else 0.0
    numerator, denominator = value[:2]
    return float(numerator / denominator) if denominator else 0.0


def _tag_resolution(page: Any) -> tuple[float, float] | None:
    """Return pixels per unit along x and y from the resolution tags, or None."""
    tags = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    x, y = (0.0 if tag is None else _number(tag.value) for tag in tags)
    return (x, y) if x > 0 and y > 0 else None


def _tag_scale(page: Any) -> tuple[float, float] | None:
    """Return micrometres per pixel (x, y) from the resolution tags, or None."""
    tag = page.tags.get("ResolutionUnit")
    value = INCH if tag is None else tag.value
    unit = int(value[0] if isinstance(value, tuple) else value)
    micrometres = {INCH: MICROMETRES["inch"], CENTIMETRE: MICROMETRES["cm"]}.get(unit)
    resolution = _tag_resolution(page)
    if micrometres is None or resolution is None:
        return None
    x, y = (micrometres / pixels for pixels in resolution)
    return x, y
