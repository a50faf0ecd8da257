"""Folders of images as bags.

Each image is an instance and keeps its name and size.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from napari_mil.errors import BagError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Endings of image files."""
LARGEST_MP = 100
"""Size limit of an image in megapixels.

An image is decoded whole; larger pictures are slides.
"""


@dataclass(frozen=True)
class ImageBag:
    """Images of one folder in natural order of their names.

    An image is decoded when it is read.
    """

    folder: Path
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files."""
        return tuple(file.name for file in self.files)

    @cached_property
    def fingerprint(self) -> str:
        """Id of the content: 32 hexadecimal digits.

        It does not depend on names and places of the files.
        """
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(hashlib.sha256(_read_bytes(file)).digest())
        return digest.hexdigest()[:32]

    def read(self, i: int) -> np.ndarray:
        """Decode image `i`: uint8 (H, W, 3)."""
        return read_image(self.files[i])


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order.

    In natural order, 2 comes before 10.
    """
    files = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_ENDINGS
        and entry.is_file()
        and not entry.name.startswith(".")
    ]
    return sorted(files, key=_natural_key)


def _natural_key(file: Path) -> list[int | str]:
    """Return a sorting key of names that compares numbers as numbers."""
    parts = re.split(r"(\d+)", file.name)
    return [int(part) if part.isdigit() else part.lower() for part in parts]


def open_image_bag(folder: str | os.PathLike[str]) -> ImageBag:
    """Open a folder of images as a bag.

    Raises
    ------
    BagError
        If it is no folder or holds no image.
    """
    path = Path(folder)
    try:
        files = image_files(path)
    except OSError as error:
        raise BagError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    if not files:
        raise BagError(
            f"{path.name} holds no image (PNG, JPEG, TIFF or BMP); choose a folder of images."
        )
    return ImageBag(path, tuple(files))


def read_image(path: Path) -> np.ndarray:
    """Decode a picture as RGB on white.

    Grey, palette and transparent pictures become RGB. More than 8 bits are scaled from 0 to the
    picture's own maximum: microscopes fill 12 of 16 bits as often as all. Of a stack, the first
    page is taken; several fluorescence channels become red, green and blue.

    Returns
    -------
    np.ndarray
        uint8 (H, W, 3).

    Raises
    ------
    BagError
        If it is damaged, no picture, or too large for an instance.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_MP * 1e6:
                raise BagError(
                    f"{path.name} has {image.width * image.height / 1e6:.0f} MP, "
                    f"more than the {LARGEST_MP} of an instance; open it as a slide."
                )
            if image.mode in ("I", "F") or image.mode.startswith("I;16"):
                return _as_eight_bit_rgb(np.asarray(image))
            if "A" in image.mode or "transparency" in image.info:
                white = Image.new("RGBA", image.size, "white")
                flat = Image.alpha_composite(white, image.convert("RGBA"))
                return np.array(flat.convert("RGB"))
            return np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        return _decode_with_tifffile(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BagError(
            f"{path.name} is a damaged picture that cannot be decoded; copy it again."
        ) from error


def _decode_with_tifffile(path: Path) -> np.ndarray:
    """Decode a TIFF that Pillow cannot, uint8 (H, W, 3).

    Such files have several 16-bit channels or rarer compressions.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pixels = file.pages[0].asarray()
    except Exception as error:
        raise BagError(
            f"{path.name} is no picture that can be decoded; save it as PNG or TIFF."
        ) from error
    if pixels.ndim == 3 and pixels.shape[0] <= 4 < pixels.shape[2]:
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] > 4):
        raise BagError(
            f"{path.name} has the shape {pixels.shape}, which is no picture; "
            "save it as PNG or TIFF."
        )
    return _as_eight_bit_rgb(pixels)


def _as_eight_bit_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return pixels (H, W) or (H, W, C) as uint8 (H, W, 3)."""
    if pixels.dtype != np.uint8:
        values = np.nan_to_num(pixels.astype(np.float32))
        gain = 255 / max(float(values.max()), 1e-9)
        pixels = np.clip(values * gain, 0, 255).round().astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, 2)
    n_missing = 3 - pixels.shape[2]
    if n_missing <= 0:
        return pixels[:, :, :3]
    black = np.zeros((*pixels.shape[:2], n_missing), np.uint8)
    return np.concatenate([pixels, black], 2)


def _read_bytes(file: Path) -> bytes:
    """Return the content of a file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BagError(
            f"{file.name} cannot be read ({error.strerror or error}); "
            f"check the folder {file.parent.name}."
        ) from error


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, if possible from its header.

    Raises
    ------
    BagError
        If it is damaged or no picture.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            return int(width), int(height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        height, width = read_image(path).shape[:2]
        return width, height
