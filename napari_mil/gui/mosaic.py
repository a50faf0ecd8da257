"""The images of a bag side by side, read lazily at any zoom."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from napari_mil.bags import ImageBag
from napari_mil.bags.layout import GAP, Layout, layout_of_images
from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.gui.model.subjects import Pixels

BACKGROUND = 24
"""Grey between the images."""
UNREADABLE = 200
"""Grey of an image that cannot be read."""
SMALLEST_THUMBNAIL_PX = 64
"""Longest side of the thumbnails at least, which are all kept: 5 000 take 60 MB."""
COARSEST_PX = 1024
"""Longest side of the coarsest level, which the viewer keeps whole."""
KEPT_IMAGES = 256
"""Images at other levels that are kept."""
LARGEST_SPREAD = 4.0
"""An image larger than so many median ones is shrunk into its cell."""
SHOWN_PERCENTILES = (0.5, 99.8)
"""Values of a grey image that are drawn black and white."""


class Mosaic:
    """Arrangement of the images of one bag.

    Parameters
    ----------
    images
        The bag.
    threads
        Threads that decode.
    """

    def __init__(self, images: ImageBag, threads: int) -> None:
        self.images = images
        self._threads = threads
        self._lock = threading.Lock()
        self._thumbnails: dict[int, np.ndarray] = {}
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self.unreadable: set[int] = set()
        """Images that cannot be decoded."""
        with ThreadPoolExecutor(threads, thread_name_prefix="mosaic") as pool:
            self._sizes = list(pool.map(self._size, range(len(images))))
        largest = [max(size) for size in self._sizes]
        self._side = min(max(largest), math.ceil(LARGEST_SPREAD * median(largest)))
        self.cell = self._side * (1 + GAP)
        """Side of a cell in pixels."""
        self.layout: Layout = layout_of_images(len(images), self.cell)
        self._n_halvings = max(0, math.ceil(math.log2(max(self.shape) / COARSEST_PX)))
        """Levels that are finer than the coarsest one."""

    def _size(self, i: int) -> tuple[int, int]:
        try:
            return self.images.size(i)
        except NapariMilError:
            self.unreadable.add(i)
            return 1, 1

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of level 0 in pixels."""
        rows, columns = self.layout.shape
        return math.ceil(rows * self.cell), math.ceil(columns * self.cell)

    @property
    def is_whole(self) -> bool:
        """Whether every thumbnail has been made."""
        return len(self._thumbnails) == len(self.images)

    def make_thumbnails(
        self, cancel: CancellationToken, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        """Decode the images whose thumbnails are missing, while `go_on` says so."""
        missing = [i for i in range(len(self.images)) if i not in self._thumbnails]
        step = 4 * self._threads
        with ThreadPoolExecutor(self._threads, thread_name_prefix="mosaic") as pool:
            for start in range(0, len(missing), step):
                cancel.raise_if_cancelled()
                if not go_on():
                    return
                list(pool.map(self._thumbnail, missing[start : start + step]))

    def pixels(self) -> Pixels:
        """Return the levels as a layer takes them; the coarsest one holds what is decoded."""
        levels: list[Any] = [MosaicLevel(self, k) for k in range(self._n_halvings)]
        coarsest = MosaicLevel(self, self._n_halvings, decodes=False)
        levels.append(np.asarray(coarsest))
        if len(levels) == 1:
            return Pixels(levels[0])
        return Pixels(levels, multiscale=True)

    def place(self, i: int) -> tuple[float, float, float, float]:
        """Return (x, y, width, height) of an image in level-0 pixels of the arrangement."""
        width, height = self._sizes[i]
        scale = min(1.0, self._side / max(width, height))
        x, y = (self.layout.cells[i][::-1] + 0.5) * self.cell
        shown_width = width * scale
        shown_height = height * scale
        return (
            float(x - shown_width / 2),
            float(y - shown_height / 2),
            shown_width,
            shown_height,
        )

    def at(self, i: int, size: tuple[int, int], *, decodes: bool) -> np.ndarray | None:
        """Return an image resized to (width, height), or None where it is not decoded yet."""
        if i in self.unreadable:
            return np.full((size[1], size[0], 3), UNREADABLE, np.uint8)
        thumbnail = self._thumbnails.get(i)
        if thumbnail is not None and max(size) <= max(thumbnail.shape[:2]):
            return _resized(thumbnail, size)
        if not decodes:
            return None if thumbnail is None else _resized(thumbnail, size)
        key = (i, max(size))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            image = _resized(_with_contrast(self.images.read(i)), size)
        except NapariMilError:
            self.unreadable.add(i)
            return np.full((size[1], size[0], 3), UNREADABLE, np.uint8)
        with self._lock:
            self._kept[key] = image
            if len(self._kept) > KEPT_IMAGES:
                self._kept.popitem(last=False)
        return image

    def _thumbnail(self, i: int) -> None:
        width, height = self._sizes[i]
        # As large as the coarsest level shows it, which is made of thumbnails.
        longest = max(SMALLEST_THUMBNAIL_PX, math.ceil(self._side / 2**self._n_halvings))
        scale = min(1.0, longest / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = self.at(i, size, decodes=True)
        assert image is not None
        self._thumbnails[i] = image


class MosaicLevel:
    """One level of a mosaic: lazily indexed (H, W, 3) uint8.

    Parameters
    ----------
    mosaic
        The arrangement.
    halvings
        k: a pixel covers 2^k level-0 pixels.
    decodes
        Whether images are decoded that have no thumbnail yet.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, mosaic: Mosaic, halvings: int, *, decodes: bool = True) -> None:
        self._mosaic = mosaic
        self._downsample = 2**halvings
        self._decodes = decodes
        height, width = mosaic.shape
        self.shape = (
            math.ceil(height / self._downsample),
            math.ceil(width / self._downsample),
            3,
        )
        self.size = math.prod(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        whole = key if isinstance(key, tuple) else (key,)
        rows, row_step = _range(whole[0] if whole else slice(None), self.shape[0])
        columns, column_step = _range(whole[1] if len(whole) > 1 else slice(None), self.shape[1])
        window = self._window(rows, columns)[:: row_step or 1, :: column_step or 1]
        return window[(slice(None), slice(None), *whole[2:])] if len(whole) > 2 else window

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:, :], dtype)

    def __deepcopy__(self, memo: object) -> MosaicLevel:
        """Return the level itself: a copy of the layer shows the same images."""
        return self

    def _window(self, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        window = np.full(
            (max(0, rows[1] - rows[0]), max(0, columns[1] - columns[0]), 3),
            BACKGROUND,
            np.uint8,
        )
        for i in self._inside(rows, columns):
            x, y, width, height = (value / self._downsample for value in self._mosaic.place(i))
            size = (max(1, round(width)), max(1, round(height)))
            image = self._mosaic.at(i, size, decodes=self._decodes)
            if image is not None:
                _paste(window, image, round(y) - rows[0], round(x) - columns[0])
        return window

    def _inside(self, rows: tuple[int, int], columns: tuple[int, int]) -> Iterator[int]:
        """Yield the images whose cells meet a window."""
        cell = self._mosaic.cell / self._downsample
        index = self._mosaic.layout.index
        part = index[
            int(rows[0] / cell) : math.ceil(rows[1] / cell),
            int(columns[0] / cell) : math.ceil(columns[1] / cell),
        ]
        yield from (int(i) for i in part.ravel() if i >= 0)


def _range(key: Any, length: int) -> tuple[tuple[int, int], int]:
    """Return ((start, stop), step) of a basic index."""
    if isinstance(key, slice):
        start, stop, step = key.indices(length)
        return (start, stop), step
    return (int(key), int(key) + 1), 1


def _paste(window: np.ndarray, image: np.ndarray, row: int, column: int) -> None:
    """Put an image at a place of a window; what hangs over is cut."""
    top = max(0, row)
    left = max(0, column)
    bottom = min(len(window), row + len(image))
    right = min(window.shape[1], column + image.shape[1])
    if bottom > top and right > left:
        part = image[top - row : bottom - row, left - column : right - column]
        window[top:bottom, left:right] = part


def _with_contrast(image: np.ndarray) -> np.ndarray:
    """Return a grey image (fluorescence) at the contrast of its own values; others as they are."""
    grey = image[:, :, 0]
    if not all(np.array_equal(grey, image[:, :, k]) for k in (1, 2)):
        return image
    low, high = np.percentile(grey, SHOWN_PERCENTILES)
    if high <= low:
        return image
    table = np.clip((np.arange(256) - low) * 255 / (high - low), 0, 255).round().astype(np.uint8)
    return table[image]


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at (width, height), averaged where it shrinks."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = image.shape[1] > size[0]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize(size, how))
