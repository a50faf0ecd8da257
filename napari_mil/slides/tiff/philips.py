"""Levels, scale and pictures of the glass of Philips TIFF files.

Their levels are stored as whole tiles, so that the sizes in the directories are too large; the XML
of the first directory says how coarse each level is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
import simplejpeg

from napari_mil.slides.damage import DamagedPixelsError
from napari_mil.slides.tiff.xml_text import parsed

SOFTWARE = "Philips"
"""Start of the Software tag."""
ROOT = ("DataObject", "DPUfsImport")
"""Name and ObjectType of the root of the XML."""
IMAGES = "PIM_DP_SCANNED_IMAGES"
IMAGE_TYPE = "PIM_DP_IMAGE_TYPE"
IMAGE_DATA = "PIM_DP_IMAGE_DATA"
LEVELS = "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"
SPACING = "DICOM_PIXEL_SPACING"
SLIDE = "WSI"
PICTURES = {"label": "LABELIMAGE", "macro": "MACROIMAGE"}
"""Types of the pictures in the XML, by our names."""
LARGEST_PICTURE = 100_000_000
"""Pixels of a label or macro at most."""


@dataclass(frozen=True)
class PhilipsNotes:
    """What the XML of a Philips TIFF says."""

    spacing: tuple[float, float] | None
    """Micrometres per level-0 pixel along x and y."""
    downsamples: tuple[int, ...]
    """Level-0 pixels per pixel of each level; empty where the XML does not tell."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Entries of the slide, as OpenSlide names them."""
    pictures: tuple[str, ...] = ()
    """Names of the pictures of the glass in the XML."""


def is_philips(file: Any) -> bool:
    """Say whether a `tifffile.TiffFile` was written by a Philips scanner."""
    page = file.pages.first
    return page.software.startswith(SOFTWARE) and _root(page.description) is not None


def read_philips(description: str) -> PhilipsNotes:
    """Read the XML of the first directory."""
    root = _root(description)
    slide = None if root is None else _image(root, SLIDE)
    if root is None or slide is None:
        return PhilipsNotes(None, ())
    properties = {f"philips.{name}": text for name, text in _texts(root)}
    properties |= {f"philips.{name}": text for name, text in _texts(slide)}
    spacing = _spacing(properties.get(f"philips.{SPACING}", ""))
    pictures = tuple(name for name, kind in PICTURES.items() if _image(root, kind) is not None)
    return PhilipsNotes(spacing, _downsamples(slide), properties, pictures)


def read_picture(description: str, name: str) -> np.ndarray:
    """Decode the label or macro in the XML: uint8 (h, w, 3).

    Raises
    ------
    DamagedPixelsError
        If it cannot be decoded.
    """
    root = _root(description)
    image = None if root is None else _image(root, PICTURES[name])
    text = "" if image is None else dict(_texts(image, with_data=True)).get(IMAGE_DATA, "")
    try:
        data = base64.b64decode(text)
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > LARGEST_PICTURE:
            raise DamagedPixelsError(f"{width} x {height} pixels")
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "RGB")
    except (binascii.Error, ValueError) as error:
        raise DamagedPixelsError(f"JPEG: {error}") from error
    return pixels


def _root(description: str) -> ElementTree.Element | None:
    """Return the root of the XML, or None of other descriptions."""
    if ROOT[1] not in description[:2000]:
        return None
    root = parsed(description)
    is_known = root is not None and (root.tag, root.get("ObjectType")) == ROOT
    return root if is_known else None


def _attribute(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """Return the attribute of an object by its name."""
    return next((child for child in element if child.get("Name") == name), None)


def _members(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the objects of an attribute that is an array."""
    attribute = _attribute(element, name)
    return [] if attribute is None else attribute.findall("Array/DataObject")


def _image(root: ElementTree.Element, kind: str) -> ElementTree.Element | None:
    """Return the first scanned image of a type."""
    for image in _members(root, IMAGES):
        attribute = _attribute(image, IMAGE_TYPE)
        if attribute is not None and (attribute.text or "").strip() == kind:
            return image
    return None


def _texts(element: ElementTree.Element, *, with_data: bool = False) -> Iterator[tuple[str, str]]:
    """Yield name and text of the attributes of an object, but for pictures and arrays."""
    for child in element:
        name = child.get("Name")
        if name and len(child) == 0 and (with_data or name != IMAGE_DATA):
            yield name, child.text or ""


def _spacing(text: str) -> tuple[float, float] | None:
    """Return micrometres (x, y) of the millimetres of a row and of a column, or None."""
    numbers = re.findall(r"[0-9.eE+-]+", text)
    try:
        row, column = map(float, numbers)
    except ValueError:
        return None
    return (1e3 * column, 1e3 * row) if row > 0 and column > 0 else None


def _downsamples(slide: ElementTree.Element) -> tuple[int, ...]:
    """Return how coarse each level is: the spacings of its pixels, in whole steps."""
    found = []
    for member in _members(slide, LEVELS):
        attribute = _attribute(member, SPACING)
        found.append(None if attribute is None else _spacing(attribute.text or ""))
    spacings = [spacing for spacing in found if spacing is not None]
    if not spacings or len(spacings) < len(found):
        return ()
    x0, y0 = spacings[0]
    return tuple(max(1, round((x / x0 + y / y0) / 2)) for x, y in spacings)
