"""Features of slides and folders of images, from the cache where they were made before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.bags import ImageBag, TileGrid
from napari_mil.encoders import Encoder
from napari_mil.events import Advanced, CancellationToken, OnEvent, ignore
from napari_mil.inference.devices import ForgivingEncoder
from napari_mil.inference.embedding import (
    OnBatch,
    embed_images,
    embed_tiles,
    keep_readable,
)
from napari_mil.inference.feature_cache import FeatureCache, feature_key
from napari_mil.settings import Settings
from napari_mil.slides import Slide


@dataclass(frozen=True, eq=False)
class Embedded:
    """Features of the instances of a slide or of a folder of images."""

    features: np.ndarray
    """float32 (N, D) or (N, C, H, W)."""
    key: str
    """Name of the whole in the cache."""
    is_whole: bool
    """Whether every instance was read, and one device computed all."""
    device: str
    """Device that computed them."""
    is_cached: bool
    """Whether they were made before."""
    grid: TileGrid | None = None
    """Tiles of a slide that could be read, one an instance."""


class BagEmbedder:
    """Embeds slides and folders of images, or finds their features in the cache.

    The features are the same to the bit either way.

    Parameters
    ----------
    encoder
        Turns tiles and images into vectors or maps.
    settings
        Threads that read; folder and size of the cache.
    cancel
        Asked once per batch.
    on_event
        Told of progress and fallbacks.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: Settings,
        cancel: CancellationToken,
        on_event: OnEvent = ignore,
    ) -> None:
        self._encoder = encoder
        self._settings = settings
        self._cancel = cancel
        self._on_event = on_event
        self.cache = FeatureCache(settings)

    def embed_slide(
        self,
        slide: Slide,
        grid: TileGrid,
        *,
        order: np.ndarray | None = None,
        on_batch: OnBatch = lambda indices, features: None,
    ) -> Embedded:
        """Return the features of the tiles of a slide.

        Features of a slide with unreadable tiles are made again each time: what cannot be read is
        known by reading alone, and may be readable later.

        Parameters
        ----------
        slide, grid
            The tiles and the slide they are read from.
        order, on_batch
            See `embed_tiles`; features that were made before come without a batch.

        Raises
        ------
        UnreadableSlideError
            If more than half of the tiles cannot be read.
        CancelledError
            If it was cancelled.
        """
        key = feature_key(slide.fingerprint, self._encoder, grid)
        cached = self._load(key, len(grid))
        if cached is not None:
            return self._from_cache(cached, key, grid)
        chosen = self._encoder.device
        forgiving = ForgivingEncoder(self._encoder, self._on_event)
        features = embed_tiles(
            slide,
            grid,
            forgiving,
            self._settings,
            self._cancel,
            order=order,
            on_event=self._on_event,
            on_batch=on_batch,
        )
        readable, features = keep_readable(slide, grid, features)
        device = forgiving.encoder.device
        is_whole = len(readable) == len(grid) and device == chosen
        return Embedded(
            features, key, is_whole=is_whole, device=str(device), is_cached=False, grid=readable
        )

    def embed_images(self, images: ImageBag) -> Embedded:
        """Return the features of the images of a folder.

        Raises
        ------
        BagError
            If an image cannot be read.
        CancelledError
            If it was cancelled.
        """
        key = feature_key(images.fingerprint, self._encoder)
        cached = self._load(key, len(images))
        if cached is not None:
            return self._from_cache(cached, key)
        chosen = self._encoder.device
        forgiving = ForgivingEncoder(self._encoder, self._on_event)
        bag = embed_images(
            images, forgiving, self._cancel, self._encoder.smallest_tile, self._on_event
        )
        device = forgiving.encoder.device
        return Embedded(
            bag.features, key, is_whole=device == chosen, device=str(device), is_cached=False
        )

    def offer(self, embedded: Embedded) -> None:
        """Keep features for the next classifier on the same encoder, where there is room."""
        if embedded.is_whole and not embedded.is_cached:
            self.cache.offer(embedded.key, embedded.features)

    def store(self, embedded: Embedded) -> Path:
        """Keep features and return their file, which a training run then reads.

        What is not whole is named by its own content, so that nobody finds it later.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        if embedded.is_cached:
            return self.cache.path(embedded.key)
        key = embedded.key
        if not embedded.is_whole:
            key = hashlib.sha256(key.encode() + embedded.features.tobytes()).hexdigest()[:32]
        return self.cache.save(key, embedded.features)

    def _from_cache(self, features: np.ndarray, key: str, grid: TileGrid | None = None) -> Embedded:
        device = str(self._encoder.device)
        return Embedded(features, key, is_whole=True, device=device, is_cached=True, grid=grid)

    def _load(self, key: str, n: int) -> np.ndarray | None:
        """Return earlier features of `n` instances, told as progress."""
        self._cancel.raise_if_cancelled()
        features = self.cache.load(key)
        if features is None or len(features) != n:
            return None
        self._on_event(Advanced(n, 0.0, 0.0))
        return features
