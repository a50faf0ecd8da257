"""Bags of a cohort, encoded and ready for training."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags import TileGrid
from napari_mil.disk_cache import CacheLease, trim
from napari_mil.encoders import Encoder
from napari_mil.errors import (
    NapariMilError,
    OptionError,
    OutputError,
    TrainingError,
)
from napari_mil.events import CancellationToken, Fallback, OnEvent, Started
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.embedding import Progress
from napari_mil.networks.cards import BACKBONES
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import SLIDES, Cohort, CohortBag
from napari_mil.training.config import TrainingConfig
from napari_mil.training.instances import choose_instances
from napari_mil.training.memory import memory_budget
from napari_mil.training.regions.classes import RegionClasses
from napari_mil.training.regions.drawn import read_slide_regions
from napari_mil.training.regions.survey import survey_regions
from napari_mil.training.regions.targets import (
    TaughtTiles,
    TileTargets,
    count_taught,
    instance_targets,
    sum_taught,
)
from napari_mil.training.slide_scales import check_scales
from napari_mil.training.sources import BagEncoder, BagSource


class BagStore:
    """Bags by number, ready for training.

    Attributes
    ----------
    cohort
        Cohort without the bags that could not be encoded.
    kind
        Kind of its bags; see `cohort`.
    instances
        What an instance is.
    encoder
        The frozen encoder; None for features, for a network that is trained, and in another
        process.
    dim
        Features of an instance; channels of an image.
    sizes
        Number of instances of each bag.
    bytes
        Memory that all bags take.
    in_memory
        Whether bags stay in memory once they are read.
    left_out
        Bags that could not be encoded, with the reason.
    annotated
        Whether any bag has annotated regions; only then are instance targets known.
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
        survey = survey_regions(cohort, config.region_classes, cancel.raise_if_cancelled)
        for finding in survey.findings:
            on_event(Fallback(f"{finding.path.name}: {finding.text}"))
        cohort = survey.cohort
        self._region_classes = RegionClasses(cohort.classes, config.region_classes)
        self._cancel = cancel
        self._lease: CacheLease | None = CacheLease(settings.cache_folder)
        self.kind = cohort.kinds[0]
        self.instances, encoder = choose_instances(cohort, config, start, on_event)
        self.encoder: Encoder | None = encoder
        self._bag_encoder: BagEncoder | None = BagEncoder(
            self.instances, encoder, config, settings, on_event, cancel
        )
        self.left_out: list[tuple[Path, str]] = []
        self._sources: list[BagSource] = []
        cohort = self._with_usable_scales(cohort, config, on_event)
        self.cohort = cohort.only(self._encode_bags(cohort, on_event))
        trim(settings.cache_folder, settings.cache_gb * 1e9)
        self._check_classes(cohort)
        self.annotated = any(bag.annotations for bag in self.cohort.bags)
        self.sizes = [source.n for source in self._sources]
        self.dim = self._common_dim()
        self._loaded: dict[int, np.ndarray] = {}
        self.bytes = sum(source.bytes for source in self._sources)
        self.in_memory = self.bytes <= memory_budget(config) and not self.instances.trained

    @property
    def is_fluorescence(self) -> bool:
        """Whether its slides are fluorescence, one at least."""
        return any(source.is_fluorescence for source in self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def largest_bytes(self) -> int:
        """Memory of the largest bag."""
        return max(source.bytes for source in self._sources)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, which reads the bags again."""
        left_here = {"encoder": None, "_bag_encoder": None, "_cancel": None, "_lease": None}
        return {**self.__dict__, **left_here, "_loaded": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the state in another process."""
        self.__dict__.update({**state, "_cancel": CancellationToken()})

    def read(self, b: int) -> np.ndarray:
        """Return the instances of a bag.

        Features float32 (N, D), maps float32 (N, D, h, w), or images uint8 (N, H, W, 3).
        """
        if b not in self._loaded:
            values = self._sources[b].read()
            if not self.in_memory:
                return values
            self._loaded[b] = values
        return self._loaded[b]

    def targets_of_instances(self, b: int) -> np.ndarray | None:
        """Return the targets of a bag's instances from annotated regions.

        See `TileTargets.values`; None where nothing is known.
        """
        return self._targets(b).values

    def _targets(self, b: int) -> TileTargets:
        source = self._sources[b]
        bag = self.cohort.bags[b]
        if source.coords is None or source.size0 is None or not self.annotated:
            return TileTargets(None)
        return instance_targets(
            read_slide_regions(bag, source.origin),
            bag.labels,
            self._region_classes,
            self.cohort.multi_label,
            source.coords,
            source.size0,
        )

    def count_taught_tiles(self) -> tuple[TaughtTiles, ...]:
        """Count the tiles of annotated slides by what their regions say of each class."""
        cohort = self.cohort
        return sum_taught(
            count_taught(
                self._targets(b),
                self.sizes[b],
                cohort.classes,
                cohort.multi_label,
                bag.path.name,
            )
            for b, bag in enumerate(cohort.bags)
            if bag.annotations and bag.kind == SLIDES
        )

    def grid_of(self, b: int) -> TileGrid | None:
        """Return the tiles of a slide."""
        return self._sources[b].grid

    def position(self, path: Path) -> int | None:
        """Return the number of the bag at a path, or None."""
        wanted = path.absolute()
        for b, bag in enumerate(self.cohort.bags):
            if bag.path.absolute() == wanted:
                return b
        return None

    def source_of(self, bag: CohortBag) -> BagSource:
        """Encode a bag that need not be part of the cohort."""
        assert self._bag_encoder is not None, "bags are encoded in the first process alone"
        return self._bag_encoder.source_of(bag)

    def encoded_by(self, encoder: Encoder) -> BagStore:
        """Return the same bags with the features of a network."""
        encoded = copy(self)
        encoded._sources = []
        for source in self._sources:
            self._cancel.raise_if_cancelled()
            features = encoder.encode(source.read())
            encoded._sources.append(replace(source, values=features, shape=features.shape[1:]))
        encoded.in_memory = True
        encoded._loaded = {}
        encoded.bytes = sum(source.bytes for source in encoded._sources)
        return encoded

    def _with_usable_scales(
        self, cohort: Cohort, config: TrainingConfig, on_event: OnEvent
    ) -> Cohort:
        """Leave out the slides whose scale cannot be used; say it once for all of them."""
        scales = check_scales(cohort, config.slide_mpp, self.instances.mpp)
        for finding in scales.findings:
            on_event(Fallback(finding.text))
        self.left_out += [(bag.path, scales.findings[0].text) for bag in scales.useless]
        return replace(cohort, bags=scales.usable)

    def _encode_bags(self, cohort: Cohort, on_event: OnEvent) -> list[int]:
        """Encode all bags; return the numbers of those that can be used."""
        usable = []
        on_event(Started(len(cohort), "slides" if self.kind == SLIDES else "bags"))
        progress = Progress(len(cohort))
        for b, bag in enumerate(cohort.bags):
            self._cancel.raise_if_cancelled()
            try:
                self._sources.append(self.source_of(bag))
                usable.append(b)
            except (OutputError, OptionError):
                raise
            except NapariMilError as error:
                if not bag.path.exists():
                    raise TrainingError(
                        f"{bag.path} is not there any more; put the folder back, then resume."
                    ) from error
                self._cancel.raise_if_cancelled()
                self.left_out.append((bag.path, str(error)))
                reason = str(error).removeprefix(bag.path.name + " ")
                on_event(Fallback(f"{bag.path.name} is left out: {reason}"))
            on_event(progress.advance(1))
        return usable

    def _check_classes(self, cohort: Cohort) -> None:
        """Refuse a cohort of which too little could be encoded."""
        first_reason = self.left_out[0][1] if self.left_out else "there is none"
        if not len(self.cohort) and self.left_out:
            raise TrainingError(
                f"No bag of {cohort.root.name} can be used; the first one: {first_reason}"
            )
        self.cohort.check()
        empty = [name for name, count in self.cohort.counts.items() if not count]
        if empty:
            raise TrainingError(
                f"No bag of the class {empty[0]} can be used; the first one: {first_reason}"
            )

    def _common_dim(self) -> int:
        """Return the number of features, or of image channels.

        Raises
        ------
        TrainingError
            If bags have features of several shapes.
        """
        if self.instances.trained:
            assert self.instances.encoder is not None
            return BACKBONES[self.instances.encoder].channels
        shapes = [source.shape for source in self._sources]
        for bag, shape in zip(self.cohort.bags, shapes, strict=True):
            if shape != shapes[0]:
                first = self.cohort.bags[0].path.name
                raise TrainingError(
                    f"{bag.path.name} has features of shape {shape}, {first} of {shapes[0]}; "
                    "extract all with one encoder, or move one kind elsewhere."
                )
        return int(shapes[0][0])
