"""Encoding of tiles and images as features."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import numpy as np

from napari_mil.bags import Bag, ImageBag, TileGrid
from napari_mil.encoders import Encoder
from napari_mil.events import Advanced, CancellationToken, OnEvent, ignore
from napari_mil.inference.devices import ForgivingEncoder, measured_memory
from napari_mil.inference.planning import check_readable
from napari_mil.settings import Settings
from napari_mil.slides import Slide

BATCH_MP = 1.6
"""Megapixels in a batch: 32 tiles of 224 px; cancelling ends within one."""
LARGEST_BATCH = 256
"""Tiles in a batch at most."""
FIRST_BATCH = 4
"""Tiles in the first batch; the encoder waits for it."""
SHARE_OF_MEMORY = 0.5
"""Share of a GPU's free memory that a batch may take."""
OnBatch = Callable[[np.ndarray, np.ndarray], None]
"""Takes the indices of a batch and all features so far."""


class Progress:
    """Rate over the last seconds, and the time left.

    Parameters
    ----------
    total
        Number of units.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0.0
        # (time, units done) of the last calls.
        self._recent: deque[tuple[float, float]] = deque([(time.monotonic(), 0.0)], maxlen=40)

    def advance(self, units: float) -> Advanced:
        """Count finished units, parts of one included."""
        self._done += units
        now = time.monotonic()
        self._recent.append((now, self._done))
        then, before = self._recent[0]
        rate = (self._done - before) / max(now - then, 1e-6)
        eta = (self._total - self._done) / rate if rate > 0 else None
        # Parts of units add up to a whole one but for rounding.
        return Advanced(int(self._done + 1e-6), rate, eta)


class BatchSizes:
    """Numbers of tiles in the batches of one slide.

    They double from a few, for which the encoder waits, to those that a CPU encodes in a moment; on
    a GPU, to those that take its share of the memory, as measured.

    Parameters
    ----------
    tile_px
        Side of a tile in pixels.
    encoder
        Encodes the batches.
    """

    def __init__(self, tile_px: int, encoder: Encoder | ForgivingEncoder) -> None:
        self._encoder = encoder
        self._most = int(np.clip(BATCH_MP * 1e6 // tile_px**2, 1, LARGEST_BATCH))
        self._size = min(FIRST_BATCH, self._most)

    def next(self) -> int:
        """Return the number of tiles of the next batch."""
        size = self._size
        self._size = min(2 * size, self._most)
        return size

    def encode(self, tiles: np.ndarray) -> np.ndarray:
        """Encode a batch; on a GPU measure what it takes."""
        with measured_memory(self._encoder.device) as memory:
            features = self._encoder.encode(tiles)
        if memory.taken:
            fitting = SHARE_OF_MEMORY * memory.free / (memory.taken / len(tiles))
            self._most = int(np.clip(fitting, 1, LARGEST_BATCH))
        return features


def embed_tiles(
    slide: Slide,
    grid: TileGrid,
    encoder: Encoder | ForgivingEncoder,
    settings: Settings,
    cancel: CancellationToken,
    *,
    order: np.ndarray | None = None,
    on_event: OnEvent = ignore,
    on_batch: OnBatch = lambda indices, features: None,
) -> np.ndarray:
    """Read and encode the tiles of a slide.

    Parameters
    ----------
    slide, grid
        The N tiles and the slide they are read from.
    encoder
        Turns tiles into vectors or maps.
    settings
        Threads that read, and batches read ahead.
    cancel
        Asked once per batch.
    order
        int (N,): indices of the tiles in the order of reading; None is grid order.
    on_event
        Told of progress.
    on_batch
        Called with the indices of each batch and all features so far.

    Returns
    -------
    np.ndarray
        float32 (N, D) or (N, C, H, W) in grid order, whatever the order of reading.
    """
    visited = np.arange(len(grid)) if order is None else order
    sizes = BatchSizes(grid.tile_px, encoder)
    progress = Progress(len(grid))
    features = np.empty(0, np.float32)
    with ThreadPoolExecutor(settings.reader_threads, thread_name_prefix="tile-reader") as pool:
        for indices, tiles in grid.read_batches(
            slide, visited, sizes.next, pool, settings.read_ahead
        ):
            cancel.raise_if_cancelled()
            encoded = sizes.encode(tiles)
            if not len(features):
                features = np.empty((len(grid), *encoded.shape[1:]), np.float32)
            features[indices] = encoded
            on_event(progress.advance(len(indices)))
            on_batch(indices, features)
    return features


def keep_readable(
    slide: Slide, grid: TileGrid, features: np.ndarray
) -> tuple[TileGrid, np.ndarray]:
    """Drop tiles of which pixels could not be read; they are no instances.

    Parameters
    ----------
    slide, grid
        The N tiles and the slide they were read from.
    features
        (N, ...), of all tiles.

    Returns
    -------
    grid, features
        The same where everything was readable.

    Raises
    ------
    UnreadableSlideError
        If more than half of the tiles cannot be read.
    """
    if not slide.damage:
        return grid, features
    kept = grid.is_readable(slide)
    check_readable(slide, kept)
    return (grid, features) if kept.all() else (grid.subset(kept), features[kept])


def embed_images(
    images: ImageBag,
    encoder: Encoder | ForgivingEncoder,
    cancel: CancellationToken,
    smallest: int = 1,
    on_event: OnEvent = ignore,
) -> Bag:
    """Encode the images of a folder, one instance each.

    Each is encoded at its own size; neighbours of equal size share a batch.

    Parameters
    ----------
    images
        The folder.
    encoder
        Turns images into vectors or maps.
    cancel
        Asked once per batch.
    smallest
        Least side in pixels; smaller images are continued by reflection.
    on_event
        Told of progress.

    Returns
    -------
    Bag
        Features (N, D) or (N, C, H, W), with the names of the images and the findings about them.
    """
    rows: list[np.ndarray] = []
    progress = Progress(len(images))
    decoded = (at_least(images.read(i), smallest) for i in range(len(images)))
    for _, group in groupby(decoded, key=lambda image: image.shape):
        for batch in _batches(group):
            cancel.raise_if_cancelled()
            rows.append(encoder.encode(np.stack(batch)))
            on_event(progress.advance(len(batch)))
    return Bag(np.concatenate(rows), names=images.names, warnings=images.findings)


def at_least(image: np.ndarray, side: int) -> np.ndarray:
    """Continue an image by reflection to a least side.

    Parameters
    ----------
    image
        (H, W, C).
    side
        Least height and width in pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) >= side:
        return image
    rows = (0, max(0, side - height))
    columns = (0, max(0, side - width))
    return np.pad(image, (rows, columns, (0, 0)), mode="symmetric")


def _batches(images: Iterable[np.ndarray]) -> Iterable[list[np.ndarray]]:
    """Yield batches of images of one size."""
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        pixels = len(batch) * image.shape[0] * image.shape[1]
        if len(batch) >= LARGEST_BATCH or pixels >= BATCH_MP * 1e6:
            yield batch
            batch = []
    if batch:
        yield batch
