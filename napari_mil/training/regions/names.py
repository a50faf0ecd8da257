"""Names of the regions of a cohort, and those that are no class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_mil.annotations import Region
from napari_mil.annotations.texts import folded
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.cohort import CohortBag
from napari_mil.training.regions.classes import UNKNOWN, RegionClasses, mapping_text


@dataclass
class NamedRegions:
    """Regions of one name in the annotation files of a cohort."""

    name: str
    first: Path
    """First file that has one."""
    named_by: str = ""
    """Property that names the first, where it is no usual one; see `Region.named_by`."""
    n_regions: int = 0
    slides: set[Path] = field(default_factory=set)

    @property
    def n_slides(self) -> int:
        """Number of slides that have such regions."""
        return len(self.slides)

    @property
    def on_slides(self) -> str:
        """On how many slides they are, in words."""
        return "on 1 slide" if self.n_slides == 1 else f"on {self.n_slides} slides"

    @property
    def words(self) -> str:
        """How many regions they are, in words."""
        return "1 region" if self.n_regions == 1 else f"{self.n_regions} regions"

    def add(self, bag: CohortBag) -> None:
        """Count a region of a slide."""
        self.n_regions += 1
        self.slides.add(bag.path)


class RegionNames:
    """Regions by name, and those without one by the class that they are taken for."""

    def __init__(self) -> None:
        self._named: dict[str, NamedRegions] = {}
        self._unnamed: dict[str | None, NamedRegions] = {}

    @property
    def named(self) -> tuple[NamedRegions, ...]:
        """Regions with a name, sorted by it."""
        return tuple(self._named[name] for name in sorted(self._named))

    def count(self, bag: CohortBag, path: Path, regions: Sequence[Region]) -> None:
        """Add the regions of a file."""
        for region in regions:
            if region.name is None:
                taken_for = bag.labels[0] if len(bag.labels) == 1 else None
                one = NamedRegions("", path)
                self._unnamed.setdefault(taken_for, one).add(bag)
            elif not region.ignored:
                one = NamedRegions(region.name, path, region.named_by)
                self._named.setdefault(region.name, one).add(bag)

    def findings(self, classes: RegionClasses, root: Path) -> list[Finding]:
        """Return what is to be said: names of no class, mapped names that no region has."""
        return [
            *(
                _of_no_class(named, classes)
                for named in self.named
                if classes.number_of_name(named.name) == UNKNOWN
            ),
            *self._unused(classes, root),
            *(_without_class(unnamed, name) for name, unnamed in self._unnamed.items()),
        ]

    def _unused(self, classes: RegionClasses, root: Path) -> list[Finding]:
        """Name the entries of a mapping that no region has."""
        parts = {
            folded(part) for named in self.named for part in (named.name, *named.name.split(": "))
        }
        unused = [name for name in classes.mapping if folded(name) not in parts]
        if not unused:
            return []
        there = ", ".join(named.name for named in self.named) or "none"
        text = f"No region is named {', '.join(unused)}; the names in its annotations: {there}."
        return [Finding(FindingKind.REGION_CLASS, root, text)]


def _of_no_class(named: NamedRegions, classes: RegionClasses) -> Finding:
    by = f" by the property {named.named_by}" if named.named_by else ""
    remedy = ""
    if named.named_by:
        remedy = ", or write the class in the property classification"
    example = mapping_text({named.name: classes.classes[-1]})
    text = (
        f"{named.words} {named.on_slides} {_are(named)} named {named.name}{by}, which is no class "
        f"({', '.join(classes.classes)}): their tiles are unknown. Map the name to a class, "
        f"for example {example}{remedy}."
    )
    return Finding(FindingKind.REGION_CLASS, named.first, text)


def _without_class(unnamed: NamedRegions, taken_for: str | None) -> Finding:
    """Say what regions without a class are taken for."""
    who = f"{unnamed.words} without a class {unnamed.on_slides}"
    if taken_for is None:
        text = f"{who} of several classes: their tiles are unknown."
    else:
        text = f"{who} {_are(unnamed)} taken as {taken_for}."
    return Finding(FindingKind.ANNOTATION, unnamed.first, text, unnamed.n_regions)


def _are(regions: NamedRegions) -> str:
    return "is" if regions.n_regions == 1 else "are"
