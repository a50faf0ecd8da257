"""What a run would meet, looked for before it starts.

Bags are read whole within bounds, and of all others what a run depends on: annotation files, widths
of features, headers of pictures, scales of slides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from napari_mil.encoders.catalogue import find_encoder_card
from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.events import CancellationToken, OnEvent, Started, ignore
from napari_mil.findings import Finding
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.embedding import Progress
from napari_mil.inference.planning import plan_tiles
from napari_mil.settings import Settings
from napari_mil.training.bag_checks import check_bags, mask_of, tiles_of
from napari_mil.training.cohorts.cohort import FEATURES, SLIDES, Cohort
from napari_mil.training.config import TrainingConfig
from napari_mil.training.evaluation.splits import split_of
from napari_mil.training.instances import Instances, choose_instances
from napari_mil.training.regions.classes import RegionClasses
from napari_mil.training.regions.drawn import read_slide_regions
from napari_mil.training.regions.survey import survey_regions
from napari_mil.training.regions.targets import (
    TaughtTiles,
    count_taught,
    instance_targets,
    sum_taught,
)
from napari_mil.training.slide_scales import check_scales, open_scaled
from napari_mil.training.timing import TrainingTime, estimate_time


@dataclass(frozen=True)
class DryRun:
    """What was found without training."""

    cohort: Cohort
    """Bags that the run would use, with patients and classes as configured."""
    findings: tuple[Finding, ...]
    """What the run would say, or leave out."""
    refusals: tuple[str, ...]
    """Sentences for which the run would be refused; empty where it would start."""
    instances: Instances | None
    """What an instance is; None where that cannot be decided."""
    taught: tuple[TaughtTiles, ...]
    """Tiles of annotated slides, by class; empty without regions."""
    time: TrainingTime | None = None
    """How long the run would train; None where it would be refused."""


def rehearse(
    cohort: Cohort,
    config: TrainingConfig,
    *,
    settings: Settings | None = None,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
) -> DryRun:
    """Look for what a run of this configuration would stumble over.

    Parameters
    ----------
    cohort
        Cohort that `scan_annotated_folder` returned.
    config
        How the run would train.
    settings
        Folders and thread counts.
    on_event
        Called with the progress over the bags.
    cancel
        Token that ends the work.

    Raises
    ------
    CancelledError
        If it was cancelled.
    """
    rehearsal = _Rehearsal(
        config, settings or Settings(), on_event or ignore, cancel or CancellationToken()
    )
    return rehearsal.of(cohort)


def count_taught_tiles(
    cohort: Cohort,
    config: TrainingConfig,
    instances: Instances,
    settings: Settings,
    on_event: OnEvent,
    cancel: CancellationToken,
) -> tuple[TaughtTiles, ...]:
    """Count the tiles of annotated slides by what their regions say.

    Slides that cannot be tiled are passed over: the run leaves them out.

    Returns
    -------
    tuple of TaughtTiles
        One per class, of two the positive one; empty where no slide has regions.
    """
    annotated = [bag for bag in cohort.bags if bag.annotations and bag.kind == SLIDES]
    if instances.tile_px is None or instances.mpp is None:
        return ()
    classes = RegionClasses(cohort.classes, config.region_classes)
    of_slides = []
    progress = Progress(len(annotated))
    if annotated:
        on_event(Started(len(annotated), "slides"))
    for bag in annotated:
        cancel.raise_if_cancelled()
        try:
            with open_scaled(bag.path, config.slide_mpp, settings) as slide:
                grid = plan_tiles(slide, tiles_of(instances), mask_of(config), cancel=cancel).grid
                drawn = read_slide_regions(bag, slide.origin)
        except NapariMilError:
            cancel.raise_if_cancelled()
            continue
        targets = instance_targets(
            drawn, bag.labels, classes, cohort.multi_label, grid.coords, grid.tile_size0
        )
        of_slides.append(
            count_taught(targets, len(grid), cohort.classes, cohort.multi_label, bag.path.name)
        )
        on_event(progress.advance(1))
    return sum_taught(of_slides)


class _Rehearsal:
    """Steps of a dry run; what each finds is collected."""

    def __init__(
        self,
        config: TrainingConfig,
        settings: Settings,
        on_event: OnEvent,
        cancel: CancellationToken,
    ) -> None:
        self._config = config
        self._settings = settings
        self._on_event = on_event
        self._cancel = cancel
        self._findings: list[Finding] = []
        self._refusals: list[str] = []
        self._sizes: dict[Path, int] = {}

    def of(self, cohort: Cohort) -> DryRun:
        """Return what a run with this cohort would meet."""
        instances = None
        taught: tuple[TaughtTiles, ...] = ()
        duration = None
        try:
            cohort = self._configured(cohort)
            instances = self._instances(cohort)
            cohort = self._usable(cohort, instances)
            survey = survey_regions(cohort, self._config.region_classes, self._check_cancelled)
            self._findings += survey.findings
            cohort = survey.cohort
            split_of(cohort, self._config)
            taught = count_taught_tiles(
                cohort, self._config, instances, self._settings, self._on_event, self._cancel
            )
            duration = self._time(cohort, instances)
        except NapariMilError as error:
            self._cancel.raise_if_cancelled()
            self._refusals.append(str(error))
        findings = tuple(self._findings)
        return DryRun(cohort, findings, tuple(self._refusals), instances, taught, duration)

    def _time(self, cohort: Cohort, instances: Instances) -> TrainingTime | None:
        """Measure how long the run would train; slides count as those that were read."""
        if self._refusals:
            return None
        read = [size for size in self._sizes.values() if size]
        typical = round(median(read)) if read else 1
        split = split_of(cohort, self._config)
        parts = (split.training, split.validation)
        training, validation = (
            [cohort.bags[b].n or self._sizes.get(cohort.bags[b].path, typical) for b in part]
            for part in parts
        )
        return estimate_time(
            self._config,
            dim=self._width(cohort, instances),
            n_classes=len(cohort.classes),
            tile_px=instances.tile_px,
            training=training,
            validation=validation,
        )

    def _width(self, cohort: Cohort, instances: Instances) -> int | None:
        """Return the number of features of an instance; None where an encoder is trained."""
        if instances.trained:
            return None
        if instances.encoder is not None:
            return find_encoder_card(instances.encoder).dim
        return next(bag.features[0] for bag in cohort.bags if bag.features)

    def _check_cancelled(self) -> None:
        self._cancel.raise_if_cancelled()

    def _configured(self, cohort: Cohort) -> Cohort:
        """Return the cohort with patients and positive class as configured."""
        cohort = cohort.with_patients(self._config.patient_pattern)
        if self._config.positive_class is not None:
            cohort = cohort.with_positive(self._config.positive_class)
        cohort.check()
        return cohort

    def _instances(self, cohort: Cohort) -> Instances:
        """Decide what an instance is, as the run does."""
        start = None
        if self._config.start_from is not None:
            start = load_classifier(self._config.start_from, self._settings)
        instances, _ = choose_instances(cohort, self._config, start, ignore)
        return instances

    def _usable(self, cohort: Cohort, instances: Instances) -> Cohort:
        """Look at the bags; leave out what the run would leave out."""
        self._refuse_widths(cohort)
        scales = check_scales(cohort, self._config.slide_mpp, instances.mpp)
        self._findings += scales.findings
        scales.refuse_if_useless(cohort.root.name)
        checks = check_bags(
            cohort.root,
            scales.usable,
            self._config,
            instances,
            self._settings,
            self._on_event,
            self._cancel,
        )
        self._findings += checks.findings
        self._sizes = checks.tiles
        usable = replace(cohort, bags=tuple(checks.usable))
        usable.check()
        empty = [name for name, count in usable.counts.items() if not count]
        if empty:
            raise TrainingError(f"No bag of the class {empty[0]} can be used.")
        return usable

    def _refuse_widths(self, cohort: Cohort) -> None:
        """Note a refusal where feature files have several shapes; each is named once."""
        shapes = Counter(bag.features for bag in cohort.bags if bag.kind == FEATURES)
        if len(shapes) < 2:
            return
        words = []
        for shape, n_files in shapes.most_common():
            first = next(bag for bag in cohort.bags if bag.features == shape)
            width = " × ".join(map(str, shape))
            words.append(f"{n_files} of {width} numbers (the first {first.path.name})")
        self._refusals.append(
            f"The feature files of {cohort.root.name} have several widths: {', '.join(words)}; "
            "extract all with one encoder, or move one kind elsewhere."
        )
