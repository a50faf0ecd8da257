"""What the annotation files of a cohort hold: names of regions, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_mil.annotations import Annotations, Region, read_annotations
from napari_mil.errors import AnnotationError, NoAnnotationsError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.cohort import Cohort, CohortBag
from napari_mil.training.regions.classes import NOT_DRAWN, RegionClasses
from napari_mil.training.regions.drawn import conflicting
from napari_mil.training.regions.names import NamedRegions, RegionNames
from napari_mil.training.regions.places import (
    OffSlide,
    extent_of,
    off_slide,
    off_slide_findings,
)


@dataclass(frozen=True)
class RegionSurvey:
    """Annotation files of a cohort, read once."""

    cohort: Cohort
    """The cohort without the annotation files that cannot be read or lie off their slides."""
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
    surveyor = _Surveyor(classes, multi_label=cohort.multi_label)
    bags = []
    for bag in cohort.bags:
        on_bag()
        bags.append(surveyor.look_at(bag) if bag.annotations else bag)
    names = surveyor.names
    findings = (
        *surveyor.findings,
        *off_slide_findings(surveyor.off_slide),
        *names.findings(classes, cohort.root),
    )
    return RegionSurvey(replace(cohort, bags=tuple(bags)), names.named, findings)


class _Surveyor:
    """Reads the annotation files of one bag after another; what it finds is collected."""

    def __init__(self, classes: RegionClasses, *, multi_label: bool) -> None:
        self._classes = classes
        self._multi_label = multi_label
        self.findings: list[Finding] = []
        self.off_slide: list[OffSlide] = []
        self.names = RegionNames()

    def look_at(self, bag: CohortBag) -> CohortBag:
        """Return a bag with the annotation files that can be used."""
        extent = extent_of(bag.path)
        origin = (0.0, 0.0) if extent is None else extent.origin
        read: dict[Path, Annotations] = {}
        is_complete = True
        for path in bag.annotations:
            try:
                found = read_annotations(path, origin)
            except NoAnnotationsError as error:
                self._note(path, f"{_about(error, path)} It is left out.")
                continue
            except AnnotationError as error:
                others = ", and nothing is known outside the others of its slide"
                rest = others if len(bag.annotations) > 1 else ""
                self._note(path, f"{_about(error, path)} Its regions are left out{rest}.")
                is_complete = False
                continue
            self.findings += [
                Finding(FindingKind.ANNOTATION, path, remark) for remark in found.remarks
            ]
            off = None
            if extent is not None:
                off = off_slide(path, self._drawn(found.regions, bag), extent)
            if off is not None:
                self.off_slide.append(off)
                is_complete = False
            if off is None or not off.is_all:
                read[path] = found
        for path, found in read.items():
            self.findings += _contradictions(bag, path, found, self._classes)
            self.names.count(bag, path, found.regions)
        if not self._multi_label:
            self.findings += _conflicts(bag, read, self._classes)
        return replace(bag, annotations=tuple(read), regions_complete=is_complete)

    def _note(self, path: Path, text: str) -> None:
        self.findings.append(Finding(FindingKind.ANNOTATION, path, text))

    def _drawn(self, regions: tuple[Region, ...], bag: CohortBag) -> list[Region]:
        """Return the regions that count as drawn."""
        return [
            region
            for region in regions
            if not region.ignored and self._classes.number_of(region, bag.labels) != NOT_DRAWN
        ]


def _about(error: AnnotationError, path: Path) -> str:
    """Return what an error says of its file, without the name of it."""
    return f"It {str(error).removeprefix(path.name).strip()}"


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


def _conflicts(
    bag: CohortBag, read: Mapping[Path, Annotations], classes: RegionClasses
) -> list[Finding]:
    """Name regions of one outline and several classes; their tiles are unknown."""
    placed = [
        (path, (classes.number_of(region, bag.labels), region))
        for path, annotations in read.items()
        for region in annotations.regions
    ]
    placed = [(path, numbered) for path, numbered in placed if numbered[0] >= 0]
    pairs = conflicting([numbered for _, numbered in placed])
    if not pairs:
        return []
    (first, (a, _)), (second, (b, _)) = (placed[k] for k in pairs[0])
    where = "" if first == second else f" in {first.name}"
    regions = "1 region has" if len(pairs) == 1 else f"{len(pairs)} regions have"
    text = (
        f"{regions} the outline of one of another class{where} ({classes.classes[b]}, there "
        f"{classes.classes[a]}): their tiles are unknown; delete the wrong one."
    )
    return [Finding(FindingKind.ANNOTATION, second, text, len(pairs))]
