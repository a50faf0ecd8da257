"""The bags of a cohort as a network meets them: encoded once, kept by content, held in memory where they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_mil.annotations import read_annotations
from napari_mil.bags import Bag, TileGrid, TileSpec, open_image_bag, read_bag, write_bag
from napari_mil.bags.images import ImageBag
from napari_mil.encoders import Encoder, create_encoder
from napari_mil.encoders.backbone import resized
from napari_mil.errors import (
    NapariMilError,
    OptionError,
    OutputError,
    TrainingError,
    UnreadableSlideError,
)
from napari_mil.events import CancellationToken, Fallback, OnEvent, Started, ignore
from napari_mil.files import forget_unused, mark_used, whole_or_nothing
from napari_mil.inference import card as cards
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.devices import ForgivingEncoder, choose_device
from napari_mil.inference.embedding import Progress, embed_images, embed_tiles
from napari_mil.inference.planning import Mask, plan_tiles
from napari_mil.networks.cards import BACKBONES
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide
from napari_mil.training.cohort import FEATURES, IMAGES, SLIDES, Cohort, CohortBag
from napari_mil.training.config import TrainingConfig
from napari_mil.training.instance_labels import instance_targets
from napari_mil.training.tile_size import (
    FEWEST_TILES,
    SMALLEST_DEFAULT_TILE,
    fitting_tile_px,
)

DEFAULT_ENCODER = "texture"
DEFAULT_MPP = 0.5
"""Micrometres per pixel of tiles for a network that is trained together with the aggregator."""
SHARE_OF_FREE_MEMORY = 0.5
KEPT_FOR_S = 7 * 86_400
"""Of the cache, since its last use: another run may be at it."""


@dataclass(frozen=True)
class Instances:
    """What an instance of this cohort is and how it is made; what a bundle says about it."""

    kind: str
    """``tiles``, ``images`` or ``features``."""
    encoder: str | None
    """Name of the encoder or network; None for features that were extracted elsewhere."""
    fingerprint: str = ""
    """Of a frozen encoder."""
    tile_px: int | None = None
    mpp: float | None = None
    mpp_assumed: bool = False
    overlap: float = 0.0
    trained: bool = False
    """Whether the encoder is a network trained together with the aggregator: instances are images then."""


class BagStore:
    """Bags by number, ready for training.

    Attributes
    ----------
    cohort
        What is left of the cohort: a bag without tissue is left out, and said.
    instances
        What they are.
    dim
        Features of an instance; channels of an image.
    sizes
        Instances of each bag.
    left_out
        Bags that could not be encoded, with the reason.
    annotated
        Whether somebody annotated regions of any bag; only then are instance targets known.
    """

    def __init__(
        self,
        cohort: Cohort,
        config: TrainingConfig,
        settings: Settings,
        on_event: OnEvent,
        cancel: CancellationToken,
        start: Classifier | None,
    ) -> None:
        cohort.check()
        self._config, self._settings, self._on_event, self._cancel = (
            config,
            settings,
            on_event,
            cancel,
        )
        self.kind = cohort.kinds[0]
        self.instances, self._encoder = self._choose_encoder(cohort, start)
        self._assumed_encoder = False
        self.left_out: list[tuple[Path, str]] = []
        self._sources: list[_Source] = []
        kept = self._prepare(cohort)
        self.cohort = cohort.only(kept)
        self.cohort.check()
        if gone := [name for name, count in self.cohort.counts.items() if not count]:
            raise TrainingError(
                f"No bag of the class {gone[0]} can be used; the first one: {self.left_out[0][1] if self.left_out else 'there is none'}"
            )
        self.annotated = any(bag.annotations for bag in self.cohort.bags)
        self.sizes = [source.n for source in self._sources]
        self.dim = self._common_dim()
        self._held: dict[int, np.ndarray] = {}
        self.bytes = sum(source.bytes for source in self._sources)
        self.in_memory = self.bytes <= memory_budget(config) and not self.instances.trained

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def largest_bytes(self) -> int:
        """Memory of the largest bag."""
        return max(source.bytes for source in self._sources)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without what only the first one needs; bags are read again there."""
        return {
            **self.__dict__,
            "_held": {},
            "_encoder": None,
            "_on_event": ignore,
            "_cancel": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in another process."""
        self.__dict__.update({**state, "_cancel": CancellationToken()})

    def read(self, b: int) -> np.ndarray:
        """Return the features of a bag, float32 (N, D), or its images, uint8 (N, H, W, 3)."""
        if b not in self._held:
            values = self._sources[b].read()
            if not self.in_memory:
                return values
            self._held[b] = values
        return self._held[b]

    def targets_of_instances(self, b: int) -> np.ndarray | None:
        """Return what annotated regions say about the instances of a bag; see `instance_targets`."""
        source, bag = self._sources[b], self.cohort.bags[b]
        if source.coords is None or source.size0 is None or not self.annotated:
            return None
        regions = None
        if bag.annotations:
            regions = tuple(
                region
                for path in bag.annotations
                for region in read_annotations(path, source.origin).regions
            )
        return instance_targets(
            regions,
            bag.labels,
            self.cohort.classes,
            self.cohort.multi_label,
            source.coords,
            source.size0,
        )

    def grid_of(self, b: int) -> TileGrid | None:
        """Return the tiles of a slide."""
        return self._sources[b].grid

    def position(self, path: Path) -> int | None:
        """Return the number of the bag at a path."""
        wanted = path.absolute()
        return next(
            (b for b, bag in enumerate(self.cohort.bags) if bag.path.absolute() == wanted), None
        )

    def encoded_by(self, encoder: Encoder) -> BagStore:
        """Return the same bags with what a network makes of their images."""
        encoded = copy(self)
        encoded._sources = []
        for source in self._sources:
            self._cancel.raise_if_cancelled()
            features = encoder.encode(source.read())
            encoded._sources.append(replace(source, held=features, shape=features.shape[1:]))
        encoded.in_memory, encoded._held = True, {}
        encoded.bytes = sum(source.bytes for source in encoded._sources)
        return encoded

    def _choose_encoder(
        self, cohort: Cohort, start: Classifier | None
    ) -> tuple[Instances, Encoder | None]:
        config = self._config
        if self.kind == FEATURES:
            if config.encoder is not None:
                raise OptionError(
                    f"The bags of {cohort.root.name} are features already; leave out the encoder {config.encoder}."
                )
            if start is not None and start.card.instances == cards.FEATURES:
                return Instances(cards.FEATURES, None), None
            if (
                start is not None
                and (known := start.card.encoder) is not None
                and start.backbone is None
            ):
                card = start.card  # features of the encoder whose classifier goes on learning
                return Instances(
                    card.instances,
                    known.name,
                    known.fingerprint,
                    card.tile_px,
                    card.mpp,
                    card.mpp_assumed,
                    card.overlap,
                ), None
            return Instances(cards.FEATURES, None), None
        tiles = self.kind == SLIDES
        kind = cards.TILES if tiles else cards.IMAGES
        given = start.card if start is not None else None
        if given is not None and given.instances != kind:
            raise OptionError(
                f"The classifier {given.name} takes {given.takes}, not {self.kind}; start from another one, or fresh."
            )
        if given is not None and (
            config.tile_px not in (None, given.tile_px) or config.mpp not in (None, given.mpp)
        ):
            raise OptionError(
                f"The classifier {given.name} takes {given.takes}; leave tile size and scale out, or start fresh."
            )
        name = config.encoder or DEFAULT_ENCODER
        if given is not None and given.encoder is not None:
            name = given.encoder.name
        if given is not None and config.encoder not in (None, name):
            raise OptionError(
                f"The classifier {given.name} was trained on the encoder {name}, not {config.encoder}; leave the encoder out, or start fresh."
            )
        if name in BACKBONES:
            px: int | None = config.tile_px or BACKBONES[name].tile_px
            mpp = (config.mpp or DEFAULT_MPP) if tiles else None
            if given is not None:
                px = given.tile_px
                mpp = given.mpp
            elif tiles and mpp is not None and config.tile_px is None:
                px = self._fitting_tile(cohort, BACKBONES[name].tile_px, mpp, SMALLEST_DEFAULT_TILE)
            overlap = given.overlap if given is not None else config.overlap
            return Instances(
                kind, name, "", px, mpp, self._assumed(given), overlap, trained=True
            ), None
        device = choose_device(config.device, self._on_event)
        encoder: Encoder
        encoder = (
            start.create_encoder(device, config.threads)
            if start is not None
            else create_encoder(name, device=device, threads=config.threads)
        )
        if not tiles:
            return Instances(kind, name, encoder.fingerprint), encoder
        if given is not None:
            return Instances(
                kind,
                name,
                encoder.fingerprint,
                given.tile_px,
                given.mpp,
                given.mpp_assumed or self._assumed(None),
                given.overlap,
            ), encoder
        mpp = config.mpp or encoder.mpp
        side = config.tile_px or self._fitting_tile(
            cohort, encoder.tile_px, mpp, encoder.smallest_tile
        )
        if side < encoder.smallest_tile:
            raise OptionError(
                f"Tiles of {side} px are too small for the encoder {name}; "
                f"it needs {encoder.smallest_tile}."
            )
        return Instances(
            kind, name, encoder.fingerprint, side, mpp, self._assumed(None), config.overlap
        ), encoder

    def _fitting_tile(self, cohort: Cohort, px: int, mpp: float, smallest: int) -> int:
        """Return the largest tile of which the median slide holds enough; say if it is smaller."""
        fitting = fitting_tile_px(
            [bag.path for bag in cohort.bags], px, mpp, smallest, self._config.slide_mpp
        )
        if fitting != px:
            self._on_event(
                Fallback(
                    f"Tiles of {fitting} px instead of {px}: "
                    f"of those the median slide has fewer than {FEWEST_TILES}."
                )
            )
        return fitting

    def _assumed(self, given: Any) -> bool:
        return self._config.slide_mpp is not None or bool(given is not None and given.mpp_assumed)

    def _prepare(self, cohort: Cohort) -> list[int]:
        """Encode what is not in the cache; return the numbers of the bags that can be used."""
        kept = []
        verb = "bags" if self.kind != SLIDES else "slides"
        self._on_event(Started(len(cohort), verb))
        progress = Progress(len(cohort))
        for b, bag in enumerate(cohort.bags):
            self._cancel.raise_if_cancelled()
            try:
                self._sources.append(self.source_of(bag))
                kept.append(b)
            except (OutputError, OptionError):
                raise
            except NapariMilError as error:
                if not bag.path.exists():
                    raise TrainingError(
                        f"{bag.path} is not there any more; put the folder back, then resume."
                    ) from error
                self._cancel.raise_if_cancelled()
                self.left_out.append((bag.path, str(error)))
                self._on_event(
                    Fallback(
                        f"{bag.path.name} is left out: {str(error).removeprefix(bag.path.name + ' ')}"
                    )
                )
            self._on_event(progress.advance(1))
        forget_unused(self._settings.cache_folder, self._settings.cache_gb * 1e9, KEPT_FOR_S)
        if not kept and self.left_out:
            raise TrainingError(
                f"No bag of {cohort.root.name} can be used; the first one: {self.left_out[0][1]}"
            )
        return kept

    def source_of(self, bag: CohortBag) -> _Source:
        """Make or find the instances of one bag, also of one that is not part of the cohort."""
        if bag.kind == FEATURES:
            loaded = read_bag(bag.path)
            self._same_encoder(bag, loaded)
            return _Source(
                len(loaded),
                loaded.features.shape[1:],
                loaded.coords,
                loaded.tile_size0,
                features_at=bag.path,
                held=None,
            )
        if bag.kind == IMAGES:
            return self._of_images(open_image_bag(bag.path))
        with open_slide(bag.path, settings=self._settings) as slide:
            if slide.mpp is not None or self._config.slide_mpp is None:
                return self._of_slide(slide)
        with open_slide(bag.path, self._config.slide_mpp, settings=self._settings) as slide:
            return self._of_slide(slide)

    def _same_encoder(self, bag: CohortBag, loaded: Bag) -> None:
        """Compare who made the features of a file with whom the classifier to start from knows; say where the file does not tell."""
        if not self.instances.fingerprint:
            return
        made_by = loaded.provenance.get("encoder")
        if made_by is not None and made_by != self.instances.fingerprint:
            raise OptionError(
                f"{bag.path.name} was made by another encoder than the classifier to start from was trained on; start fresh."
            )
        if made_by is None and not self._assumed_encoder:
            self._assumed_encoder = True
            self._on_event(
                Fallback(
                    f"The files do not say who made their features; they are taken as those of {self.instances.encoder}."
                )
            )

    def _of_slide(self, slide: Slide) -> _Source:
        instances = self.instances
        key = self._key(slide.fingerprint, repr(slide.mpp))
        assert instances.tile_px is not None
        assert instances.mpp is not None
        mask: Mask = "auto" if self._config.mask == "auto" else None
        tiles = TileSpec(instances.tile_px, instances.mpp, instances.overlap)
        grid = plan_tiles(slide, tiles, mask, cancel=self._cancel).grid
        place: dict[str, Any] = {
            "coords": grid.coords,
            "size0": grid.tile_size0,
            "origin": slide.origin,
            "grid": grid,
        }
        if instances.trained:
            path = self._images_at(key)
            if not _is_whole(path):
                _save_images(
                    (grid.read(slide, i) for i in range(len(grid))),
                    (len(grid), instances.tile_px, instances.tile_px, 3),
                    path,
                )
            return _Source(
                len(grid), (instances.tile_px, instances.tile_px, 3), images_at=path, **place
            )
        assert self._encoder is not None
        path = self._features_at(key)
        if not _is_whole(path):
            features = embed_tiles(
                slide,
                grid,
                ForgivingEncoder(self._encoder, self._on_event),
                self._settings,
                self._cancel,
            )
            write_bag(
                Bag(
                    features,
                    grid.coords,
                    grid.tile_size0,
                    provenance={"encoder": self._encoder.fingerprint, "grid": grid.fingerprint},
                ),
                path,
            )
        return _Source(len(grid), (self._encoder.dim,), features_at=path, **place)

    def _of_images(self, images: ImageBag) -> _Source:
        key = self._key(images.fingerprint, "")
        if self.instances.trained:
            assert self.instances.tile_px is not None
            path, px = self._images_at(key), self.instances.tile_px
            if not _is_whole(path):
                _save_images(
                    (resized(images.read(i)[None], px)[0] for i in range(len(images))),
                    (len(images), px, px, 3),
                    path,
                )
            return _Source(
                len(images), (self.instances.tile_px, self.instances.tile_px, 3), images_at=path
            )
        assert self._encoder is not None
        path = self._features_at(key)
        if not _is_whole(path):
            bag = embed_images(
                images,
                ForgivingEncoder(self._encoder, self._on_event),
                self._cancel,
                self._encoder.smallest_tile,
            )
            write_bag(replace(bag, provenance={"encoder": self._encoder.fingerprint}), path)
        return _Source(len(images), (self._encoder.dim,), features_at=path)

    def _key(self, content: str, scale: str) -> str:
        facts = (
            content,
            scale,
            self.instances.encoder,
            self.instances.fingerprint,
            self.instances.tile_px,
            self.instances.mpp,
            self.instances.overlap,
        )
        return hashlib.sha256(
            repr((facts, self._config.mask, version("napari-mil"))).encode()
        ).hexdigest()[:32]

    def _features_at(self, key: str) -> Path:
        return self._settings.cache_folder / "features" / f"{key}.h5"

    def _images_at(self, key: str) -> Path:
        return self._settings.cache_folder / "images" / f"{key}.npy"

    def _common_dim(self) -> int:
        if self.instances.trained:
            assert self.instances.encoder is not None
            return BACKBONES[self.instances.encoder].channels
        shapes = [source.shape for source in self._sources]
        for bag, shape in zip(self.cohort.bags, shapes, strict=True):
            if shape != shapes[0]:
                first = self.cohort.bags[0].path.name
                raise TrainingError(
                    f"{bag.path.name} has features of shape {shape}, {first} of {shapes[0]}; extract all with one encoder, or move one kind elsewhere."
                )
        return int(shapes[0][0])


@dataclass(frozen=True)
class _Source:
    """Where the instances of one bag are."""

    n: int
    shape: tuple[int, ...]
    coords: np.ndarray | None = None
    size0: float | None = None
    origin: tuple[float, float] = (0.0, 0.0)
    grid: TileGrid | None = None
    features_at: Path | None = None
    images_at: Path | None = None
    held: np.ndarray | None = None

    @property
    def bytes(self) -> int:
        return 4 * self.n * int(np.prod(self.shape))

    def read(self) -> np.ndarray:
        if self.held is not None:
            return self.held
        try:
            if self.images_at is not None:
                return np.load(self.images_at, mmap_mode="r")
            assert self.features_at is not None
            return read_bag(self.features_at).features
        except (OSError, ValueError) as error:
            raise UnreadableSlideError(
                f"{self.images_at or self.features_at} cannot be read any more ({error}); resume the run."
            ) from error


def memory_budget(config: TrainingConfig) -> float:
    """Return how many bytes bags and activations may take."""
    return (
        config.memory_gb * 1e9
        if config.memory_gb is not None
        else SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available
    )


def standardisation(bags: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale, float32 (D,), of all instances of the training bags; a constant dimension has scale 1.

    Bags are (N, D) or maps (N, D, H, W), read one at a time.
    """
    n, total = 0, np.float64(0)
    for bag in bags:
        rows = _rows(bag)
        n, total = n + len(rows), total + rows.sum(0, dtype=np.float64)
    mean = total / n
    squares = sum(((_rows(bag) - mean) ** 2).sum(0, dtype=np.float64) for bag in bags)
    scale = np.sqrt(squares / n)
    return np.asarray(mean, np.float32), np.where(scale > 1e-6, scale, 1).astype(np.float32)


def _rows(bag: np.ndarray) -> np.ndarray:
    return bag if bag.ndim == 2 else np.moveaxis(bag, 1, -1).reshape(-1, bag.shape[1])


def _is_whole(path: Path) -> bool:
    """Say whether a file of the cache is there and can be read; a damaged one is made again."""
    try:
        if path.suffix == ".npy":
            np.load(path, mmap_mode="r")
        else:
            read_bag(path)
    except (OSError, ValueError, EOFError, NapariMilError):
        return False
    mark_used(path)
    return True


def _save_images(images: Iterable[np.ndarray], shape: tuple[int, ...], path: Path) -> None:
    """Write images one by one, so that memory holds one."""
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
