"""Folders of images as bags.

Each image is an instance and keeps its name and size; `open_image_bag` alone decides which pages
and files are one.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from napari_mil.bags.grouping import group_images
from napari_mil.bags.instances import ImageInstance, ImageSource
from napari_mil.bags.pictures import image_size, read_instance, stack_depth
from napari_mil.errors import BagError
from napari_mil.findings import Finding

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
"""Endings of image files."""


@dataclass(frozen=True)
class ImageBag:
    """Images of one folder in natural order of their names.

    An image is decoded when it is read.
    """

    folder: Path
    images: tuple[ImageInstance, ...]
    findings: tuple[Finding, ...] = ()
    """What was noticed: pages and files that are one instance or several, mixed depths."""
    _depths: dict[Path, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Bits that the pages of a stack use, for all of them alike."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images: those of their files, with the page or without the channel."""
        return tuple(image.name for image in self.images)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Files of all images, each once."""
        sources = (source for image in self.images for source in image.sources)
        return tuple(dict.fromkeys(source.file for source in sources))

    @cached_property
    def fingerprint(self) -> str:
        """Id of the content: 32 hexadecimal digits.

        It does not depend on names and places of the files, but on what is one image.
        """
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(hashlib.sha256(_read_bytes(file)).digest())
        if not all(image.is_plain for image in self.images):
            numbers = {file: k for k, file in enumerate(self.files)}
            digest.update(repr([_recipe(image, numbers) for image in self.images]).encode())
        return digest.hexdigest()[:32]

    def size(self, i: int) -> tuple[int, int]:
        """Return (width, height) of image `i` in pixels.

        Raises
        ------
        BagError
            If it is damaged or no picture.
        """
        image = self.images[i]
        return image.size or image_size(image.sources[0].file)

    def read(self, i: int) -> np.ndarray:
        """Decode image `i`: uint8 (H, W, 3).

        Raises
        ------
        BagError
            If a file is damaged, no picture, or too large for an instance.
        """
        image = self.images[i]
        depths = (self._depth_of(source) for source in image.sources if source.pages)
        return read_instance(image, max(depths, default=8))

    def _depth_of(self, source: ImageSource) -> int:
        """Return the bits that the file of a stack uses."""
        depth = self._depths.get(source.file)
        if depth is None:
            pages = [
                page
                for image in self.images
                for other in image.sources
                if other.file == source.file
                for page in other.pages
            ]
            depth = self._depths[source.file] = stack_depth(source.file, pages)
        return depth


def _recipe(image: ImageInstance, numbers: dict[Path, int]) -> list[object]:
    return [(numbers[source.file], source.pages, source.colour) for source in image.sources]


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

    Only the headers of TIFF files are read.

    Returns
    -------
    ImageBag
        Every picture is an instance; so is every page of a stack, but for depth and channels; files
        that differ in the channel alone are one. `findings` says where that happened.

    Raises
    ------
    BagError
        If it is no folder or holds no image.
    """
    path = Path(folder)
    try:
        files = image_files(path)
        if not files:
            raise BagError(
                f"{path.name} holds no image (PNG, JPEG, TIFF, BMP, WebP or GIF); "
                "choose a folder of images."
            )
        return ImageBag(path, *group_images(path, files))
    except OSError as error:
        raise BagError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error


def _read_bytes(file: Path) -> bytes:
    """Return the content of a file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BagError(
            f"{file.name} cannot be read ({error.strerror or error}); "
            f"check the folder {file.parent.name}."
        ) from error
