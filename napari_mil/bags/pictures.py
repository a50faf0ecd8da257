"""Decoding of images as instances: any depth, channels, orientation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_mil.bags.instances import ImageInstance, ImageSource
from napari_mil.errors import BagError
from napari_mil.slides.channels import Channel, default_colour, render
from napari_mil.slides.image_backend import read_picture
from napari_mil.slides.pixels import PixelFormat, used_bits
from napari_mil.slides.tiff.layout import pixel_format
from napari_mil.slides.tiff.structure import MAGIC as TIFF_STARTS

LARGEST_MP = 100
"""Size limit of an image in megapixels.

An image is decoded whole; larger pictures are slides.
"""
SAMPLED_PAGES = 9
"""Pages of a stack from which the depth of all is estimated."""
ORIENTATION = 274
"""Tag that says how a camera was held."""
PILLOWS = (
    tifffile.PHOTOMETRIC.SEPARATED,
    tifffile.PHOTOMETRIC.CIELAB,
    tifffile.PHOTOMETRIC.ICCLAB,
    tifffile.PHOTOMETRIC.ITULAB,
)
"""Colour models of TIFF files that Pillow turns into RGB."""
Samples = tuple[np.ndarray, PixelFormat]
"""(h, w, samples) with the format that makes them RGB."""


def read_instance(image: ImageInstance, least_bits: int = 8) -> np.ndarray:
    """Decode an image as RGB on white.

    Values are divided by the depth of the camera, which is that of the brightest of its channels:
    images of 8 bits stay as they are, and none is stretched to its own brightest pixel.

    Parameters
    ----------
    image
        Its files and pages.
    least_bits
        Bits that are used at least, where other pages of the file tell.

    Returns
    -------
    np.ndarray
        uint8 (H, W, 3).

    Raises
    ------
    BagError
        If a file is damaged, no picture, or too large for an instance.
    """
    read = [_read_source(source) for source in image.sources]
    bits = max(least_bits, *(depth(raw, stored) for raw, stored in read))
    pictures = [_as_rgb(raw, stored, bits) for raw, stored in read]
    colours = [source.colour for source in image.sources]
    if len(pictures) == 1:
        return pictures[0]
    if len({picture.shape for picture in pictures}) > 1:
        sizes = " and ".join(
            sorted({f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures})
        )
        raise BagError(f"{image.name} has channels of {sizes} pixels; export them in one size.")
    # A channel that is saved in its colour is as bright as its brightest sample.
    light = np.stack([picture.max(2) for picture in pictures], 2)
    return _rendered(light, [colour or (255, 255, 255) for colour in colours])


def stack_depth(file: Path, pages: Sequence[int]) -> int:
    """Estimate the bits that pages of a stack use, from those of some that can be decoded.

    Parameters
    ----------
    file
        A TIFF.
    pages
        Numbers of the pages of its instances, from 0.
    """
    chosen = np.linspace(0, len(pages) - 1, min(len(pages), SAMPLED_PAGES)).astype(int)
    bits = 8
    for k in dict.fromkeys(chosen.tolist()):
        # A damaged page is named when it is read itself.
        with suppress(BagError):
            bits = max(bits, depth(*_read_pages(file, (pages[k],))))
    return bits


def depth(raw: np.ndarray, stored: PixelFormat) -> int:
    """Return the bits of pixels that are used: 8 to 16, as cameras have them; more where needed."""
    if stored.dtype.itemsize == 1 or stored.palette is not None:
        return 8
    largest = float(np.nan_to_num(raw).max(initial=0))
    if stored.dtype.kind == "f":
        # A share of 1 and a value of 255 are white; larger values were whole numbers once.
        return used_bits(largest, stored.dtype if largest <= 255 else np.dtype(np.uint32))
    return used_bits(largest, stored.dtype)


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, upright, if possible from its header.

    Raises
    ------
    BagError
        If it is damaged or no picture.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow decodes a PNG whole to look for a turn behind its pixels.
            has_turn = image.format != "PNG" or "exif" in image.info
            turn = image.getexif().get(ORIENTATION, 1) if has_turn else 1
            return (height, width) if turn >= 5 else (width, height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        height, width = read_instance(ImageInstance(path.name, (ImageSource(path),))).shape[:2]
        return width, height


def _read_source(source: ImageSource) -> Samples:
    """Decode the picture, or the projected pages, of a source."""
    path = source.file
    with _naming_damage(path), path.open("rb") as file:
        if file.read(4) not in TIFF_STARTS:
            with Image.open(file) as image:
                _check_size(path, *image.size)
                return read_picture(path, image)
    return _read_pages(path, source.pages or (0,))


def _read_pages(path: Path, pages: tuple[int, ...]) -> Samples:
    """Decode pages of a TIFF and project them by maximum."""
    with _naming_damage(path), tifffile.TiffFile(path) as file:
        first: Any = file.pages[pages[0]].aspage()
        _check_size(path, first.imagewidth, first.imagelength)
        if first.photometric in PILLOWS:
            with Image.open(path) as image:
                image.seek(pages[0])
                return read_picture(path, image)
        raw = _page_samples(first)
        for number in pages[1:]:
            raw = np.maximum(raw, _page_samples(file.pages[number]))
        tag = first.tags.get("Orientation")
        upright = _upright(raw, 1 if tag is None else int(tag.value))
        return upright, pixel_format(first)


def _page_samples(page: Any) -> np.ndarray:
    """Decode a page as (h, w, samples)."""
    page = page.aspage()
    pixels = page.asarray()
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels.reshape(page.imagelength, page.imagewidth, -1)


def _upright(raw: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels as the tag of their camera says."""
    if orientation >= 5:
        raw = np.swapaxes(raw, 0, 1)
    if orientation in (2, 3, 6, 7):
        raw = raw[:, ::-1]
    if orientation in (3, 4, 7, 8):
        raw = raw[::-1]
    return raw


def _as_rgb(raw: np.ndarray, stored: PixelFormat, bits: int) -> np.ndarray:
    """Return samples as uint8 (h, w, 3), black to the largest value of a depth."""
    if stored.is_rgb8:
        return raw
    if stored.dtype.kind == "f":
        raw = np.nan_to_num(raw)
        bits = 1 if bits == 8 and raw.max(initial=0) <= 1 else bits
    stored = replace(stored, bits=bits)
    n_colours = stored.samples - stored.has_alpha
    if n_colours in (1, 3):
        return stored.to_rgb(raw)
    # Pixels of as many samples have channels, not colours.
    grey = replace(stored, samples=1, has_alpha=False)
    light = np.stack([grey.to_rgb(raw[..., k : k + 1])[..., 0] for k in range(n_colours)], 2)
    return _rendered(light, [default_colour(k, n_colours) for k in range(n_colours)])


def _rendered(light: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Add up channels, uint8 (h, w, C), in their colours."""
    channels = [Channel("", colour, (0.0, 255.0), "uint8") for colour in colours]
    return render(light, channels)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_MP * 1e6:
        raise BagError(
            f"{path.name} has {width * height / 1e6:.0f} MP, "
            f"more than the {LARGEST_MP} of an instance; open it as a slide."
        )


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """Say of what file an error of a decoder is."""
    try:
        yield
    except BagError:
        raise
    except UnidentifiedImageError as error:
        raise BagError(
            f"{path.name} is no picture that can be decoded; save it as PNG or TIFF."
        ) from error
    except Exception as error:  # decoders meet damage with errors of many kinds
        raise _unreadable(path) from error


def _unreadable(path: Path) -> BagError:
    return BagError(f"{path.name} is a damaged picture that cannot be decoded; copy it again.")
