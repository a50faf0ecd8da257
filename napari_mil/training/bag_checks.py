"""Which bags a run would leave out, looked for without encoding anything.

What takes as long as opening a bag is looked at for every bag: headers of pictures. Tissue, pixels
and features are looked at within bounds, the classes in turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path

from napari_mil.bags import TileSpec, open_image_bag, read_bag
from napari_mil.errors import NapariMilError, short_cause
from napari_mil.events import CancellationToken, OnEvent, Started
from napari_mil.findings import Finding, FindingKind
from napari_mil.inference.embedding import Progress
from napari_mil.inference.planning import Mask, plan_tiles
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES, SLIDES, CohortBag
from napari_mil.training.config import TrainingConfig
from napari_mil.training.instances import Instances
from napari_mil.training.slide_scales import open_scaled

MOST_SLIDES = 60
"""Slides whose tissue is looked for: half a second each, where opening takes milliseconds."""
MOST_PIXELS = 500e6
"""Pixels of pictures that are decoded."""
MOST_BYTES = 1 << 30
"""Size of the feature files that are read."""


@dataclass
class BagChecks:
    """What was found of the bags."""

    usable: list[CohortBag] = field(default_factory=list)
    """Bags that the run would use, in their order."""
    findings: list[Finding] = field(default_factory=list)
    tiles: dict[Path, int] = field(default_factory=dict)
    """Number of tiles of slides whose tissue was looked for."""


def check_bags(
    root: Path,
    bags: Sequence[CohortBag],
    config: TrainingConfig,
    instances: Instances,
    settings: Settings,
    on_event: OnEvent,
    cancel: CancellationToken,
) -> BagChecks:
    """Look at bags as the run would, but encode nothing.

    Parameters
    ----------
    root
        Folder of the cohort.
    bags
        Slides of a usable scale, folders of images, feature files.
    config
        How the run would train.
    instances
        What an instance is.
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
    checking = _Checking(config, instances, settings, cancel)
    on_event(Started(len(bags), "bags"))
    progress = Progress(len(bags))
    for bag in _most_needed_first(bags):
        cancel.raise_if_cancelled()
        try:
            checking.look_at(bag)
        except (NapariMilError, OSError) as error:
            cancel.raise_if_cancelled()
            checking.leave_out(bag, error)
        on_event(progress.advance(1))
    found = checking.found
    found.usable = [bag for bag in bags if id(bag) not in checking.left_out]
    found.findings += checking.unseen(root)
    return found


def tiles_of(instances: Instances) -> TileSpec:
    """Return the tiles of slides."""
    assert instances.tile_px is not None
    assert instances.mpp is not None
    return TileSpec(instances.tile_px, instances.mpp, instances.overlap)


def mask_of(config: TrainingConfig) -> Mask:
    """Return how tissue is looked for."""
    return "auto" if config.mask == "auto" else None


class _Checking:
    """Bags that are looked at, and the bounds of that."""

    def __init__(
        self,
        config: TrainingConfig,
        instances: Instances,
        settings: Settings,
        cancel: CancellationToken,
    ) -> None:
        self._config = config
        self._instances = instances
        self._settings = settings
        self._cancel = cancel
        self._kinds: set[tuple[str, str]] = set()
        self._seen: dict[str, float] = defaultdict(float)
        self._unseen: dict[str, int] = defaultdict(int)
        self.left_out: set[int] = set()
        self.found = BagChecks()

    def look_at(self, bag: CohortBag) -> None:
        """Look at a bag; its findings are kept where it is the first of its kind."""
        is_first = (bag.kind, bag.path.suffix.lower()) not in self._kinds
        self._kinds.add((bag.kind, bag.path.suffix.lower()))
        if bag.kind == FEATURES:
            warnings = self._look_at_features(bag, is_first)
        elif bag.kind == IMAGES:
            warnings = self._look_at_images(bag)
        else:
            warnings = self._look_at_slide(bag, is_first)
        if is_first:
            self.found.findings += warnings

    def leave_out(self, bag: CohortBag, error: Exception) -> None:
        """Note a bag that the run would leave out."""
        words = str(error) if isinstance(error, NapariMilError) else f"{short_cause(error)}."
        text = words.removeprefix(bag.path.name).strip()
        self.found.findings.append(Finding(FindingKind.SKIPPED, bag.path, text))
        self.left_out.add(id(bag))

    def unseen(self, root: Path) -> list[Finding]:
        """Return one finding on all that was not looked at."""
        words = {
            SLIDES: "the tissue of {} slides",
            IMAGES: "the pixels of {} image folders",
            FEATURES: "the values of {} feature files",
        }
        parts = [words[kind].format(number) for kind, number in self._unseen.items()]
        if not parts:
            return []
        text = (
            f"Not looked at: {', '.join(parts)}; the run leaves out those that it cannot use, and "
            "names them."
        )
        number = sum(self._unseen.values())
        return [Finding(FindingKind.UNCHECKED, root, text, number)]

    def _is_beyond(self, kind: str, amount: float, most: float, is_first: bool) -> bool:
        """Count what is looked at; say whether the bound is reached."""
        if self._seen[kind] + amount > most and not is_first:
            self._unseen[kind] += 1
            return True
        self._seen[kind] += amount
        return False

    def _look_at_features(self, bag: CohortBag, is_first: bool) -> list[Finding]:
        size = sum(path.stat().st_size for path in (bag.path, *bag.path.rglob("*")))
        if self._is_beyond(FEATURES, size, MOST_BYTES, is_first):
            return []
        return [replace(warning, path=bag.path) for warning in read_bag(bag.path).warnings]

    def _look_at_images(self, bag: CohortBag) -> list[Finding]:
        images = open_image_bag(bag.path)
        sizes = [images.size(i) for i in range(len(images))]
        pixels = sum(width * height for width, height in sizes)
        if self._is_beyond(IMAGES, pixels, MOST_PIXELS, is_first=False):
            images.read(0)
            return []
        for i in range(len(images)):
            self._cancel.raise_if_cancelled()
            images.read(i)
        return []

    def _look_at_slide(self, bag: CohortBag, is_first: bool) -> list[Finding]:
        mask = mask_of(self._config)
        if self._is_beyond(SLIDES, 1, MOST_SLIDES, is_first):
            return []
        with open_scaled(bag.path, self._config.slide_mpp, self._settings) as slide:
            plan = plan_tiles(slide, tiles_of(self._instances), mask, cancel=self._cancel)
            plan.grid.read(slide, 0)
            self.found.tiles[bag.path] = len(plan.grid)
            return list(slide.warnings)


def _most_needed_first(bags: Sequence[CohortBag]) -> list[CohortBag]:
    """Return the bags of the classes in turn: the only one of its class is among the first."""
    by_class: dict[tuple[str, ...], list[CohortBag]] = defaultdict(list)
    for bag in bags:
        by_class[bag.labels].append(bag)
    rounds = zip_longest(*by_class.values())
    return [bag for bag in chain.from_iterable(rounds) if bag is not None]
