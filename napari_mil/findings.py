"""Findings of scans, readers and plans, as facts with a kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class FindingKind(StrEnum):
    """Kind of a finding."""

    SKIPPED = "skipped"
    """A file or row is not used."""
    COPY = "copy"
    """A bag has the same content as another."""
    PATIENT_CONFLICT = "patient conflict"
    """Bags of one patient have several labels or splits."""
    LISTED_TWICE = "listed twice"
    """A table names a bag in several rows."""
    UNLISTED = "unlisted"
    """Files beside a table are not in it."""
    MISSING = "missing"
    """Cells of a table say that something is not known."""
    COLUMN = "column"
    """One of several columns of a table is used, and another says otherwise."""
    SEVERAL_LABELS = "several labels"
    """Some bags have several labels, which makes every class a yes or no of its own."""
    ENCODING = "encoding"
    """The characters of a text file are uncertain."""
    SPELLING = "spelling"
    """Labels or patients that differ in spelling alone are one."""
    GUESSED = "guessed"
    """Which class is the positive one was guessed."""
    ROUNDED = "rounded"
    """Coordinates were not whole and were rounded."""
    UNCERTAIN_ENCODER = "uncertain encoder"
    """The encoder of a feature file is unknown or was guessed."""
    UNCERTAIN_SCALE = "uncertain scale"
    """A scale is missing, implausible, assumed or corrected."""
    UNCERTAIN_PLACE = "uncertain place"
    """Coordinates or tile sizes are missing or were guessed."""
    OTHER_SLIDE = "other slide"
    """Features seem to belong to another slide than the one they are laid on."""
    DEPTH = "depth"
    """Fewer bits of a pixel are used than stored."""
    UNREADABLE = "unreadable"
    """Pixels are missing or cannot be decoded."""
    GROUPING = "grouping"
    """Pages, planes or files count as one instance, or as several."""
    LEFT_OUT = "left out"
    """Part of a file is not used."""
    UNCHECKED = "unchecked"
    """A check did not look at all bags."""
    ANNOTATION = "annotation"
    """A file of annotated regions cannot be read, or part of it is not used."""
    REGION_CLASS = "region class"
    """Regions are of a name that is no class."""
    PEN_MARKS = "pen marks"
    """Ink on a slide was left out of its tissue."""
    REMARK = "remark"
    """What a classification said of a bag."""
    UNUSUAL_TISSUE = "unusual tissue"
    """Hardly any of a field, or nearly all of a slide, was taken for tissue."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something noticed about a file or folder."""

    kind: FindingKind
    path: Path
    """File or folder it is about."""
    text: str
    """One sentence for the user, without the name of the file."""
    number: int = 1
    """How many patients, slides or regions it is about."""

    def __iter__(self) -> Iterator[Path | str]:
        """Unpack as (path, text), the contract of `Cohort.skipped` and `Cohort.warnings`."""
        yield self.path
        yield self.text
