"""What the annotation files of a cohort hold: names of regions, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_mil.annotations import Annotations, read_annotations
from napari_mil.errors import AnnotationError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.cohort import Cohort, CohortBag
from napari_mil.training.cohorts.region_classes import UNKNOWN, RegionClasses


@dataclass
class NamedRegions:
    """Regions of one name in the annotation files of a cohort."""

    name: str
    first: Path
    """First file that has one."""
    n_regions: int = 0
    slides: set[Path] = field(default_factory=set)

    @property
    def n_slides(self) -> int:
        """Number of slides that have such regions."""
        return len(self.slides)


@dataclass(frozen=True)
class RegionSurvey:
    """Annotation files of a cohort, read once."""

    cohort: Cohort
    """The cohort without the annotation files that cannot be read."""
    names: tuple[NamedRegions, ...]
    findings: tuple[Finding, ...]
    """Files that cannot be read, what readers left out, names that are no class."""


def survey_regions(
    cohort: Cohort,
    mapping: Mapping[str, str],
    on_bag: Callable[[], None] = lambda: None,
) -> RegionSurvey:
    """Read every annotation file of a cohort.

    Parameters
    ----------
    cohort
        The cohort, with its classes in order.
    mapping
        Class by name of a region; see `RegionClasses`.
    on_bag
        Called before each bag; an exception of its own ends the survey.

    Raises
    ------
    OptionError
        If the mapping names a class that does not exist.
    """
    classes = RegionClasses(cohort.classes, mapping)
    classes.check()
    names: dict[str, NamedRegions] = {}
    findings: list[Finding] = []
    bags = []
    for bag in cohort.bags:
        on_bag()
        readable = []
        for path in bag.annotations:
            try:
                annotations = read_annotations(path)
            except AnnotationError as error:
                text = f"{str(error).removeprefix(path.name).strip()} Its regions are left out."
                findings.append(Finding(FindingKind.ANNOTATION, path, text))
                continue
            readable.append(path)
            findings += [
                Finding(FindingKind.ANNOTATION, path, remark) for remark in annotations.remarks
            ]
            findings += _contradictions(bag, path, annotations, classes)
            _count(names, bag, path, annotations)
        bags.append(replace(bag, annotations=tuple(readable)))
    found = tuple(names[name] for name in sorted(names))
    findings += _unmatched(found, classes)
    findings += _unused(found, classes, cohort)
    return RegionSurvey(replace(cohort, bags=tuple(bags)), found, tuple(findings))


def _count(
    names: dict[str, NamedRegions], bag: CohortBag, path: Path, annotations: Annotations
) -> None:
    """Add the named regions of a file."""
    for region in annotations.regions:
        if region.name is not None and not region.ignored:
            named = names.setdefault(region.name, NamedRegions(region.name, path))
            named.n_regions += 1
            named.slides.add(bag.path)


def _contradictions(
    bag: CohortBag, path: Path, annotations: Annotations, classes: RegionClasses
) -> list[Finding]:
    """Name positive regions on a negative slide; their tiles are unknown."""
    is_negative = len(classes.classes) == 2 and bag.labels == (classes.classes[0],)
    numbers = [classes.number_of(region, bag.labels) for region in annotations.regions]
    n_positive = numbers.count(1)
    if not is_negative or not n_positive:
        return []
    text = (
        f"{n_positive} of its regions are {classes.classes[1]}, its slide is {bag.labels[0]}; "
        "check the label. Their tiles are unknown."
    )
    return [Finding(FindingKind.REGION_CLASS, path, text)]


def _unmatched(names: tuple[NamedRegions, ...], classes: RegionClasses) -> list[Finding]:
    """Name the regions that stand for no class."""
    findings = []
    for named in names:
        if classes.number_of_name(named.name) != UNKNOWN:
            continue
        regions = "1 region" if named.n_regions == 1 else f"{named.n_regions} regions"
        slides = "1 slide" if named.n_slides == 1 else f"{named.n_slides} slides"
        text = (
            f"{regions} on {slides} are named {named.name}, which is no class "
            f"({', '.join(classes.classes)}): their tiles are unknown. Map the name to a class, "
            f"for example {named.name}={classes.classes[-1]}."
        )
        findings.append(Finding(FindingKind.REGION_CLASS, named.first, text))
    return findings


def _unused(
    names: tuple[NamedRegions, ...], classes: RegionClasses, cohort: Cohort
) -> list[Finding]:
    """Name the entries of a mapping that no region has."""
    parts = {part.casefold() for named in names for part in (named.name, *named.name.split(": "))}
    unused = [name for name in classes.mapping if name.strip().casefold() not in parts]
    if not unused:
        return []
    there = ", ".join(named.name for named in names) or "none"
    text = f"No region is named {', '.join(unused)}; the names in its annotations: {there}."
    return [Finding(FindingKind.REGION_CLASS, cohort.root, text)]
