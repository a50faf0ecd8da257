"""Instances of single bags: encoded once, then read from the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from napari_mil.bags import Bag, TileGrid, TileSpec, open_image_bag, read_bag
from napari_mil.bags.images import ImageBag
from napari_mil.disk_cache import CacheKind, mark_used
from napari_mil.encoders import Encoder
from napari_mil.encoders.backbone import resized
from napari_mil.errors import (
    BagError,
    OptionError,
    OutputError,
    UnreadableSlideError,
    short_cause,
)
from napari_mil.events import CancellationToken, Event, Fallback, OnEvent
from napari_mil.files import whole_or_nothing
from napari_mil.inference.bag_embedding import BagEmbedder, Embedded
from napari_mil.inference.feature_cache import read_features
from napari_mil.inference.planning import Mask, plan_tiles
from napari_mil.settings import Settings
from napari_mil.slides import Slide
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, CohortBag
from napari_mil.training.config import TrainingConfig
from napari_mil.training.instances import Instances
from napari_mil.training.slide_scales import open_scaled


@dataclass(frozen=True)
class BagSource:
    """Instances of one bag: files, and places in the slide."""

    n: int
    """Number of instances."""
    shape: tuple[int, ...]
    """Shape of one instance."""
    coords: np.ndarray | None = None
    """Corners (x, y) of the tiles in level-0 pixels, (N, 2)."""
    size0: float | None = None
    """Side of a tile in level-0 pixels."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Level-0 pixel (x, y) from which QuPath counts; see `Slide.origin`."""
    grid: TileGrid | None = None
    """Tiles of a slide."""
    is_fluorescence: bool = False
    """Whether it is a fluorescence slide."""
    features_path: Path | None = None
    """The user's own file of features."""
    cache_path: Path | None = None
    """File of features in the cache."""
    images_path: Path | None = None
    """File of tiles in the cache."""
    values: np.ndarray | None = None
    """Instances that memory holds already."""

    @property
    def bytes(self) -> int:
        """Memory that the instances take as float32."""
        return 4 * self.n * int(np.prod(self.shape))

    def read(self) -> np.ndarray:
        """Read the instances, (N, ...).

        Raises
        ------
        UnreadableSlideError
            If their file cannot be read any more.
        """
        if self.values is not None:
            return self.values
        try:
            if self.images_path is not None:
                return np.load(self.images_path, mmap_mode="r")
            if self.cache_path is not None:
                return read_features(self.cache_path)
            assert self.features_path is not None
            return read_bag(self.features_path).features
        except (OSError, ValueError, BagError) as error:
            path = self.images_path or self.cache_path or self.features_path
            raise UnreadableSlideError(
                f"{path} cannot be read any more ({short_cause(error)}); resume the run."
            ) from error


