"""From tiles or images to features."""

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
from napari_mil.inference.devices import ForgivingEncoder
from napari_mil.settings import Settings
from napari_mil.slides import Slide

BATCH_MP, LARGEST_BATCH = 1.6, 256
"""A batch holds so many megapixels (32 tiles of 224 px) and at most so many tiles; cancelling ends within one."""
OnBatch = Callable[[np.ndarray, np.ndarray], None]


class Progress:
    """Rate over the last seconds and the time left."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0.0
        self._recent: deque[tuple[float, float]] = deque([(time.monotonic(), 0.0)], maxlen=40)

    def advance(self, units: float) -> Advanced:
        """Count finished units, parts of one included."""
        self._done += units
        now = time.monotonic()
        self._recent.append((now, self._done))
        then, before = self._recent[0]
        rate = (self._done - before) / max(now - then, 1e-6)
        return Advanced(
            int(self._done + 1e-6), rate, (self._total - self._done) / rate if rate > 0 else None
        )


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
        What to read.
    encoder
        Turns tiles into vectors or maps.
    settings
        Threads that read, and batches read ahead.
    cancel
        Asked once per batch.
    order
        int (N,): which tile comes when; None is grid order.
    on_event
        Told of progress.
    on_batch
        Given the indices of each batch and all features so far.

    Returns
    -------
    np.ndarray
        float32 (N, D) or (N, C, H, W) in grid order, whatever order tiles are visited in.
    """
    visited = np.arange(len(grid)) if order is None else order
    size = int(np.clip(BATCH_MP * 1e6 // grid.tile_px**2, 1, LARGEST_BATCH))
    progress, features = Progress(len(grid)), np.empty(0, np.float32)
    with ThreadPoolExecutor(settings.reader_threads, thread_name_prefix="tile-reader") as pool:
        for indices, tiles in grid.read_batches(slide, visited, size, pool, settings.read_ahead):
            cancel.raise_if_cancelled()
            encoded = encoder.encode(tiles)
            if not len(features):
                features = np.empty((len(grid), *encoded.shape[1:]), np.float32)
            features[indices] = encoded
            on_event(progress.advance(len(indices)))
            on_batch(indices, features)
    return features


def embed_images(
    images: ImageBag,
    encoder: Encoder | ForgivingEncoder,
    cancel: CancellationToken,
    smallest: int = 1,
    on_event: OnEvent = ignore,
) -> Bag:
    """Encode the images of a folder, each as one instance at its own size; images of equal size go together.

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
    """
    rows: list[np.ndarray] = []
    progress = Progress(len(images))
    decoded = (at_least(images.read(i), smallest) for i in range(len(images)))
    for _, group in groupby(decoded, key=lambda image: image.shape):
        for batch in _batches(group):
            cancel.raise_if_cancelled()
            rows.append(encoder.encode(np.stack(batch)))
            on_event(progress.advance(len(batch)))
    return Bag(np.concatenate(rows), names=images.names)


def at_least(image: np.ndarray, side: int) -> np.ndarray:
    """Continue an image by reflection until both sides are long enough."""
    height, width = image.shape[:2]
    if min(height, width) >= side:
        return image
    return np.pad(
        image, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="symmetric"
    )


def _batches(images: Iterable[np.ndarray]) -> Iterable[list[np.ndarray]]:
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if (
            len(batch) >= LARGEST_BATCH
            or len(batch) * image.shape[0] * image.shape[1] >= BATCH_MP * 1e6
        ):
            yield batch
            batch = []
    if batch:
        yield batch