class BagEncoder:
    """Encodes bags, or finds them in the cache.

    Parameters
    ----------
    instances
        What an instance is.
    encoder
        The frozen encoder; None for features, and for a network that is trained.
    config
        Mask and assumed scale of slides.
    settings
        Folders and thread counts.
    on_event
        Called with what did not go as planned.
    cancel
        Token that ends the work.
    """

    def __init__(
        self,
        instances: Instances,
        encoder: Encoder | None,
        config: TrainingConfig,
        settings: Settings,
        on_event: OnEvent,
        cancel: CancellationToken,
    ) -> None:
        self._instances = instances
        self._embedder = None
        if encoder is not None:
            self._embedder = BagEmbedder(encoder, settings, cancel, self._tell_fallback)
        self._config = config
        self._settings = settings
        self._on_event = on_event
        self._cancel = cancel
        self._said_encoder_assumed = False

    def source_of(self, bag: CohortBag) -> BagSource:
        """Encode one bag, or find it in the cache.

        Raises
        ------
        NapariMilError
            If the bag cannot be read or encoded.
        OptionError
            If its features were made by another encoder than the classifier to start from takes.
        OutputError
            If the cache cannot be written.
        """
        if bag.kind == FEATURES:
            return self._from_features(bag)
        if bag.kind == IMAGES:
            return self._from_images(open_image_bag(bag.path))
        with open_scaled(bag.path, self._config.slide_mpp, self._settings) as slide:
            return self._from_slide(slide)

    def _from_features(self, bag: CohortBag) -> BagSource:
        loaded = read_bag(bag.path)
        self._check_encoder(bag, loaded)
        return BagSource(
            len(loaded),
            loaded.features.shape[1:],
            loaded.coords,
            loaded.tile_size0,
            features_path=bag.path,
        )

    def _check_encoder(self, bag: CohortBag, loaded: Bag) -> None:
        """Compare the encoder of a feature file with that of the start.

        A file that does not name its encoder is taken as made by it, with one remark per cohort.
        """
        if not self._instances.fingerprint:
            return
        made_by = loaded.provenance.get("encoder")
        if made_by is not None and made_by != self._instances.fingerprint:
            raise OptionError(
                f"{bag.path.name} was made by another encoder than the classifier to start from "
                "was trained on; start fresh."
            )
        if made_by is None and not self._said_encoder_assumed:
            self._said_encoder_assumed = True
            self._on_event(
                Fallback(
                    "The files do not say who made their features; "
                    f"they are taken as those of {self._instances.encoder}."
                )
            )

    def _from_slide(self, slide: Slide) -> BagSource:
        instances = self._instances
        assert instances.tile_px is not None
        assert instances.mpp is not None
        mask: Mask = "auto" if self._config.mask == "auto" else None
        tiles = TileSpec(instances.tile_px, instances.mpp, instances.overlap)
        grid = plan_tiles(slide, tiles, mask, cancel=self._cancel).grid
        placed = BagSource(
            len(grid),
            (instances.tile_px, instances.tile_px, 3),
            coords=grid.coords,
            size0=grid.tile_size0,
            origin=slide.origin,
            grid=grid,
            is_fluorescence=bool(slide.channels),
        )
        if instances.trained:
            path = self._images_path(slide.fingerprint, grid.fingerprint)
            if not _is_readable(path):
                pixels = (grid.read(slide, i) for i in range(len(grid)))
                _save_images(pixels, (placed.n, *placed.shape), path)
                _check_undamaged(slide, path)
            return replace(placed, images_path=path)
        assert self._embedder is not None
        embedded = self._embedder.embed_slide(slide, grid)
        # Tiles that cannot be read are no instances.
        assert embedded.grid is not None
        return self._placed(
            embedded, replace(placed, coords=embedded.grid.coords, grid=embedded.grid)
        )

    def _from_images(self, images: ImageBag) -> BagSource:
        n = len(images)
        if self._instances.trained:
            px = self._instances.tile_px
            assert px is not None
            path = self._images_path(images.fingerprint, f"{px}")
            if not _is_readable(path):
                pixels = (resized(images.read(i)[None], px)[0] for i in range(n))
                _save_images(pixels, (n, px, px, 3), path)
            return BagSource(n, (px, px, 3), images_path=path)
        assert self._embedder is not None
        return self._placed(self._embedder.embed_images(images), BagSource(n, ()))

    def _placed(self, embedded: Embedded, source: BagSource) -> BagSource:
        """Return a source of features that lie in the cache."""
        assert self._embedder is not None
        return replace(
            source,
            n=len(embedded.features),
            shape=embedded.features.shape[1:],
            cache_path=self._embedder.store(embedded),
        )

    def _tell_fallback(self, event: Event) -> None:
        """Tell what did not go as planned; progress is told of bags, not of their tiles."""
        if isinstance(event, Fallback):
            self._on_event(event)

    def _images_path(self, content: str, tiles: str) -> Path:
        """Return the file of tiles in the cache, named by content and tiles."""
        facts = repr((content, tiles, version("napari-mil")))
        key = hashlib.sha256(facts.encode()).hexdigest()[:32]
        return self._settings.cache_folder / CacheKind.IMAGES / f"{key}.npy"


def _is_readable(path: Path) -> bool:
    """Say whether a file of tiles is whole; mark it as used."""
    try:
        np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    mark_used(path)
    return True


def _check_undamaged(slide: Slide, images: Path) -> None:
    """Refuse a slide with unreadable tiles, of which a network would learn; forget its images."""
    if slide.damage:
        images.unlink()
        raise UnreadableSlideError(
            f"{slide.path.name} has {len(slide.damage)} tiles that cannot be read "
            f"({slide.damage.reason}); copy the slide again, or leave it out."
        )


def _save_images(images: Iterable[np.ndarray], shape: tuple[int, ...], path: Path) -> None:
    """Write images one at a time, uint8 (N, H, W, 3)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_or_nothing(path) as part:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            for k, image in enumerate(images):
                array[k] = image
            array.flush()
            del array
    except OSError as error:
        raise OutputError(
            f"Tiles cannot be kept in {path.parent} ({error.strerror or error}); make room there."
        ) from error
